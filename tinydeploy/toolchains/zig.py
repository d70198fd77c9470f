"""clang and lld from the ziglang wheel: the compiler that pip installs."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import paths, process
from ..errors import RequestError
from . import base

if TYPE_CHECKING:
    from ..cores import Core
    from ..plan.plan import Optimize

NAME = "zig"
HINT = "pip install ziglang"


@dataclass(frozen=True)
class Zig:
    """clang and lld for bare-metal Arm; satisfies `base.Toolchain`."""

    name: str
    version: str
    program: Path
    links_libraries = False

    @property
    def cc(self) -> tuple[str, ...]:
        return (str(self.program), "cc")

    def compile_flags(self, core: Core, optimize: Optimize) -> tuple[str, ...]:
        return (
            *_target(core),
            "-O2" if optimize.value != "size" else "-Os",
            # The kernels' inner loops are unrolled by hand; clang would add half to the code.
            "-fno-unroll-loops",
            *base.COMMON_FLAGS,
            "-fno-sanitize=undefined",
            "-fno-unwind-tables",
            "-fno-asynchronous-unwind-tables",
        )

    def memory_function_flags(self) -> tuple[str, ...]:
        return ("-fno-builtin",)

    def path_flags(self, folder: Path) -> tuple[str, ...]:
        del folder  # a prefix map of clang's would end at a "=" in its name
        headers = self.program.resolve().parent
        return ("-ffile-compilation-dir=.", f"-ffile-prefix-map={headers}=zig")

    def environment(self, folder: Path) -> Mapping[str, str]:
        return environment(folder)

    def link_flags(self, core: Core) -> tuple[str, ...]:
        del core
        # Small pages: else the first segment reaches down to its page and holds the ELF's headers.
        page = ("-z", "max-page-size=4")
        return ("-m", "armelf", "--gc-sections", "--build-id=none", *page)

    def link(self, core: Core, link: base.Link) -> process.Result:
        # lld itself: `zig cc` takes no -Map, and would link its debug build of compiler-rt.
        argv = [str(self.program), "ld.lld", *self.link_flags(core), f"-Map={link.map}"]
        argv += ["-T", link.script] if link.script else []
        argv += [*link.objects, "-o", link.elf]
        env = self.environment(link.folder)
        result = base.run(argv, link.folder, env)
        if result.returncode == 0 or "undefined symbol: __" not in result.stderr:
            return result
        return base.run([*argv, str(self.runtime_library(core))], link.folder, env)

    def runtime_library(self, core: Core) -> Path:
        """Division, 64-bit and floating-point arithmetic that the core lacks (compiler-rt).

        Built on first use for each core (2 s), kept in the user's cache folder.

        Raises:
            RequestError: It cannot be built.
        """
        source = self.program.resolve().parent / "lib" / "compiler_rt.zig"
        flags = (*_target(core), "-OReleaseSmall", "-fstrip", "-ffunction-sections")
        key = hashlib.sha256("\0".join((self.version, *flags)).encode()).hexdigest()[:16]
        library = paths.cache() / "runtime" / f"{core.name}-{key}.a"
        if library.exists():
            return library
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            built = Path(folder) / "runtime.a"
            argv = [str(self.program), "build-lib", str(source), *flags]
            argv += ["-fno-compiler-rt", f"-femit-bin={built}"]
            result = base.run(argv, Path(folder), self.environment(Path(folder)))
            if result.returncode != 0:
                reason = base.first_error(result.stderr)
                raise RequestError(f"cannot build compiler-rt for {core.name}: {reason}")
            built.replace(library)
        return library


def environment(folder: Path) -> dict[str, str]:
    """zig keeps what it compiled in one cache folder of ours, never in the working directory."""
    cache = str(paths.cache() / "zig")
    return base.environment(folder) | {
        "ZIG_GLOBAL_CACHE_DIR": cache,
        "ZIG_LOCAL_CACHE_DIR": cache,
    }


def program() -> Path | None:
    """The zig program: the wheel's, else the one on PATH."""
    spec = importlib.util.find_spec("ziglang")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("zig", "zig.exe"):
            path = Path(folder) / name
            if path.is_file() and os.access(path, os.X_OK):
                return path
    found = shutil.which("zig")
    return Path(found) if found else None


def find() -> Zig:
    """The toolchain of this installation.

    Raises:
        RequestError: It is not installed, or does not work.
    """
    path = program()
    if path is None:
        raise RequestError(f"toolchain {NAME} needs the ziglang package, not installed", HINT)
    result = process.run([path, "version"], timeout_s=60)
    if result.returncode != 0:
        raise RequestError(f"{path} version failed with exit code {result.returncode}", HINT)
    return Zig(NAME, f"zig {result.stdout.strip()}", path)


def _target(core: Core) -> tuple[str, ...]:
    return ("-target", core.zig_target, f"-mcpu={core.zig_cpu}")
