"""TOML files as frozen dataclasses, with every key checked.

The dataclass is the only description of a file: its fields are the keys, and their annotations,
`Annotated[type, "what it is"]`, give types, error messages and the JSON schema. A type may be str,
int, float, bool, Literal, a dataclass, `X | None`, tuple[X, ...] (a TOML array) and
Mapping[str, X] (a table whose keys are names).
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from .errors import InputError

T = TypeVar("T")

_SCALARS: dict[Any, tuple[str, str]] = {
    str: ("a string", "string"),
    int: ("an integer", "integer"),
    float: ("a number", "number"),
    bool: ("true or false", "boolean"),
}


class DataError(Exception):
    """What is wrong with a value, for `read` to turn into an error with file and line."""

    def __init__(self, keys: tuple[str, ...], message: str, hint: str = "") -> None:
        super().__init__(message)
        self.keys, self.message, self.hint = keys, message, hint


def read(record: type[T], path: Path) -> T:
    """Reads a TOML file into a dataclass.

    Args:
        record: A frozen dataclass; its `__post_init__` may raise `ValueError` for a value that has
            the right type and is still wrong.
        path: The file.

    Returns:
        The record.

    Raises:
        InputError: The file cannot be read, is not TOML, or does not fit the dataclass; names the
            file and, where it is found, the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path} is not valid TOML: it is nested too deeply") from error
    try:
        return _record(record, table, ())
    except DataError as error:
        line = _line(text, error.keys)
        where = f"{path}:{line}" if line else str(path)
        raise InputError(f"{where}: {error.message}", error.hint) from error


def place(path: Path, *keys: str) -> str:
    """The file and line where a key is written, for errors that only show in another file."""
    try:
        line = _line(path.read_text(encoding="utf-8"), keys)
    except (OSError, UnicodeDecodeError):
        return str(path)
    return f"{path}:{line}" if line else str(path)


def definitions(records: Mapping[str, type[Any]]) -> dict[str, Any]:
    """JSON-schema definitions ("$defs") of dataclasses and of all that they refer to.

    Args:
        records: Name in the schema -> dataclass.
    """
    found: dict[str, Any] = {}
    for name, record in records.items():
        _schema(record, found, name)
    return found


@cache
def _hints(record: type[Any]) -> dict[str, Any]:
    """The types of a dataclass's fields, with what `Annotated` says of them."""
    return typing.get_type_hints(record, include_extras=True)


def _record(record: type[T], table: Any, keys: tuple[str, ...]) -> T:
    if not isinstance(table, dict):
        raise DataError(keys, f"{_dotted(keys)} must be a table, and is {_kind(table)}")
    hints = _hints(typing.cast(Any, record))
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, record))}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}"
            raise DataError((*keys, key), f"unknown key {_dotted((*keys, key))}", hint)
    values: dict[str, Any] = {}
    for name, item in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], (*keys, name))
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            hint = f"it is: {_about(hints[name])}"
            raise DataError(keys, f"missing key {_dotted((*keys, name))}", hint)
    try:
        return record(**values)
    except ValueError as error:
        # Sentences of this kind begin with the key that is wrong.
        words = str(error).removeprefix("unknown ").split()[:1]
        raise DataError((*keys, *(word for word in words if word in fields)), str(error)) from error


def _value(kind: Any, value: Any, keys: tuple[str, ...]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _value(arguments[0], value, keys)
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in arguments if a is not type(None)), value, keys)
    if origin is typing.Literal:
        if not isinstance(value, str) or value not in arguments:
            shown = repr(value) if isinstance(value, str) else _kind(value)
            near = difflib.get_close_matches(str(value), arguments, 1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            known = ", ".join(map(str, arguments))
            raise DataError(keys, f"{_dotted(keys)} must be one of {known}, and is {shown}", hint)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise DataError(keys, f"{_dotted(keys)} must be an array, and is {_kind(value)}")
        return tuple(_value(arguments[0], v, (*keys, str(i))) for i, v in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise DataError(keys, f"{_dotted(keys)} must be a table, and is {_kind(value)}")
        return types.MappingProxyType(
            {k: _value(arguments[1], v, (*keys, k)) for k, v in value.items()}
        )
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast(type[Any], kind), value, keys)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:  # a bool is an int to isinstance
        expected = _SCALARS[kind][0]
        raise DataError(keys, f"{_dotted(keys)} must be {expected}, and is {_kind(value)}")
    return value


def _schema(kind: Any, found: dict[str, Any], name: str = "") -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return {**_schema(arguments[0], found), "description": _about(kind)}
    if origin in (typing.Union, types.UnionType):
        return _schema(next(a for a in arguments if a is not type(None)), found)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], found)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], found)}
    if not dataclasses.is_dataclass(kind):
        return {"type": _SCALARS[kind][1]}
    name = name or typing.cast(type[Any], kind).__name__
    if name not in found:
        found[name] = {}  # keeps the order of first mention
        hints = _hints(typing.cast(Any, kind))
        properties, required = {}, []
        for item in dataclasses.fields(kind):
            properties[item.name] = _schema(hints[item.name], found)
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                required.append(item.name)
        found[name] = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _about(hint: Any) -> str:
    """The documentation in an annotation."""
    return " ".join(getattr(hint, "__metadata__", ()))


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    return _SCALARS.get(type(value), (f"a {type(value).__name__}", ""))[0]


def _dotted(keys: tuple[str, ...]) -> str:
    """memories[0].origin: the path of a key, for messages; "the file" for the whole."""
    text = ""
    for key in keys:
        text += f"[{key}]" if key.isdigit() else f".{key}" if text else key
    return text or "the file"


def _line(text: str, keys: tuple[str, ...]) -> int:
    """The line where a key is most likely written, 0 when it is not found."""
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    best, best_length = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line):
            table = tuple(header[2].split("."))
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = (*table, str(index))
            found = table
        elif key := re.match(r"\s*([\w.\-]+)\s*=", line):
            found = (*table, *key[1].split("."))
        else:
            continue
        length = len(found)
        if found == keys[:length] and length > best_length:
            best, best_length = number, length
    return best
