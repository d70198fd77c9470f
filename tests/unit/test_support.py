"""The tests' own helpers: golden inputs are the recorded ones, a required tool is not skipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests import support


def test_golden_inputs_are_the_recorded_ones(
    models: Path, golden: dict[str, support.Golden]
) -> None:
    assert set(golden) == set(support.MODEL_NAMES)
    content = json.loads((models / "golden.json").read_text())
    for name, entry in golden.items():
        file = (models / f"{name}.tflite").read_bytes()
        assert hashlib.sha256(file).hexdigest() == entry.sha256
        digest = hashlib.sha256(entry.input(0).tobytes()).hexdigest()
        assert digest == content[name]["input0_sha256"]
        assert len(entry.outputs) == 9


def test_noise_is_shifted_centred_and_clamped() -> None:
    wide = support.golden_input(4, (1, 2000), 100)  # shift 0: the noise saturates
    narrow = support.golden_input(3, (1, 2000), 10)  # shift 3: within 16 of the zero point
    assert wide.max() == 127
    assert wide.min() == -28
    assert (narrow.min(), narrow.max()) == (-6, 25)


def test_a_missing_tool_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(support.TOOLS, "qemu", lambda: False)  # type: ignore[arg-type]
    monkeypatch.delenv("TINYDEPLOY_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception):
        support.require("qemu")


@pytest.mark.parametrize("names", ["qemu", "zig, qemu", "all"])
def test_a_missing_tool_that_is_required_fails(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(support.TOOLS, "qemu", lambda: False)  # type: ignore[arg-type]
    monkeypatch.setenv("TINYDEPLOY_REQUIRE", names)
    with pytest.raises(pytest.fail.Exception, match="qemu is missing"):
        support.require("qemu")


def test_a_misspelt_requirement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYDEPLOY_REQUIRE", "arm-gcc")
    with pytest.raises(pytest.UsageError, match=r"arm-gcc; known: arm-gnu"):
        support.required()
