"""Where Renode is, and which version."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import process
from ..errors import InputError, RequestError

OLDEST = (1, 15)
# From here on: the DWT is exact, not only to the time quantum.
_EXACT_DWT = (1, 16)
# Before it, SADD8 and SSUB8 set the flags that SEL reads as if they told an overflow.
_RIGHT_SEL = (1, 16)
# Helium instructions fault up to 1.16.1; the builds from then on carry their date.
_HELIUM_AFTER = (1, 16, 1)
_HELIUM_BUILT = "202606"

HINT = "get Renode 1.16 from renode.io, or: pip install tinydeploy[renode]; renode-run download"

_NAMES = ("renode", "Renode", "renode.exe", "Renode.exe")
_VERSION_S = 60.0
_DOWNLOAD_S = 900.0  # renode-run downloads Renode when it is first used


@dataclass(frozen=True)
class Installation:
    """A Renode that can be started.

    Attributes:
        argv: How it is started; its own arguments follow.
        version: "1.16.1".
        built: When it was built, YYYYMMDD…; "" where it does not say.
    """

    argv: tuple[str, ...]
    version: str
    built: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))

    @property
    def exact_dwt(self) -> bool:
        """Whether its DWT counts every instruction."""
        return self.numbers >= _EXACT_DWT

    @property
    def right_sel(self) -> bool:
        """Whether it carries out SADD8, SSUB8 and SEL as the cores do."""
        return self.numbers >= _RIGHT_SEL

    @property
    def helium(self) -> bool:
        """Whether it carries out Helium instructions."""
        return self.numbers[:3] > _HELIUM_AFTER or (
            self.numbers[:3] == _HELIUM_AFTER and self.built >= _HELIUM_BUILT
        )


def find(named: str | None = None) -> Installation:
    """The Renode to use: the one that is named, that RENODE_PATH names, on PATH, or renode-run's.

    Args:
        named: The program, or the folder that it lies in.

    Raises:
        InputError: What is named is no Renode.
        RequestError: There is none, it does not start, or it is too old.
    """
    argv = locate(named)
    if argv is None:
        raise RequestError("Renode is not installed", HINT)
    return _examined(argv)


def locate(named: str | None = None) -> tuple[str, ...] | None:
    """How Renode would be started, without starting it; None where there is none.

    Raises:
        InputError: What is named is no Renode.
    """
    for given, whose in ((named, "--renode"), (os.environ.get("RENODE_PATH"), "RENODE_PATH")):
        if given:
            program = _program(Path(given).expanduser()) or shutil.which(given)
            if program is None:
                raise InputError(f"{whose} is {given}, and there is no Renode", HINT)
            return (program,)
    on_path = next(filter(None, map(shutil.which, _NAMES)), None)
    if on_path:
        return (on_path,)
    installed = next(filter(None, map(_program, _renode_run_folders())), None)
    if installed:
        return (installed,)
    renode_run = shutil.which("renode-run")
    return (renode_run, "exec", "--") if renode_run else None


def robot_test(argv: tuple[str, ...]) -> str | None:
    """The renode-test that belongs to a Renode; None where there is none."""
    beside = Path(argv[0]).resolve().parent / "renode-test"
    return str(beside) if beside.is_file() else shutil.which("renode-test")


def parse_version(told: str) -> tuple[str, str]:
    """(version, build date) in what `renode --version` prints; ("", "") where there is none.

    The fourth number of "1.16.1.35575" counts builds, and is left out.
    """
    found = re.search(r"\bv?(\d+\.\d+(?:\.\d+)?)", told)
    built = re.search(r"[0-9a-f]{7,}-(20\d{6,10})\b", told)
    return (found[1] if found else "", built[1] if built else "")


@lru_cache
def _examined(argv: tuple[str, ...]) -> Installation:
    limit_s = _DOWNLOAD_S if len(argv) > 1 else _VERSION_S
    told = process.run([*argv, "--version"], timeout_s=limit_s)
    version, built = parse_version(told.stdout)
    if not version or "renode" not in told.stdout.lower():
        said = (told.stderr or told.stdout).strip().splitlines()
        raise RequestError(
            f"{argv[0]} does not say which Renode it is{f': {said[-1]}' if said else ''}", HINT
        )
    found = Installation(argv, version, built)
    if found.numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise RequestError(
            f"{argv[0]} is Renode {version}; {oldest} is the oldest that works", HINT
        )
    return found


def _program(place: Path) -> str | None:
    """The program at or in a place: a file, a portable folder, an application of macOS."""
    if place.is_file():
        return str(place) if os.access(place, os.X_OK) else None
    for folder in (place, place / "bin", place / "Contents" / "MacOS"):
        for name in _NAMES:
            program = folder / name
            if program.is_file() and os.access(program, os.X_OK):
                return str(program)
    return None


def _renode_run_folders() -> Iterator[Path]:
    """What renode-run has installed, its default first; and where applications usually are."""
    # As renode-run does it, on every system; without a home it is "~", where nothing is.
    root = Path(os.environ.get("HOME") or os.environ.get("USERPROFILE") or "~/") / ".config/renode"
    try:
        config = json.loads((root / "renode-run.json").read_text(encoding="utf-8"))
        named = [*config.get("default", {}).values(), *config.get("installations", {})]
    except (OSError, ValueError, AttributeError):
        named = []
    yield from (Path(name) for name in named if isinstance(name, str))
    yield from sorted((root / "renode-run.download").glob("*/renode-*"), reverse=True)
    yield Path("/Applications/Renode.app")
    yield Path("/opt/renode")
