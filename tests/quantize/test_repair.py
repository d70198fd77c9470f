"""Repairs: what they must not change, and that each brings something where it can."""

from __future__ import annotations

import numpy as np
import pytest

from tests.quantize import badly_scaled, floats
from tests.support import require
from tinydeploy.errors import InputError
from tinydeploy.quantize import repair
from tinydeploy.quantize.calibrate import model_inputs, observe
from tinydeploy.quantize.compare import Yardstick, yardstick
from tinydeploy.quantize.data import Dataset, from_arrays
from tinydeploy.quantize.floatmodel import FloatModel, prepare
from tinydeploy.quantize.floatrun import Runner
from tinydeploy.quantize.ptq import quantize
from tinydeploy.quantize.repair import bias_correction, clip, equalise, fold_bn
from tinydeploy.quantize.repair.editing import Editor
from tinydeploy.quantize.schemes import Scheme
from tinydeploy.quantize.statistics import Statistics


@pytest.fixture(autouse=True)
def _needs_packages() -> None:
    require("ptq", "oracle")


PER_TENSOR = Scheme(per_channel=False)


def subject(**how: object) -> tuple[FloatModel, Dataset, Yardstick]:
    """A made-up network, calibration data, and what to compare with."""
    content = badly_scaled.network(**how)  # type: ignore[arg-type]
    model = prepare(content, "made up")
    return (
        model,
        badly_scaled.data(content, 100),
        yardstick(model, badly_scaled.data(content, 150, seed=5)),
    )


def quantised(model: FloatModel, statistics: Statistics, scheme: Scheme) -> bytes:
    return quantize(model, statistics.ranges("minmax"), scheme)


def repaired(name: str, scheme: Scheme, **how: object) -> tuple[repair.Step, repair.Step]:
    """(before, after) one repair."""
    model, data, measure = subject(**how)
    done = repair.run(
        model,
        [name],
        data,
        lambda m, s: quantised(m, s, scheme),
        scheme,
        measure=measure,
    )
    before, after = done.steps
    return before, after


def error(step: repair.Step) -> float:
    assert step.score is not None
    return step.score.error


def right(step: repair.Step) -> int:
    assert step.score is not None
    assert step.score.correct is not None
    return step.score.correct


def same_function(before: FloatModel, after: bytes, data: Dataset) -> float:
    return repair.deviation(before.content, after, tuple(model_inputs(before, data)))


# ---- Batch-norm folding ---------------------------------------------------------------------


def test_folding_takes_out_mul_and_add_and_keeps_the_function() -> None:
    model, data, _ = subject(batch_norm=True)
    change = fold_bn.repair(model, None, Scheme())
    ops = [layer.op for layer in prepare(change.content).layers]
    assert "MUL" not in ops
    assert "ADD" not in ops
    assert change.layers == 1
    assert same_function(model, change.content, data) < 1e-5
    plain = prepare(badly_scaled.network())
    assert [x.op for x in plain.layers] == ops


def test_folding_brings_accuracy() -> None:
    before, after = repaired("fold-bn", Scheme(), batch_norm=True)
    assert error(after) < error(before) / 3
    assert right(after) > right(before) + 15


def test_folding_leaves_an_operand_that_is_computed() -> None:
    tensors = [
        floats.tensor("x", 1, 4, 4, 3),
        floats.weights("w", floats.noise(8, 1, 1, 3)),
        floats.weights("b", floats.noise(8)),
        floats.tensor("a", 1, 4, 4, 8),
        floats.tensor("y", 1, 4, 4, 8),
    ]
    layers = [("CONV_2D", ["x", "w", "b"], "a"), ("MUL", ["a", "a"], "y")]
    model = prepare(floats.network(tensors, layers, ["x"], ["y"]))
    assert fold_bn.repair(model, None, Scheme()).layers == 0


def test_folding_leaves_a_tensor_that_others_read() -> None:
    tensors = [
        floats.tensor("x", 1, 4, 4, 3),
        floats.weights("w", floats.noise(8, 1, 1, 3)),
        floats.weights("b", floats.noise(8)),
        floats.weights("f", floats.noise(8, seed=3)),
        floats.tensor("a", 1, 4, 4, 8),
        floats.tensor("y", 1, 4, 4, 8),
    ]
    layers = [("CONV_2D", ["x", "w", "b"], "a"), ("MUL", ["a", "f"], "y")]
    model = prepare(floats.network(tensors, layers, ["x"], ["y", "a"]))
    assert fold_bn.repair(model, None, Scheme()).layers == 0


