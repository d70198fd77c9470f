"""The float originals of published int8 models, quantised here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.quantize import floats
from tests.support import MODELS, require
from tinydeploy.build import BuildRequest
from tinydeploy.inputs import read_inputs
from tinydeploy.pipeline import build, prove
from tinydeploy.quantize import QuantizeRequest, run
from tinydeploy.quantize.judge import open_judge

pytestmark = [pytest.mark.slow, pytest.mark.emulator]


def proven(model: Path, folder: Path) -> bool:
    """On an emulated Cortex-M4, bit for bit."""
    require("unicorn", "zig")
    request = BuildRequest(model, "nucleo_l4r5zi", toolchain="zig", out=folder)
    built = build(request, lambda report: None, lambda line: None)
    report, _ = prove(built, read_inputs("random:3", built.prepared.graph))
    return report.outcome == "verified"


def test_sww_agrees_with_the_published_model(tmp_path: Path) -> None:
    require("tensorflow", "ptq", "oracle", "models")
    out = tmp_path / "sww.tflite"
    data = MODELS / "sww_calibration.npz"
    result = run(QuantizeRequest(MODELS / "sww_float.h5", out, str(data)))
    assert result.verdict.engine == "aot"
    ours = open_judge(out.read_bytes(), "ours")
    theirs = open_judge((MODELS / "sww_int8.tflite").read_bytes(), "theirs")
    with np.load(data) as arrays:
        samples = arrays["specs"].astype(np.float32)
    same = [np.argmax(ours.answer([x])[0]) == np.argmax(theirs.answer([x])[0]) for x in samples]
    assert np.mean(same) >= 0.99
    assert proven(out, tmp_path / "build")


def test_ic_is_quantised_and_proven(tmp_path: Path) -> None:
    require("tensorflow", "ptq", "oracle", "models")
    coarse = np.random.default_rng(0).random((24, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
    np.savez(tmp_path / "pictures.npz", x=(coarse * 255).astype(np.float32))
    out = tmp_path / "ic.tflite"
    data = str(tmp_path / "pictures.npz")
    result = run(QuantizeRequest(MODELS / "ic_float.h5", out, data, calibration="mse"))
    assert result.methods[0].agreeing is not None
    assert result.methods[0].agreeing >= 0.9
    assert proven(out, tmp_path / "build")


def test_kws_is_quantised_and_proven(tmp_path: Path) -> None:
    require("ptq", "oracle", "models")
    shape = np.linspace(8, 1, 10, dtype=np.float32)[:, None]
    np.savez(tmp_path / "noise.npz", x=floats.noise(24, 49, 10, 1) * shape)
    out = tmp_path / "kws.tflite"
    result = run(QuantizeRequest(floats.KWS, out, str(tmp_path / "noise.npz"), calibration="mse"))
    assert any("stored as int8 already" in warning for warning in result.warnings)
    assert proven(out, tmp_path / "build")
