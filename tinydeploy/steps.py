"""The steps that make a firmware out of a CModule; when to take one is SCons's business.

Every output appears whole or not at all: it is written beside its place and moved there.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from . import process
from .emit.module import CModule, Library
from .errors import DoesNotFit, RequestError
from .files import SIZE_HINT, way_out
from .toolchains import base

if TYPE_CHECKING:
    from .board import Board
    from .plan.plan import Optimize

ELF = "firmware.elf"
MAP = "firmware.map"
COMPILE_COMMANDS = "compile_commands.json"
REPORT = "report.json"

# The file that defines memcpy, memmove and memset.
_MEMORY_FUNCTIONS = "libc.c"

# What a compiler says, and what to do about it.
_HINTS = {
    # GCC is installed without its C++ library.
    "fatal error: cstdint": "install GCC's C++ library (Debian: apt install "
    "libstdc++-arm-none-eabi-newlib)",
    "temporary file": "name a folder that can be written: TMPDIR=/tmp",
    "File size limit exceeded": SIZE_HINT,
    "File too large": SIZE_HINT,
    f"signal {int(signal.SIGXFSZ)}": SIZE_HINT,
}


@dataclass(frozen=True, eq=False)
class Steps:
    """One firmware's build. Paths in methods are relative to `folder`, with "/".

    Attributes:
        folder: The out folder, absolute; programs run in it.
        model: The model's file name, for messages.
        strict: Warnings of the C compiler are errors.
    """

    folder: Path
    model: str
    module: CModule
    board: Board
    toolchain: base.Toolchain
    optimize: Optimize
    strict: bool = False

    @property
    def objects(self) -> dict[str, str]:
        """Object -> its source."""
        return {
            f"obj/{PurePosixPath(path).with_suffix('.o')}": f"src/{path}"
            for path in self.module.sources
        }

    def flags(self, source: str) -> tuple[str, ...]:
        """All that decides what a source's object holds, beside the source's text."""
        flags = [*self.toolchain.compile_flags(self.board.core, self.optimize)]
        if source.endswith(".cc"):
            flags = [*base.cxx_flags(flags), *_library_flags(self.module.library)]
        if PurePosixPath(source).name == _MEMORY_FUNCTIONS:
            flags += self.toolchain.memory_function_flags()
        if source in {f"src/{path}" for path in self.module.aside}:
            flags += ["-Os"]
        flags += ["-Werror"] if self.strict else []
        # C++ gets the C library's own headers: the string.h of src/ is for code without one.
        include = "-iquote" if source.endswith(".cc") else "-I"
        flags += [f"{include}{PurePosixPath('src', folder)}" for folder in self.module.include_dirs]
        flags += [f"-D{name}={value}" for name, value in sorted(self.module.defines.items())]
        return tuple(flags)

    def check(self) -> None:
        """Raises RequestError where the toolchain cannot link what the module needs."""
        if self.module.library and not self.toolchain.links_libraries:
            raise RequestError(
                f"toolchain {self.toolchain.name} does not link {self.module.library.archive.name}",
                "--toolchain arm-gnu",
            )

    def holds(self, path: str, text: str) -> bool:
        """Whether a file of the out folder has just this content."""
        try:
            return (self.folder / path).read_bytes() == _bytes(text)
        except OSError:
            return False

    def write(self, path: str, text: str) -> None:
        """Writes a file of the out folder.

        Raises:
            RequestError: It cannot be written.
        """
        target = self.folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _replacing(target) as new:
                new.write_bytes(_bytes(text))
        except OSError as e:
            raise cannot_write(target, e) from e

    def remove_stale(self, listing: str, text: str) -> None:
        """Removes the generated files that a former listing names and this one does not."""
        with suppress(OSError, UnicodeDecodeError):
            former = (self.folder / listing).read_text(encoding="utf-8").splitlines()
            for path in set(former) - set(text.splitlines()):
                stale = (self.folder / path).resolve()
                if stale.is_relative_to(self.folder):
                    stale.unlink(missing_ok=True)

    def compile(self, source: str, target: str) -> str:
        """Compiles one file.

        Returns:
            The compiler's warnings.

        Raises:
            RequestError: It does not compile.
        """
        flags = [*self.flags(source), *self.toolchain.path_flags(self.folder)]
        env = self.toolchain.environment(self.folder)
        try:
            (self.folder / target).parent.mkdir(parents=True, exist_ok=True)
            with _replacing(self.folder / target) as new:
                argv = [*self.toolchain.cc, *flags, "-c", source, "-o", self._relative(new)]
                result = base.run(argv, self.folder, env)
                if result.returncode != 0:
                    raise self._failed(result, f"cannot compile {source}")
        except OSError as e:
            raise cannot_write(self.folder / target, e) from e
        return result.stderr

    def link(self) -> None:
        """Links all objects into firmware.elf, and writes firmware.map.

        Raises:
            RequestError: It does not link, or does not fit the board's memories.
        """
        script, library = self.module.linker_script, self.module.library
        try:
            with (
                _replacing(self.folder / ELF) as elf,
                _replacing(self.folder / MAP) as map_,
            ):
                # A toolchain that writes no map leaves it empty.
                map_.touch()
                result = self.toolchain.link(
                    self.board.core,
                    base.Link(
                        folder=self.folder,
                        objects=tuple(self.objects),
                        script=f"src/{script}" if script else None,
                        elf=self._relative(elf),
                        map=self._relative(map_),
                        libraries=(str(library.archive),) if library else (),
                    ),
                )
                if result.returncode != 0:
                    raise self._overflow(result) or self._failed(result, "cannot link the firmware")
        except OSError as e:
            raise cannot_write(self.folder / ELF, e) from e

    def compile_commands(self) -> str:
        """The JSON that clangd and other tools read: how every file is compiled."""
        entries = [
            {
                "directory": str(self.folder),
                "file": source,
                "output": target,
                "arguments": [
                    *self.toolchain.cc,
                    *self.flags(source),
                    *("-c", source, "-o", target),
                ],
            }
            for target, source in self.objects.items()
        ]
        return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _failed(self, result: process.Result, what: str) -> RequestError:
        if any(word in result.stderr for word in (os.strerror(errno.ENOSPC), "NoSpaceLeft")):
            cache = self.toolchain.environment(self.folder).get("ZIG_GLOBAL_CACHE_DIR")
            places = [str(self.folder), *([cache] if cache else []), tempfile.gettempdir()]
            return RequestError(
                f"{what}: {os.strerror(errno.ENOSPC)}, in one of {', '.join(places)}",
                "free some space, or choose other folders: out=DIR (--out), "
                f"{'TINYDEPLOY_CACHE=DIR, ' if cache else ''}TMPDIR=DIR",
            )
        program, said = Path(result.argv[0]).name, base.first_error(result.stderr)
        if result.returncode < 0:
            ended = f"{program} was ended by signal {-result.returncode}"
            said = f"{ended}: {said}" if said else ended
        reason = said or f"{program} exit code {result.returncode}"
        return RequestError(f"{what}: {reason}", _hint(reason))

    def _overflow(self, result: process.Result) -> DoesNotFit | None:
        """The linker's complaint that a memory is full, with both numbers."""
        for region, excess in base.overflow(result.stderr).items():
            kind = "flash" if "flash" in region.lower() else "RAM"
            memory = self.board.flash if kind == "flash" else self.board.ram
            if memory is not None:
                return DoesNotFit(
                    f"{self.model} needs {kib(memory.bytes + excess)} of {kind}; "
                    f"{self.board.name} has {kib(memory.bytes)}",
                    f"tinydeploy boards --fits {self.model}",
                )
        return None