@pytest.mark.parametrize("op", ["MUL", "ADD", "SUB", "DIV"])
@pytest.mark.parametrize("constant_first", [False, True])
def test_folding_every_operator(op: str, constant_first: bool) -> None:
    data = floats.noise(5, 4, 4, 3)
    factor = np.abs(floats.noise(8, seed=3)) + 0.5
    tensors = [
        floats.tensor("x", 1, 4, 4, 3),
        floats.weights("w", floats.noise(8, 1, 1, 3)),
        floats.weights("b", floats.noise(8)),
        floats.weights("f", factor),
        floats.tensor("a", 1, 4, 4, 8),
        floats.tensor("y", 1, 4, 4, 8),
    ]
    operands = ["f", "a"] if constant_first else ["a", "f"]
    layers = [("CONV_2D", ["x", "w", "b"], "a"), (op, operands, "y")]
    model = prepare(floats.network(tensors, layers, ["x"], ["y"]))
    change = fold_bn.repair(model, None, Scheme())
    if op == "DIV" and constant_first:
        assert change.layers == 0
        return
    assert [layer.op for layer in prepare(change.content).layers] == ["CONV_2D"]
    inputs = [(x[None],) for x in data]
    assert repair.deviation(model.content, change.content, inputs) < 1e-5


# ---- Equalisation ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [Scheme(), PER_TENSOR], ids=["channel", "tensor"])
def test_equalisation_keeps_the_function(scheme: Scheme) -> None:
    model, data, _ = subject()
    change = equalise.repair(model, observe(model, data), scheme)
    assert change.layers == 4
    assert same_function(model, change.content, data) < 1e-5


def test_equalisation_without_data_is_as_in_the_paper() -> None:
    model, data, _ = subject()
    change = equalise.repair(model, None, PER_TENSOR)
    assert same_function(model, change.content, data) < 1e-5
    editor = Editor(prepare(change.content))
    stem, spatial = editor.linears()[:2]
    rows = stem.by_output(editor.weights_of(stem))
    columns = spatial.by_input(editor.weights_of(spatial), badly_scaled.CHANNELS)
    ratio = rows / columns
    assert ratio.max() / ratio.min() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("scheme", [Scheme(), PER_TENSOR], ids=["channel", "tensor"])
def test_equalisation_brings_accuracy(scheme: Scheme) -> None:
    before, after = repaired("equalise", scheme)
    assert error(after) < error(before) / 10
    assert right(after) > right(before) + 5


def test_equalisation_evens_out_the_activations() -> None:
    model, data, _ = subject()
    change = equalise.repair(model, observe(model, data), Scheme())
    name = model.layers[0].name

    def spread(m: FloatModel) -> float:
        sizes = observe(m, data).tensors[name].channel_max
        return float(sizes.max() / sizes[sizes > 0].min())

    assert spread(model) > 100
    assert spread(prepare(change.content)) < 4


def test_equalisation_leaves_a_relu6_that_is_reached() -> None:
    model, data, _ = subject(activation=badly_scaled.RELU6, spread=4.0)
    change = equalise.repair(model, observe(model, data), Scheme())
    assert change.layers == 0
    assert change.content == model.content
    assert "ReLU6" in change.notes[0]


def test_equalisation_makes_a_relu6_that_is_never_reached_a_relu() -> None:
    model, data, _ = subject(activation=badly_scaled.RELU6, spread=4.0)
    editor = Editor(model)
    stem = editor.linears()[0]  # its activations are made small: 6 is out of reach
    editor.set(stem.operator, stem.weights, editor.weights_of(stem) * 0.01)
    editor.set_bias(stem, editor.bias_of(stem) * 0.01)
    small = prepare(editor.content())
    change = equalise.repair(small, observe(small, data), Scheme())
    assert change.layers > 0
    assert same_function(small, change.content, data) < 1e-5
    after = Editor(prepare(change.content))
    assert after.activation(after.operators[0]) == badly_scaled.RELU
    assert equalise.repair(small, None, PER_TENSOR).layers == 0  # nothing is known without data


def test_equalisation_stops_at_branches() -> None:
    tensors = [
        floats.tensor("x", 1, 4, 4, 8),
        floats.weights("w", floats.noise(8, 1, 1, 8)),
        floats.weights("v", floats.noise(8, 1, 1, 8, seed=1)),
        floats.weights("b", floats.noise(8)),
        floats.tensor("a", 1, 4, 4, 8),
        floats.tensor("c", 1, 4, 4, 8),
        floats.tensor("y", 1, 4, 4, 8),
    ]
    layers = [
        ("CONV_2D", ["x", "w", "b"], "a"),
        ("CONV_2D", ["a", "v", "b"], "c"),
        ("ADD", ["a", "c"], "y"),
    ]
    model = prepare(floats.network(tensors, layers, ["x"], ["y"]))
    assert equalise.repair(model, None, PER_TENSOR).layers == 0


def test_equalisation_of_digits_goes_through_pooling_and_flattening() -> None:
    model, data = floats.digits(), floats.digits_data()
    change = equalise.repair(model, observe(model, data), Scheme())
    assert change.layers == 6
    assert same_function(model, change.content, data) < 1e-5


def test_a_repair_that_changes_the_function_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data, _ = subject()
    real = equalise.repair

    def wrong(m: FloatModel, s: Statistics | None, scheme: Scheme) -> repair.Change:
        editor = Editor(prepare(real(m, s, scheme).content))
        stem = editor.linears()[0]
        editor.set(stem.operator, stem.weights, editor.weights_of(stem) * 1.01)
        return repair.Change(editor.content(), 1)

    monkeypatch.setattr(equalise, "repair", wrong)
    done = repair.run(model, ["equalise"], data, lambda m, s: b"", Scheme())
    assert done.model is model
    assert "left out" in done.steps[1].notes[0]


