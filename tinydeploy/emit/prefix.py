"""A name of its own for all that a package of C has, so that any number of them link together.

Kernels are compiled for one model: td_sizes.h gives their structs the types that its layers need.
Two models that called one kernel of one name would get one model's, and the other's wrong results.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import InputError
from . import names

_LONGEST = 40
_NAME = re.compile(f"[a-z][a-z0-9_]{{1,{_LONGEST - 1}}}")
# NAME.h would hide a header of C's or of a compiler, the library a target of CMake.
_TAKEN = re.compile(
    "assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal"
    "|std[a-z0-9]*|string|tgmath|threads|time|uchar|wchar|wctype|malloc|memory|strings|unistd"
    "|arm_[a-z0-9]*|arduino|all|clean|depend|edit_cache|help|install|package|preinstall"
    "|rebuild_cache|test"
)
# The user's side: by these, and with what they are called behind the package's name.
_PUBLIC = {
    "td_status": "status",
    "td_tensor": "tensor",
    "td_layer": "layer_info",
    "TD_OK": "OK",
    "TD_ARENA": "ARENA",
    "TD_ERROR": "ERROR",
    "ModelResolver": "resolver",
    "register_model_operators": "register_operators",
}
_WORD = re.compile(
    r"\b(?:td_\w+|TD_\w+|model_\w+|ModelResolver|register_model_operators)(?:\.(?:cc|c|h))?\b"
)
# What of our file names goes without "td_".
_FILES = re.compile(r"(?:td_)?model_?(\w*)\.(h|c|cc)")
_COMMENT = re.compile(r"(/\*.*?\*/)", re.DOTALL)


def checked(name: str) -> str:
    """`name`, if a package can have it.

    Raises:
        InputError: It is no identifier in lower case, or taken.
    """
    if not _NAME.fullmatch(name):
        usable = names.identifier(name).strip("_")[:_LONGEST]
        usable = usable if _NAME.fullmatch(usable) else f"td_{usable}"
        raise InputError(
            f"{name!r} cannot begin names of C: a to z first, then a to z, 0 to 9 and _, "
            f"2 to {_LONGEST} of them",
            f"--name {usable}",
        )
    if _TAKEN.fullmatch(name):
        raise InputError(f"the name {name} is taken, by C or by CMake", f"--name {name}_model")
    return name


def default(model: str) -> str:
    """A package's name from its model's: never one that is taken."""
    return f"td_{names.identifier(model).strip('_')}"[:_LONGEST].rstrip("_")


def renamed(files: Mapping[str, str], name: str) -> dict[str, str]:
    """All files of a model's C with everything in them, and they themselves, called after `name`.

    Args:
        files: File name -> text, with the names of td_model.h and of tinydeploy/kernels.
        name: From `checked()` or `default()`.

    Returns:
        File name -> text. td_model_run() is NAME_run(), td_status NAME_status, td_model.h NAME.h;
        of everything else td_ is NAME_td_. Comments that quote the model stay as they are.
    """
    return {_word(file, name): _renamed(file, text, name) for file, text in files.items()}


def _renamed(file: str, text: str, name: str) -> str:
    pieces = _COMMENT.split(text)
    quotes_model = file.startswith("model")
    return "".join(
        piece
        if quotes_model and piece.startswith("/*")
        else _WORD.sub(lambda word: _word(word[0], name), piece)
        for piece in pieces
    )


def _word(word: str, name: str) -> str:
    if file := _FILES.fullmatch(word):
        rest, suffix = file.groups()
        rest = rest or ("" if suffix == "h" else "model")
        return f"{name}{'_' if rest else ''}{rest}.{suffix}"
    if word.startswith("model_"):
        return word
    prefix = name.upper() if word.isupper() or word.startswith("TD_") else name
    if word in _PUBLIC:
        return f"{prefix}_{_PUBLIC[word]}"
    if word.startswith("td_model_") and "." not in word:
        return f"{prefix}_{word.removeprefix('td_model_')}"
    return f"{prefix}_{word}"
