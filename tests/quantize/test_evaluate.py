"""Evaluation: the right task, the right numbers, on the oracle, in LiteRT, on a device."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.e2e import serialkit
from tests.support import REPOSITORY, require
from tinydeploy import pipeline
from tinydeploy.build import BuildRequest
from tinydeploy.cli import main
from tinydeploy.errors import InputError
from tinydeploy.graph import DType
from tinydeploy.ops.quantize import FromFloat, reference
from tinydeploy.quantize import data, scoring
from tinydeploy.quantize import modelfile as mf
from tinydeploy.quantize.evaluate import EvaluateRequest, class_names, evaluate
from tinydeploy.quantize.subject import Port, computes_in, open_subject
from tinydeploy.report.evaluation import to_dict

DIGITS = REPOSITORY / "examples" / "digits"
INT8 = DIGITS / "digits_int8.tflite"
FLOAT = DIGITS / "digits_float.tflite"
TEST = DIGITS / "digits_eval.npz"


def _request(*models: Path, **options: object) -> EvaluateRequest:
    found = data.load(str(TEST))
    return EvaluateRequest(models, found, "digits", **options)  # type: ignore[arg-type]


def test_accuracy_is_that_of_a_plain_loop() -> None:
    require("oracle")
    found = evaluate(_request(INT8))
    (model,) = found.models
    subject = open_subject(INT8)
    with np.load(TEST) as arrays:
        images, labels = arrays[arrays.files[0]], arrays["labels"]
    right = sum(
        int(np.argmax(subject.run([subject.inputs[0].stored(image[None])])[0]) == label)
        for image, label in zip(images, labels, strict=True)
    )
    assert found.task == "classification"
    assert model.metrics[0].estimate.value == right / len(labels)
    assert sum(map(sum, model.confusion)) == len(labels)
    assert sum(model.confusion[i][i] for i in range(10)) == right
    assert model.engine.name == "tflite-micro"
    assert json.loads(json.dumps(to_dict(found), allow_nan=False))["schema"] == 1


def test_a_set_that_is_quantised_already_gives_the_same() -> None:
    require("oracle")
    port = open_subject(INT8).inputs[0]
    with np.load(TEST) as arrays:
        images, labels = arrays[arrays.files[0]], arrays["labels"]
    stored = data.from_arrays(port.stored(images), labels)
    before = evaluate(_request(INT8)).models[0]
    after = evaluate(replace(_request(INT8), data=stored)).models[0]
    assert after.confusion == before.confusion


def test_float_beside_int8() -> None:
    require("oracle", "ptq")
    found = evaluate(_request(FLOAT, INT8, metric="top-2", histograms=True))
    assert [m.engine.name for m in found.models] == ["LiteRT", "tflite-micro"]
    assert [m.numbers for m in found.models] == ["float32", "int8"]
    assert found.models[0].metrics[0].name == "top-2"
    (comparison,) = found.comparisons
    assert comparison.test == "McNemar"
    assert not comparison.significant
    assert found.models[0].histograms == ()
    kinds = {h.kind for h in found.models[1].histograms}
    assert kinds == {"weights", "activations"}
    for h in found.models[1].histograms:
        assert sum(h.counts) > 0
        assert 0 <= h.clipped < 0.05


def test_a_float_model_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    """LiteRT opens it, and only finds out when it runs."""
    require("ptq")
    model = mf.read(FLOAT.read_bytes(), "m")
    weights = model.subgraphs[0].operators[0].inputs[1]
    model.buffers[model.subgraphs[0].tensors[weights].buffer].data = None
    path = tmp_path / "hollow.tflite"
    path.write_bytes(mf.write(model))
    with pytest.raises(InputError, match=r"LiteRT cannot run .*hollow\.tflite: .*lacks data"):
        evaluate(_request(path))


@pytest.mark.toolchain
@pytest.mark.slow
def test_the_device_gets_and_gives_the_same() -> None:
    require("oracle", "unicorn", "zig")
    request = _request(INT8, samples=20)
    here = evaluate(request).models[0]
    there = evaluate(replace(request, on="unicorn", board="nucleo_l4r5zi")).models[0]
    assert there.device is not None
    assert (there.device.equal, there.device.inferences) == (20, 20)
    assert there.device.inference
    assert there.confusion == here.confusion
    assert there.metrics == here.metrics


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": "moon", "board": "host"}, "unknown runner 'moon'"),
        ({"on": "unicorn"}, "needs a board"),
        ({"port": "COM3"}, "--port is for --on serial"),
        ({"metric": "mse"}, "says nothing about classification"),
        ({"metric": "top-0"}, "unknown metric"),
        ({"metric": "luck"}, "unknown metric"),
        ({"labels": ("a", "b")}, "2 labels"),
        ({"confidence": 2.0}, "confidence is 2"),
    ],
)
def test_bad_requests(
    options: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require("oracle")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        evaluate(_request(INT8, samples=5, **options))


def test_pixels_that_were_not_normalised_are_noticed() -> None:
    require("oracle")
    with np.load(TEST) as arrays:
        images, labels = arrays[arrays.files[0]], arrays["labels"]
    pixels = data.from_arrays(images.astype(np.float32) * 255, labels)
    found = evaluate(replace(_request(INT8), data=pixels))
    assert "another normalisation" in " ".join(found.models[0].warnings)


@pytest.mark.parametrize(
    ("label", "given", "answered", "task"),
    [
        (3, (1, 8, 8, 1), (1, 10), "classification"),
        (0, (1, 640), (1, 640), "anomaly"),
        (1, (1, 4), (1, 1), "classification"),
        (None, (1, 640), (1, 640), "regression"),
        (np.array([0.0, 1.0, 0.0]), (1, 8), (1, 3), "classification"),
        (np.array([0.1, 1.0, 0.0]), (1, 8), (1, 3), "regression"),
        (np.array([0.5]), (1, 1), (1, 1), "regression"),
    ],
)
def test_the_task_is_told_by_labels_and_shapes(
    label: object, given: tuple[int, ...], answered: tuple[int, ...], task: str
) -> None:
    assert scoring.task_of(label, given, answered) == task  # type: ignore[arg-type]


def test_labels_that_fit_nothing() -> None:
    with pytest.raises(InputError, match="have no labels"):
        scoring.task_of(None, (1, 8), (1, 3))
    with pytest.raises(InputError, match="a label has 4 numbers"):
        scoring.task_of(np.zeros(4), (1, 8), (1, 3))
    scores = scoring.Scores("classification")
    with pytest.raises(InputError, match="label is 7, the classes are 0 to 2"):
        scores.add(7, [np.zeros(3)], [])
    with pytest.raises(InputError, match="no label"):
        scores.add(None, [np.zeros(3)], [])


def test_anomalies_are_scored_by_reconstruction_error_over_windows(models: Path) -> None:
    require("oracle")
    path = models / "ad_int8.tflite"
    port = open_subject(path).inputs[0]
    rng = np.random.default_rng(5)
    low, high = port.holds or (0, 1)
    flat = np.full((6, 3, 640), (low + high) / 2) + rng.normal(0, 0.3, (6, 3, 640))
    wild = rng.uniform(low, high, (6, 3, 640))
    files = np.concatenate([flat, wild]).astype(np.float32)
    labels = np.repeat([0, 1], 6)
    found = evaluate(EvaluateRequest((path,), data.from_arrays(files, labels), "windows"))
    assert found.task == "anomaly"
    assert found.models[0].metrics[0].estimate.value == 1.0
    # The same without labels: the mean error of the reconstruction.
    found = evaluate(EvaluateRequest((path,), data.from_arrays(files), "windows"))
    assert found.task == "regression"
    assert [m.name for m in found.models[0].metrics] == ["mse", "mae"]


def test_what_differs_is_significant() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 300)
    good, bad = scoring.Scores("classification"), scoring.Scores("classification")
    for i, label in enumerate(labels):
        row = np.eye(4)[label]
        good.add(int(label), [row], [])
        bad.add(int(label), [np.roll(row, i % 5 == 0)], [])
    pair = scoring.scored(good), scoring.scored(bad)
    for metric in ("accuracy", "f1", "auc"):
        compared = scoring.compare(("a", "b"), *pair, metric, 0.95)
        assert compared.significant
        assert compared.difference.high < 0
        same = scoring.compare(("a", "a"), pair[0], pair[0], metric, 0.95)
        assert not same.significant
        assert same.difference.value == 0


@pytest.mark.parametrize("zero", [-128, -3, 0, 90])
def test_inputs_are_quantised_as_the_operator_does(zero: int) -> None:
    values = np.random.default_rng(1).uniform(-3, 3, 2000).astype(np.float32)
    values[:8] = np.float32(0.02) * np.array([0.5, 1.5, -0.5, -1.5, 1e6, -1e6, 0, 126.5])
    port = Port("x", (2000,), np.dtype(np.int8), 0.02, zero)
    (expected,) = reference(FromFloat(2000, zero, 0.02, DType.INT8), [values])
    assert np.array_equal(port.stored(values), expected)
    assert np.abs(port.real(port.stored(port.real(expected))) - port.real(expected)).max() == 0


def test_what_a_model_computes_in(models: Path) -> None:
    told = {p.stem: computes_in(p.read_bytes(), p.name) for p in models.glob("*.tflite")}
    assert told.pop("kws_float") == "float32, weights int8"
    assert set(told.values()) == {"int8"}


def test_names_of_classes() -> None:
    assert class_names((), 3) == ("0", "1", "2")
    assert class_names(("a", "b"), 2) == ("a", "b")


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["evaluate", *arguments])
    return result.exit_code, result.output


def test_the_command(tmp_path: Path) -> None:
    require("oracle")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"digit {i}" for i in range(10)))
    page = tmp_path / "page.html"
    common = (str(INT8), "--eval", str(TEST), "--samples", "60", "--labels", str(labels))
    code, shown = _run(*common, "--html", str(page))
    assert code == 0
    assert "digit 7" in shown
    assert "digit 7" in page.read_text()
    code, shown = _run(*common, "--json")
    assert (code, json.loads(shown)["samples"]) == (0, 60)
    code, shown = _run(str(INT8), "--eval", "nothing.npz")
    assert code == 2
    assert "there is no nothing.npz" in shown


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, tinydeploy.cli, tinydeploy.quantize.evaluate, tinydeploy.quantize.data\n"
        "import tinydeploy.quantize.loaders, tinydeploy.report.html\n"
        "heavy = {'tensorflow', 'ai_edge_litert', 'ai_edge_quantizer', 'PIL', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        cwd=REPOSITORY,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.toolchain
@pytest.mark.emulator
def test_a_board_at_a_serial_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU's pseudo-terminal stands for the port of a board that was flashed before."""
    require("oracle", "qemu")
    monkeypatch.chdir(tmp_path)
    board = "mps2_an386"
    built = pipeline.build(BuildRequest(INT8, board))
    with serialkit.on_terminal(built.firmware.board, built.firmware.elf) as machine:
        request = _request(INT8, samples=10, on="serial", board=board, port=machine.port)
        there = evaluate(request).models[0]
    assert there.device is not None
    assert (there.device.equal, there.device.inferences) == (10, 10)
    assert there.confusion == evaluate(_request(INT8, samples=10)).models[0].confusion
