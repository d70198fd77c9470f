"""Fixtures of every test, and what the markers of pyproject.toml mean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import support


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001
    support.required()  # a misspelt TINYDEPLOY_REQUIRE ends the run here
    # Where it is ignored, as in a shell's background, the programs that tests interrupt ignore it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("toolchain") and not any(
        support.TOOLS[tool]() for tool in ("arm-gnu", "zig", "host-cc")
    ):
        support.require("arm-gnu")
    if item.get_closest_marker("tflm"):
        support.require("tflm")
    if item.get_closest_marker("hardware") and not os.environ.get("TINYDEPLOY_HARDWARE"):
        pytest.skip("needs a board: set TINYDEPLOY_HARDWARE to its serial port")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of real models beside the checkout; skips where it is absent."""
    support.require("models")
    return support.MODELS


@pytest.fixture(scope="session")
def golden(models: Path) -> dict[str, support.Golden]:
    """golden.json: by model stem, nine inputs (`.input(s)`) and their outputs."""
    return support.read_golden(models)


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """`require("arm-gnu", …)` skips where a tool is missing, see tests/support.py."""
    return support.require