# ---- Clipping -------------------------------------------------------------------------------


def test_clipping_finds_the_threshold_with_the_least_error() -> None:
    rng = np.random.default_rng(0)
    row = rng.standard_normal(5000) * 0.1
    row[0] = 1.0
    limits, before, after = clip.best_limits(row[None])
    assert limits[0] == pytest.approx(1.0, abs=1e-9) or after < before
    crowded = np.concatenate([row, row * 0.9, row * 0.8])
    crowded[[0, 5000, 10000]] = 0.45
    limits, before, after = clip.best_limits(crowded[None])
    assert after <= before
    step = limits[0] / 127
    own = float(((np.clip(np.rint(crowded / step), -127, 127) * step - crowded) ** 2).sum())
    assert own == pytest.approx(after)


def test_clipping_brings_accuracy_where_few_of_many_weights_are_large() -> None:
    rng = np.random.default_rng(2)
    weights = rng.standard_normal((256, 512)) * 0.02
    weights[3, 7] = 1.0  # one scale for all of them: 127 steps up to this one
    model = prepare(floats.dense(weights, np.zeros(256)))
    data = from_arrays(floats.noise(50, 512))
    done = repair.run(
        model,
        ["clip"],
        data,
        lambda m, s: quantised(m, s, PER_TENSOR),
        PER_TENSOR,
        measure=yardstick(model, data),
    )
    before, after = done.steps
    assert after.layers == 1
    assert "squared error of all weights falls" in after.notes[0]
    assert error(after) < error(before) * 0.9


# ---- Bias correction ------------------------------------------------------------------------


def test_bias_correction_brings_accuracy() -> None:
    before, after = repaired("bias-correction", Scheme(), activation=badly_scaled.RELU6, spread=4.0)
    assert after.layers == 4
    assert error(after) < error(before) * 0.7


def test_bias_correction_is_done_once_and_for_all() -> None:
    model, data, _ = subject()
    inputs = tuple(model_inputs(model, data))
    content = quantised(model, observe(model, data), Scheme())
    once = bias_correction.repair(model, content, inputs)
    again = bias_correction.repair(model, once.content, inputs)
    assert once.layers == 4
    assert again.layers == 0


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(kind="int16x8")], ids=["int8", "int16"])
def test_bias_correction_changes_nothing_but_biases(scheme: Scheme) -> None:
    from tinydeploy.tflite import reader

    model, data = floats.digits(), floats.digits_data()
    content = quantised(model, observe(model, data), scheme)
    change = bias_correction.repair(model, content, tuple(model_inputs(model, data)))
    before, after = reader.loads(content, "a"), reader.loads(change.content, "b")
    for one, other in zip(before.tensors, after.tensors, strict=True):
        assert one.quantization == other.quantization
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        if one.data is not None and one.data.ndim > 1:
            assert np.array_equal(one.data, other.data)  # type: ignore[arg-type]


def test_means_are_those_of_the_real_layers() -> None:
    """What is computed from the mean of what weights meet is the mean of the layer's output."""
    model = floats.digits()
    editor = Editor(model)
    inputs = tuple(model_inputs(model, floats.digits_data()))[:10]
    layers = editor.linears()
    for layer in layers:
        if layer.op != "FULLY_CONNECTED":
            editor.set_activation(layer.operator, 0)
    plain = prepare(editor.content())  # no activation function: outputs are the sums themselves
    means = bias_correction._float_means(plain, Editor(plain), layers, inputs)
    runner = Runner(plain.content, keep=True)
    for layer, mean in zip(layers, means, strict=True):
        name = plain.layers[layer.index].name
        seen = []
        for values in inputs:
            runner.run(values)
            output = runner.tensor(plain.tensors[name].index)
            seen.append(output.reshape(-1, output.shape[-1]).mean(axis=0))
        assert np.allclose(np.mean(seen, axis=0), mean, atol=1e-4 * np.abs(mean).max())


# ---- Together -------------------------------------------------------------------------------


def test_every_repair_says_what_it_brought() -> None:
    model, data, measure = subject(batch_norm=True)
    names = repair.parse("all")
    done = repair.run(
        model, names, data, lambda m, s: quantised(m, s, Scheme()), Scheme(), measure=measure
    )
    assert [s.name for s in done.steps] == ["", *repair.REPAIRS]
    assert all(s.score is not None for s in done.steps)
    assert error(done.steps[-1]) < error(done.steps[0]) / 30


def test_repairs_are_done_in_their_order() -> None:
    assert repair.parse("bias-correction, fold-bn") == ("fold-bn", "bias-correction")
    assert repair.parse("") == ()
    with pytest.raises(InputError, match="'magic' is no repair"):
        repair.parse("fold-bn,magic")
