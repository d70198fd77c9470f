"""arm-none-eabi-gcc."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import process
from ..errors import RequestError
from . import base

if TYPE_CHECKING:
    from ..cores import Core
    from ..plan.plan import Optimize

NAME = "arm-gnu"
_PROGRAM = "arm-none-eabi-gcc"
_C_LIBRARY = ("-lm", "-lc_nano")
HINT = "install the Arm GNU toolchain (Debian: apt install gcc-arm-none-eabi), or toolchain zig"


@dataclass(frozen=True)
class ArmGnu:
    """The GNU toolchain for bare-metal Arm; satisfies `base.Toolchain`."""

    name: str
    version: str
    cc: tuple[str, ...]
    links_libraries = True

    def compile_flags(self, core: Core, optimize: Optimize) -> tuple[str, ...]:
        return (
            *core.gcc_flags,
            # With -flto kws gets 1 KB smaller and no faster, and loses the names of functions.
            *(("-O2",) if optimize.value != "size" else ("-Os", "-flto")),
            *base.COMMON_FLAGS,
            # The C library's headers may not be installed; memcpy is still the compiler's own.
            "-ffreestanding",
            "-fbuiltin",
            "-fno-unwind-tables",
            "-fno-asynchronous-unwind-tables",
        )

    def memory_function_flags(self) -> tuple[str, ...]:
        return ("-fno-builtin", "-fno-tree-loop-distribute-patterns", "-fno-lto")

    def path_flags(self, folder: Path) -> tuple[str, ...]:
        return (f"-ffile-prefix-map={folder}=.",)

    def environment(self, folder: Path) -> Mapping[str, str]:
        return base.environment(folder)

    def link_flags(self, core: Core) -> tuple[str, ...]:
        return (
            *core.gcc_flags,
            "-nostdlib",
            "-nostartfiles",
            "-Wl,--gc-sections",
            "-Wl,--build-id=none",
            # No pages: else the first segment reaches down to its page and holds the ELF's headers.
            "-Wl,--nmagic",
            # For what -flto compiles at this time.
            "-flto-partition=one",
            "-ffunction-sections",
            "-fdata-sections",
        )

    def link(self, core: Core, link: base.Link) -> process.Result:
        script = ("-T", link.script) if link.script else ()
        argv = (
            *self.cc,
            *self.link_flags(core),
            *script,
            f"-Wl,-Map={link.map}",
            *link.objects,
            *link.libraries,
            *(_C_LIBRARY if link.libraries else ()),
            "-lgcc",
            "-o",
            link.elf,
        )
        return base.run(argv, link.folder, self.environment(link.folder))


def find() -> ArmGnu:
    """The toolchain on PATH.

    Raises:
        RequestError: It is not installed, or does not work.
    """
    path = shutil.which(_PROGRAM)
    if path is None:
        raise RequestError(f"toolchain {NAME} needs {_PROGRAM}, which is not on PATH", HINT)
    result = process.run([path, "--version"], timeout_s=20)
    if result.returncode != 0:
        raise RequestError(f"{path} --version failed with exit code {result.returncode}", HINT)
    first = result.stdout.splitlines()[0] if result.stdout else ""
    return ArmGnu(NAME, first, (path,))
