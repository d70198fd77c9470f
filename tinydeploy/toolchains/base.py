"""What a toolchain offers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import process

if TYPE_CHECKING:
    from ..cores import Core
    from ..plan.plan import Optimize

# For one file of a model whose weights are tens of megabytes of C.
COMPILE_TIMEOUT_S = 300.0

COMMON_FLAGS = (
    "-std=c99",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Werror=implicit-function-declaration",
    "-fno-common",
    "-ffunction-sections",
    # The inner loops of the dsp kernels use every register; clang would keep one.
    "-fomit-frame-pointer",
    "-fdata-sections",
    # A fused multiply-add rounds once where TFLite rounds twice.
    "-ffp-contract=off",
)

# Of a C compiler's flags, those that a C++ compiler does not take; headers of C++ need more of an
# implementation than a freestanding one has.
_C_ONLY = frozenset(("-std=c99", "-Werror=implicit-function-declaration", "-ffreestanding"))
_CXX_FLAGS = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")

# What a build may see of the user's environment: variables such as CPATH change the result.
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "XDG_CACHE_HOME")

# Of GCC, clang, GNU ld and lld.
_ERROR = re.compile(
    r"(?:fatal error|error):|undefined (?:reference|symbol)|multiple definition|overflowed by",
    re.IGNORECASE,
)
# What the compiler says last when the linker has said why.
_EMPTY_WORDS = re.compile(r"collect2: error: ld returned|linker command failed")


@dataclass(frozen=True)
class Link:
    """What is linked; every path but those of libraries is relative to `folder`."""

    folder: Path
    objects: tuple[str, ...]
    script: str | None
    elf: str
    map: str
    libraries: tuple[str, ...] = ()


class Toolchain(Protocol):
    """A compiler and linker for C99.

    Attributes:
        name: Its key in TOOLCHAINS.
        version: What it says of itself; part of what decides whether to compile again.
        cc: How its compiler is started.
        links_libraries: Whether it can link a `Library`, and has the C library that those need.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def cc(self) -> tuple[str, ...]: ...

    @property
    def links_libraries(self) -> bool: ...

    def compile_flags(self, core: Core, optimize: Optimize) -> tuple[str, ...]:
        """Flags that decide what the object file holds."""

    def memory_function_flags(self) -> tuple[str, ...]:
        """More flags for the file that defines memcpy and its kin.

        Without them the compiler turns the loop in memcpy into a call of memcpy.
        """

    def path_flags(self, folder: Path) -> tuple[str, ...]:
        """Flags that keep the names of this machine's folders out of the object file."""

    def environment(self, folder: Path) -> Mapping[str, str]:
        """The environment that its programs run in, with `folder` as their working directory."""

    def link_flags(self, core: Core) -> tuple[str, ...]:
        """Flags that decide what the ELF holds, beside its objects and script."""

    def link(self, core: Core, link: Link) -> process.Result:
        """Runs the linker.

        Raises:
            RequestError: The linker cannot be started.
        """


def cxx_flags(flags: Sequence[str]) -> tuple[str, ...]:
    """For C++ without exceptions and what they need, from the flags for C."""
    return (*(flag for flag in flags if flag not in _C_ONLY), *_CXX_FLAGS)


def environment(folder: Path) -> dict[str, str]:
    """The part of the user's environment that programs see, with messages in English."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # Compilers put PWD into the debug information where it names the working directory.
    return kept | {"LC_ALL": "C", "PWD": str(folder)}


def first_error(stderr: str) -> str:
    """The line of a compiler's or linker's messages that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not _EMPTY_WORDS.search(line)]
    return next((line for line in lines if _ERROR.search(line)), lines[-1] if lines else "")


def overflow(stderr: str) -> Mapping[str, int]:
    """Memory region -> how many bytes too many, by the linker's messages; empty for none."""
    found: dict[str, int] = {}
    for pattern in (
        r"region [`'](?P<region>\w+)' overflowed by (?P<bytes>\d+) bytes",
        r"will not fit in region '(?P<region>\w+)': overflowed by (?P<bytes>\d+) bytes",
    ):
        for match in re.finditer(pattern, stderr):
            region, excess = match["region"], int(match["bytes"])
            found[region] = max(excess, found.get(region, 0))
    return found


def run(argv: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> process.Result:
    """Starts one of the toolchain's programs in the out folder."""
    return process.run(argv, timeout_s=COMPILE_TIMEOUT_S, cwd=folder, env=env)
