"""Runs of SCons for the tests of the build."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen

from tests.support import REPOSITORY
from tinydeploy import process

MODEL = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"
BOARD = "nucleo_l4r5zi"


@dataclass(frozen=True)
class Project:
    """Where builds run, and with which installation of the package.

    Attributes:
        folder: The working directory.
        package: The folder that holds the package.
        sconstruct: The SConstruct to use.
    """

    folder: Path
    package: Path = REPOSITORY
    sconstruct: Path = REPOSITORY / "SConstruct"

    def argv(self, *targets: str, **options: str | Path) -> list[str]:
        defaults: dict[str, str | Path] = {"model": MODEL, "board": BOARD, "out": "out"}
        given = [f"{name}={value}" for name, value in (defaults | options).items()]
        scons = [sys.executable, "-P", "-m", "SCons", "-Q", "-f", str(self.sconstruct)]
        return [*scons, *given, *targets]

    def env(self, **changes: str) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": _python_path(self.package), **changes}

    def scons(self, *targets: str, **options: str | Path) -> process.Result:
        """Runs to the end, whatever comes of it."""
        return process.run(
            self.argv(*targets, **options), timeout_s=120, cwd=self.folder, env=self.env()
        )

    def build(self, *targets: str, **options: str | Path) -> list[str]:
        """Runs, and must succeed.

        Returns:
            What it did: "CC src/model.c", …
        """
        result = self.scons(*targets, **options)
        assert result.returncode == 0, result.stdout + result.stderr
        return [line for line in result.stdout.splitlines() if line.startswith(("CC ", "LD "))]

    @contextmanager
    def running(self, **options: str | Path) -> Iterator[Popen[bytes]]:
        argv = self.argv("-j1", **options)
        with process.started(argv, cwd=self.folder, env=self.env(), stderr=DEVNULL) as scons:
            yield scons

    def elf(self, out: str = "out") -> bytes:
        return (self.folder / out / "firmware.elf").read_bytes()


def install(folder: Path) -> Path:
    """Copies the package into a folder, its data where a wheel has them."""
    package = folder / "tinydeploy"
    shutil.copytree(
        REPOSITORY / "tinydeploy", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    data = package / "data"
    for name in ("boards", "firmware_templates"):
        shutil.copytree(REPOSITORY / name, data / name)
    shutil.copy(REPOSITORY / "SConstruct", data / "SConstruct")
    return folder


def _python_path(package: Path) -> str:
    return os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
