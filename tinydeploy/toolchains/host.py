"""The compiler of this machine: the firmware as a program that runs here."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import process
from ..errors import RequestError
from . import base, zig

if TYPE_CHECKING:
    from ..cores import Core
    from ..plan.plan import Optimize

NAME = "host"
HINT = "install gcc or clang, or: pip install ziglang"
_SANITIZERS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)


@dataclass(frozen=True)
class Host:
    """A native compiler; satisfies `base.Toolchain`.

    Attributes:
        sanitize: Compile and link with the address and undefined-behaviour sanitizers.
    """

    name: str
    version: str
    cc: tuple[str, ...]
    sanitize: bool = False
    links_libraries = False

    @property
    def _is_zig(self) -> bool:
        return len(self.cc) > 1

    def compile_flags(self, core: Core, optimize: Optimize) -> tuple[str, ...]:
        del core
        sanitize = _SANITIZERS if self.sanitize else ()
        plain = ("-fno-sanitize=undefined",) if self._is_zig else ()
        level = "-O2" if optimize.value != "size" else "-Os"
        return (level, *base.COMMON_FLAGS, *(sanitize or plain))

    def memory_function_flags(self) -> tuple[str, ...]:
        return ("-fno-builtin",)

    def path_flags(self, folder: Path) -> tuple[str, ...]:
        return (f"-ffile-prefix-map={folder}=.",)

    def environment(self, folder: Path) -> Mapping[str, str]:
        return zig.environment(folder) if self._is_zig else base.environment(folder)

    def link_flags(self, core: Core) -> tuple[str, ...]:
        del core
        elf = ("-Wl,--gc-sections", "-Wl,--build-id=none") if sys.platform != "darwin" else ()
        return (*elf, *(_SANITIZERS if self.sanitize else ()))

    def link(self, core: Core, link: base.Link) -> process.Result:
        argv = (*self.cc, *self.link_flags(core), *link.objects, "-o", link.elf)
        return base.run(argv, link.folder, self.environment(link.folder))


def find(*, sanitize: bool = False) -> Host:
    """cc, gcc or clang on PATH, else zig's clang.

    Raises:
        RequestError: None is installed, or the sanitizers are asked of zig, which has none.
    """
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            result = process.run([path, "--version"], timeout_s=20)
            if result.returncode == 0 and result.stdout:
                return Host(NAME, result.stdout.splitlines()[0], (path,), sanitize)
    if sanitize:
        raise RequestError("the sanitizers need gcc or clang, and neither is on PATH", HINT)
    if zig.program() is None:
        raise RequestError(f"toolchain {NAME} needs cc, gcc or clang, none is on PATH", HINT)
    found = zig.find()
    return Host(NAME, found.version, found.cc)
