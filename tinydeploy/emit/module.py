"""The C of one firmware, complete, before any of it is on a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LINKER_SCRIPT = "linker.ld"


@dataclass(frozen=True)
class CModule:
    """All sources of a firmware: the model, its kernels, the board's files and a main.

    Attributes:
        files: Path relative to the firmware's src folder, with "/" -> text. Every `.c` file is
            compiled; `linker.ld`, where present, is the linker's script.
        defines: Preprocessor symbols for every file, name -> value.
        include_dirs: Folders relative to src that `#include` looks in.
    """

    files: Mapping[str, str]
    defines: Mapping[str, str] = field(default_factory=dict)
    include_dirs: tuple[str, ...] = (".",)

    @property
    def sources(self) -> tuple[str, ...]:
        """What is compiled, in a fixed order."""
        return tuple(sorted(path for path in self.files if path.endswith(".c")))

    @property
    def linker_script(self) -> str | None:
        return LINKER_SCRIPT if LINKER_SCRIPT in self.files else None
