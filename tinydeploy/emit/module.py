"""The C of one firmware, complete, before any of it is on a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LINKER_SCRIPT = "linker.ld"
_COMPILED = (".c", ".cc")


@dataclass(frozen=True)
class Library:
    """An installed C++ library that a firmware uses.

    Attributes:
        archive: What is linked; absolute.
        sha256: Of the archive: part of what decides whether to build again.
        include_dirs: Where its headers are; absolute.
        defines: Preprocessor symbols that C++ files must have to see what it was built from.
    """

    archive: Path
    sha256: str
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...] = ()


@dataclass(frozen=True)
class CModule:
    """All sources of a firmware: the model, its kernels, the board's files and a main.

    Attributes:
        files: Path relative to the firmware's src folder, with "/" -> text. Every `.c` and `.cc`
            file is compiled; `linker.ld`, where present, is the linker's script.
        defines: Preprocessor symbols for every file, name -> value.
        include_dirs: Folders relative to src that `#include` looks in.
        library: What is linked beside them; None for nothing.
        aside: The files that no inference runs: compiled for size, whatever the goal.
    """

    files: Mapping[str, str]
    defines: Mapping[str, str] = field(default_factory=dict)
    include_dirs: tuple[str, ...] = (".",)
    library: Library | None = None
    aside: frozenset[str] = frozenset()

    @property
    def sources(self) -> tuple[str, ...]:
        """What is compiled, in a fixed order."""
        return tuple(sorted(path for path in self.files if path.endswith(_COMPILED)))

    @property
    def linker_script(self) -> str | None:
        return LINKER_SCRIPT if LINKER_SCRIPT in self.files else None
