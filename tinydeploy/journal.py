"""Recovery from a build that was killed.

SCons records what it built when it ends. Killed before that, its record describes the outputs of
the build before, and a later build with the former options would take the new outputs for those.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MARK = ".building"
_DIGESTS = ".outputs"
_RECORD = ".sconsign*"


class Journal:
    """A mark in the out folder for as long as its outputs are newer than SCons's record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed: set[Path] = set()
        self._lock = threading.Lock()

    def recover(self) -> bool:
        """Removes what a killed build may have left; sources are compared by content anyway.

        Returns:
            Whether there was something to recover from.

        Raises:
            OSError: It cannot be removed.
        """
        mark = self._folder / _MARK
        if not mark.exists():
            return False
        for path in [*self._folder.glob("obj/**/*.o"), *self._folder.glob("firmware.*")]:
            path.unlink(missing_ok=True)
        for folder in [self._folder, *self._folder.glob("src/**/"), *self._folder.glob("obj/**/")]:
            # Ours, and those that SCons writes its record to.
            for path in [*folder.glob(".*.tmp"), *folder.glob(".scons[0-9]*")]:
                path.unlink(missing_ok=True)
        mark.unlink()
        return True

    def distrust(self) -> None:
        """Removes outputs that are not what the last build made: SCons takes them as they are.

        Nothing outside the out folder is touched, whatever its record says: it may have come with
        somebody's repository.
        """
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            inside = self._folder.resolve()
            for name, digest in json.loads((self._folder / _DIGESTS).read_bytes()).items():
                path = (inside / name).resolve()
                if path.is_relative_to(inside) and path.is_file() and _digest(path) != digest:
                    path.unlink()

    def record(self, outputs: Iterable[str]) -> None:
        """Notes what the outputs hold, for `distrust`."""
        with suppress(OSError):
            made = {name: self._folder / name for name in outputs}
            digests = {name: _digest(path) for name, path in made.items() if path.is_file()}
            (self._folder / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")

    def changing(self, path: Path) -> None:
        """Notes that an output is about to be made.

        Raises:
            OSError: The mark cannot be written.
        """
        with self._lock:
            if not self._changed:
                self._folder.mkdir(parents=True, exist_ok=True)
                (self._folder / _MARK).touch()
            self._changed.add(path.parent)

    def close(self, shared: str | None = None) -> None:
        """Ends the build; the mark goes if SCons's record of every folder is up to date.

        Args:
            shared: The record of the whole project, less its extension, where it has one.
        """
        mark = self._folder / _MARK
        common = [*Path(shared).parent.glob(f"{Path(shared).name}*")] if shared else []
        with suppress(OSError):  # the mark stays: the next build recovers
            since = mark.stat().st_mtime_ns
            for folder in self._changed:
                records = [*folder.glob(_RECORD), *common]
                if not any(r.stat().st_mtime_ns >= since for r in records):
                    return
            mark.unlink()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
