"""The schema of report.json as documents, made from the dataclasses of report.py.

python -m tinydeploy.report.schema        # rewrites docs/report.schema.json, docs/report.md
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .report import SCHEMA, Report

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
_BLOCK = re.compile(r"(<!-- fields -->\n).*(<!-- end of fields -->)", re.DOTALL)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a report as the writer writes it."""
    definitions: dict[str, Any] = {}
    top = _schema(Report, definitions)
    root = definitions.pop(top["$ref"].rsplit("/", 1)[1])
    root["properties"]["schema"]["const"] = SCHEMA
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"tinydeploy report, schema {SCHEMA}",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def json_schema_text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


def markdown() -> str:
    """The tables of docs/report.md: one a dataclass, in the order they are met."""
    kinds: list[type] = []
    _collect(Report, kinds)
    parts = []
    for kind in kinds:
        told = descriptions(kind)
        hints = typing.get_type_hints(kind)
        rows = [f"| `{name}` | {_words(hint)} | {told[name]} |" for name, hint in hints.items()]
        title = "The report" if kind is Report else f"`{kind.__name__}`"
        summary = (inspect.getdoc(kind) or "").split("\n", 1)[0]
        parts += [f"### {title}\n", f"{summary}\n", "| field | type | what it is |"]
        parts += ["|---|---|---|", *rows, ""]
    return "\n".join(parts)


def with_fields(document: str) -> str:
    """`document` (docs/report.md) with its generated block made anew."""
    return _BLOCK.sub(lambda m: f"{m[1]}\n{markdown()}\n{m[2]}", document)


def descriptions(kind: type) -> dict[str, str]:
    """What the `Attributes:` of a dataclass's docstring say, by field."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    entries = re.split(r"^    (?=\w+: )", text, flags=re.MULTILINE)[1:]
    pairs = (entry.partition(": ") for entry in entries)
    return {name: " ".join(told.split()) for name, _, told in pairs}


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if origin is types.UnionType:
        return {"anyOf": [_schema(arguments[0], definitions), {"type": "null"}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = _object(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    told = descriptions(kind)
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "description": (inspect.getdoc(kind) or "").split("\n", 1)[0],
        "properties": {
            name: {**_schema(hint, definitions), "description": told[name]}
            for name, hint in hints.items()
        },
        "required": list(hints),  # the writer writes every field
    }


def _collect(kind: Any, kinds: list[type]) -> None:
    """Appends the dataclasses that `kind` is made of, itself first."""
    if dataclasses.is_dataclass(kind):
        if kind in kinds:
            return
        kinds.append(typing.cast(type, kind))
        for hint in typing.get_type_hints(kind).values():
            _collect(hint, kinds)
    for argument in typing.get_args(kind):
        _collect(argument, kinds)


def _words(kind: Any) -> str:
    """A type in words: "integer or null"."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin is types.UnionType:
        return f"{_words(arguments[0])} or null"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is Mapping:
        return f"object of {_words(arguments[1])}"
    return f"`{kind.__name__}`"


def main() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    (docs / "report.schema.json").write_text(json_schema_text(), encoding="utf-8")
    page = docs / "report.md"
    page.write_text(with_fields(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
