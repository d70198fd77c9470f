"""The rules that tools hold: ruff, mypy, clang-format. Here, so that one command checks all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import REPOSITORY, program, require

pytestmark = pytest.mark.slow


def _clean(*command: str) -> None:
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("verb", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(verb: list[str]) -> None:
    require("ruff")
    _clean(program("ruff"), *verb, ".")


def test_mypy() -> None:
    require("mypy")
    _clean(sys.executable, "-m", "mypy")


def test_clang_format() -> None:
    require("clang-format")
    folders = [REPOSITORY / "tinydeploy" / "kernels", REPOSITORY / "firmware_templates"]
    files = [str(p) for folder in folders for p in sorted(folder.rglob("*.[ch]"))]
    assert files
    _clean(program("clang-format"), "--dry-run", "-Werror", *files)
