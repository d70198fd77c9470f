"""Compiles kernels and batches; objects are kept by content in pytest's cache folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tinydeploy import process
from tinydeploy.cores import Core
from tinydeploy.paths import KERNELS, data
from tinydeploy.plan.plan import Optimize
from tinydeploy.toolchains.base import Link, Toolchain

COMMON = data("firmware_templates") / "common"
_INCLUDES = (f"-I{KERNELS}", f"-I{COMMON}")


@dataclass(frozen=True)
class Builder:
    """A toolchain for a core, with every warning an error.

    Attributes:
        folder: Of the objects; shared between runs and processes.
    """

    toolchain: Toolchain
    core: Core
    folder: Path
    optimize: Optimize = Optimize.SPEED

    def compile(self, source: Path, extra: Sequence[str] = (), into: Path | None = None) -> Path:
        """The source's object file.

        Args:
            extra: More flags.
            into: Its folder, for sources that are not compiled again; the shared one when None.

        Raises:
            AssertionError: It does not compile, with the compiler's messages.
        """
        flags = (*self.toolchain.compile_flags(self.core, self.optimize), "-Werror", *extra)
        digest = hashlib.sha256(repr((self.toolchain.version, flags)).encode())
        digest.update(source.read_bytes())
        for header in sorted([*KERNELS.glob("*.h"), *COMMON.glob("*.h")]):
            digest.update(header.read_bytes())
        target = (into or self.folder) / f"{source.stem}-{digest.hexdigest()[:20]}.o"
        if target.exists():
            return target
        partial = target.with_suffix(f".{os.getpid()}.o")
        argv: list[str | Path] = [
            *self.toolchain.cc,
            *flags,
            *_INCLUDES,
            "-c",
            source,
            "-o",
            partial,
        ]
        environment = self.toolchain.environment(self.folder)
        result = process.run(argv, timeout_s=300, cwd=self.folder, env=environment)
        assert result.returncode == 0, f"{source.name}: {result.stderr[-4000:]}"
        assert partial.exists()
        partial.replace(target)
        return target

    def compile_all(self, sources: Sequence[Path], extra: Sequence[str] = ()) -> list[Path]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda s: self.compile(s, extra), sources))

    def link(self, objects: Sequence[Path], program: Path, script: Path | None = None) -> Path:
        """The program; every path ends up absolute, nothing is written beside it but its map."""
        link = Link(
            folder=program.parent,
            objects=tuple(str(o) for o in objects),
            script=str(script) if script else None,
            elf=program.name,
            map=f"{program.name}.map",
        )
        result = self.toolchain.link(self.core, link)
        assert result.returncode == 0, result.stderr[-4000:]
        return program