def _hint(reason: str) -> str:
    return next((hint for words, hint in _HINTS.items() if words in reason), "")


def _library_flags(library: Library | None) -> list[str]:
    """How C++ sees a library: its headers' warnings and places are nobody's business."""
    if library is None:
        return []
    flags = [f"-D{define}" for define in library.defines]
    for folder in library.include_dirs:
        flags += ["-isystem", str(folder), f"-ffile-prefix-map={folder}=library"]
    return flags


def _bytes(text: str) -> bytes:
    """UTF-8; a path that is none, as compile_commands.json has it, in its own bytes."""
    return text.encode(errors="surrogateescape")


def kib(size_bytes: int) -> str:
    """A size for a sentence: exact below 1 KiB, else KiB rounded up to a tenth."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    tenths = -(-size_bytes * 10 // 1024)
    return f"{tenths // 10}.{tenths % 10} KiB" if tenths % 10 else f"{tenths // 10} KiB"


def cannot_write(path: Path, error: OSError) -> RequestError:
    """The sentence for a folder that is read-only or a disk that is full."""
    reason = error.strerror or str(error)
    hint = way_out(error, "choose another folder: out=DIR (--out)")
    return RequestError(f"cannot write {path}: {reason}", hint)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new path beside `path` that takes its place when the block succeeds."""
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield new
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink()
