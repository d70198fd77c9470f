"""`tinydeploy quantize` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.quantize import floats
from tests.support import require
from tinydeploy.cli import main
from tinydeploy.errors import InputError
from tinydeploy.quantize import QuantizeRequest, run
from tinydeploy.quantize import modelfile as mf
from tinydeploy.quantize.finish import read_metadata
from tinydeploy.quantize.schemes import Scheme
from tinydeploy.tflite import reader

MODEL = str(floats.DIGITS / "digits_float.tflite")
DATA = str(floats.DIGITS / "digits_calibration.npz")
EVAL = str(floats.DIGITS / "digits_eval.npz")


def quantize(*arguments: str, out: Path) -> Result:
    return CliRunner().invoke(main, ["quantize", MODEL, "-o", str(out), *arguments])


def test_the_whole_verb(tmp_path: Path) -> None:
    require("ptq", "oracle")
    out = tmp_path / "out.tflite"
    done = quantize("--data", DATA, "--eval", EVAL, "--calibration", "all", out=out)
    assert done.exit_code == 0, done.output
    for word in ("minmax", "moving-average", "percentile", "mse", "kl", "99.1% of 450", "500"):
        assert word in done.output
    assert "ready for firmware" in done.output
    assert "tinydeploy verify" in done.output
    described = read_metadata(out.read_bytes())
    assert json.loads(described["recipe"])["scheme"]["kind"] == "int8"
    assert len(described["source_sha256"]) == len(described["data_sha256"]) == 64


def test_json_and_the_same_bytes_again(tmp_path: Path) -> None:
    require("ptq", "oracle")
    first = quantize("--data", DATA, "--samples", "50", "--json", out=tmp_path / "a.tflite")
    again = quantize("--data", DATA, "--samples", "50", "--json", out=tmp_path / "b.tflite")
    one, two = json.loads(first.output), json.loads(again.output)
    assert one["samples"] == 50
    assert one["sha256"] == two["sha256"]
    assert one["verdict"]["engine"] == "aot"
    assert [score["name"] for score in one["methods"]] == ["minmax"]
    assert [score["name"] for score in one["sizes"]] == ["6", "12", "25", "50"]
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_comparison_schemes_say_what_they_are_for(tmp_path: Path) -> None:
    require("ptq", "oracle")
    out = tmp_path / "out.tflite"
    done = quantize("--scheme", "dynamic", "--eval", EVAL, out=out)
    assert done.exit_code == 0, done.output
    assert "for comparison only, not for firmware" in done.output
    assert "comparison only" in read_metadata(out.read_bytes())["use"]
    refused = CliRunner().invoke(main, ["inspect", str(out)])
    assert refused.exit_code == 2
    assert "float model with quantised weights" in refused.output


def test_options_reach_the_file(tmp_path: Path) -> None:
    require("ptq", "oracle")
    done = quantize(
        *("--data", DATA, "--io", "uint8", "--override", "CONV_2D=per-tensor+symmetric"),
        *("--scale", "image=0.01,-128", "--range", "*digit*MatMul*=-8,7.9375", "--json"),
        out=tmp_path / "out.tflite",
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["verdict"]["inputs"] == ["uint8"]
    graph = reader.load(tmp_path / "out.tflite")
    image = graph.tensors[graph.inputs[0]]
    assert (image.scale, image.zero_point) == (float(np.float32(0.01)), 0)
    logits = next(t for t in graph.tensors if "MatMul" in t.name and not t.is_constant)
    assert (logits.scale, logits.zero_point) == (0.0625, 0)


def test_names_of_classes_travel_in_the_file(tmp_path: Path) -> None:
    require("ptq", "oracle")
    out = tmp_path / "out.tflite"
    names = ",".join(f"digit {i}" for i in range(10))
    done = quantize("--data", DATA, "--samples", "40", "--labels", names, out=out)
    assert done.exit_code == 0, done.output
    assert json.loads(read_metadata(out.read_bytes())["labels"])[7] == "digit 7"
    shown = CliRunner().invoke(main, ["evaluate", str(out), "--eval", EVAL, "--samples", "30"])
    assert shown.exit_code == 0, shown.output
    assert "digit 7" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "int8 needs samples"),
        (["--data", DATA, "--labels", "a,b"], "there are 2 labels (a, b)"),
        (["--data", "nothing.npz"], "there is no nothing.npz"),
        (["--data", DATA, "--calibration", "best"], "'best' is no calibration method"),
        (["--data", DATA, "--range", "image"], "is not PATTERN=MIN,MAX"),
        (["--data", DATA, "--range", "image=2,1"], "2 is not below 1"),
        (["--data", DATA, "--range", "image=1,2"], "leaves 0 out"),
        (["--data", DATA, "--range", "image=nan,2"], "is not PATTERN=MIN,MAX"),
        (["--data", DATA, "--scale", "image=0,1"], "a scale is a positive number"),
        (["--data", DATA, "--scale", "image=0.1,1.5"], "a scale is a positive number"),
        (["--data", DATA, "--override", "3=int4"], "is not PATTERN=HOW"),
        (["--data", DATA, "--override", "3=int8+int16"], "is not PATTERN=HOW"),
        (["--data", DATA, "--override", "GRU=int16"], "no layer of digits_float.tflite"),
        (["--data", DATA, "--eval", "nothing.npz"], "there is no nothing.npz"),
    ],
)
def test_what_is_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    require("ptq")
    done = quantize(*arguments, out=tmp_path / "out.tflite")
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "out.tflite").exists()


def test_data_are_looked_at_before_the_model(tmp_path: Path) -> None:
    """A Keras model takes seconds to import."""
    model = tmp_path / "m.keras"
    model.write_bytes(b"nonsense")
    request = QuantizeRequest(model=model, out=tmp_path / "m.tflite", data="nothing.npz")
    with pytest.raises(InputError, match=r"there is no nothing\.npz"):
        run(request)


def test_the_model_itself_is_not_overwritten(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(Path(MODEL).read_bytes())
    with pytest.raises(InputError, match="is the model itself"):
        run(QuantizeRequest(model, tmp_path / "." / "m.tflite", DATA))


def test_data_that_the_model_was_not_trained_on_are_told(tmp_path: Path) -> None:
    require("ptq", "oracle")
    with np.load(EVAL) as arrays:
        images, labels = arrays["image"][:60], arrays["labels"][:60]
    np.savez(tmp_path / "inverted.npz", image=1 - images * 3, labels=(labels + 1) % 10)
    request = QuantizeRequest(
        Path(MODEL), tmp_path / "o.tflite", DATA, str(tmp_path / "inverted.npz")
    )
    assert any("float model itself is right on only" in w for w in run(request).warnings)


def test_labels_may_be_one_hot_and_must_be_classes(tmp_path: Path) -> None:
    require("ptq", "oracle")
    with np.load(EVAL) as arrays:
        images, labels = arrays["image"][:60], arrays["labels"][:60]
    judged = tmp_path / "judged.npz"
    request = QuantizeRequest(Path(MODEL), tmp_path / "o.tflite", DATA, str(judged), samples=50)
    np.savez(judged, image=images, labels=np.eye(10)[labels])
    score = run(request).float_score
    assert score is not None
    assert score.correct is not None
    assert score.correct > 50
    np.savez(judged, image=images, labels=labels + 1)
    with pytest.raises(InputError, match=r"a label is 10, the classes of digits_float\.tflite"):
        run(request)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mf.need.cache_clear()
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    try:
        done = quantize("--data", DATA, out=tmp_path / "out.tflite")
    finally:
        mf.need.cache_clear()
    assert done.exit_code == 1
    assert "hint: pip install 'tinydeploy[ptq]'" in done.output


def test_the_deploy_half_imports_none_of_it() -> None:
    code = (
        "import sys, tinydeploy.cli, tinydeploy.quantize, tinydeploy.pipeline, tinydeploy.demo\n"
        "heavy = ('tensorflow', 'keras', 'tf_keras', 'ai_edge_litert', 'ai_edge_quantizer')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_int16_activations(tmp_path: Path) -> None:
    require("ptq", "oracle")
    out = tmp_path / "out.tflite"
    result = run(QuantizeRequest(Path(MODEL), out, DATA, EVAL, scheme=Scheme("int16x8")))
    assert result.verdict.inputs == ("int16",)
    assert result.methods[0].correct == 447
