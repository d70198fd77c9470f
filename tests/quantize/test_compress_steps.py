"""Each step by itself, on a network with a residual, a depthwise layer and a concatenation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.quantize import keraskit
from tests.support import require
from tinydeploy.errors import InputError
from tinydeploy.quantize.compress import cluster, distill, filters, prune, qat
from tinydeploy.quantize.compress.recipe import Step
from tinydeploy.quantize.compress.training import (
    Training,
    find_task,
    fit,
    keeps_zeros,
    predict,
    seed_everything,
)
from tinydeploy.quantize.data import from_arrays
from tinydeploy.quantize.frameworks import module
from tinydeploy.tflite.reader import loads

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DATA = from_arrays(*keraskit.pictures(256, 1))
TEST = from_arrays(*keraskit.pictures(128, 2))


@pytest.fixture(scope="module")
def keras2() -> Any:
    require("tensorflow")
    return module("tf_keras")


@pytest.fixture(scope="module")
def trained(keras2: Any) -> Any:
    seed_everything(1)
    model = keraskit.network(keras2)
    fit(model, _training(model, 6))
    assert _accuracy(model) > 0.9
    return model


def _training(model: Any, epochs: int, task: Any = None, **settings: Any) -> Training:
    task = task or find_task(model, settings.get("data", DATA), "auto")
    return Training(
        **{
            "data": DATA, "task": task, "epochs": epochs, "batch_size": 32, "optimizer": "adam",
            "learning_rate": 3e-3, "decay": "cosine", "shuffle": 64, "seed": 1, **settings,
        }
    )  # fmt: skip


def _accuracy(model: Any) -> float:
    right = [int(np.argmax(answer)) == sample.label for answer, sample in predict(model, TEST)]
    return float(np.mean(right))


def _kernels(model: Any) -> dict[str, Any]:
    return {la.name: np.asarray(la.kernel) for la in model.layers if hasattr(la, "kernel")}


# ---- Filters --------------------------------------------------------------------------------


def test_what_is_left_computes_what_it_computed(keras2: Any) -> None:
    """Without filters that gave nothing, the network answers as before, bit for bit or nearly."""
    model = keraskit.shaken(keraskit.network(keras2))
    channels = filters.trace(model)
    gone = filters.select(model, channels, Step("filters", remove=0.5), 0.5)
    for layer in model.layers:  # what reads a channel that goes no longer does
        if layer.name in channels.takes and hasattr(layer, "kernel"):
            weights = layer.get_weights()
            dead = np.isin(channels.roots(channels.takes[layer.name]), list(gone))
            weights[0][..., dead, :] = 0
            layer.set_weights(weights)
    small = filters.rebuild(model, channels, gone)
    assert small.count_params() < 0.5 * model.count_params()
    assert {k: v.shape for k, v in _kernels(small).items()} == {
        "stem": (3, 3, 1, 4),
        "mix": (1, 1, 4, 4),
        "side": (3, 3, 4, 4),
        "hidden": (4 * 4 * 8, 8),
        "class": (8, 4),
    }
    assert small.get_layer("spatial").get_weights()[0].shape == (3, 3, 4, 1)
    images, _ = keraskit.pictures(16)
    assert np.abs(np.asarray(model(images)) - np.asarray(small(images))).max() < 1e-5


def test_the_least_important_filters_go(keras2: Any) -> None:
    model = keraskit.shaken(keraskit.network(keras2))
    kernel, bias = model.get_layer("side").get_weights()
    kernel[..., [1, 4, 6]] *= 1e-3
    model.get_layer("side").set_weights([kernel, bias])
    small = filters.shrink(model, Step("filters", remove=0.375, layers=("side",)), 0.375)
    left = [0, 2, 3, 5, 7]
    assert np.array_equal(small.get_layer("side").get_weights()[0], kernel[..., left])
    assert _kernels(small)["stem"].shape == _kernels(model)["stem"].shape


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (Step("filters", remove=0.6, multiple_of=4), 4),
        (Step("filters", remove=0.4, multiple_of=4), 8),
        (Step("filters", remove=0.99), 1),
    ],
)
def test_as_many_are_left_as_asked(step: Step, wanted: int, keras2: Any) -> None:
    model = keraskit.shaken(keraskit.network(keras2))
    small = filters.shrink(model, step, step.remove or 0)
    assert _kernels(small)["side"].shape[-1] == wanted


def test_layers_of_every_kind_are_cut(keras2: Any) -> None:
    la = keras2.layers
    model = keras2.Sequential(
        [
            keras2.Input((8, 8, 1)),
            la.SeparableConv2D(6, 3, depth_multiplier=2),
            la.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
            la.Conv2DTranspose(4, 2),
            la.MaxPooling2D(),
            la.Reshape((4, 4)),
            la.Conv1D(6, 2),
            la.Flatten(),
            la.Dense(3),
        ]
    )
    keraskit.shaken(model)
    small = filters.shrink(model, Step("filters", remove=0.5), 0.5)
    assert small.output_shape == model.output_shape
    assert small.count_params() < model.count_params() / 2


def test_what_cannot_go_is_said(keras2: Any) -> None:
    model = keras2.Sequential([keras2.Input((4,)), keras2.layers.Dense(3)])
    with pytest.raises(InputError, match=r"no filter of .* can go"):
        filters.shrink(model, Step("filters", remove=0.5), 0.5)
    with pytest.raises(InputError, match="names 'nothing', which is no layer") as error:
        filters.shrink(model, Step("filters", remove=0.5, layers=("nothing",)), 0.5)
    assert "dense" in error.value.hint


# ---- Pruning, clustering --------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["polynomial", "constant"])
def test_pruned_layers_have_the_sparsity(schedule: Any, trained: Any) -> None:
    step = Step("prune", sparsity=0.75, schedule=schedule, skip=("stem",))
    made, notes = prune.run(trained, step, _training(trained, 2))
    found = {name: float((kernel == 0).mean()) for name, kernel in _kernels(made).items()}
    assert found["stem"] == 0
    assert all(abs(share - 0.75) < 0.02 for name, share in found.items() if name != "stem")
    assert "are zero" in notes[0]
    assert _accuracy(made) > 0.8
    assert (_kernels(trained)["mix"] != 0).all()


def test_a_pattern_holds_along_the_input_channels(trained: Any) -> None:
    made, _ = prune.run(trained, Step("prune", pattern="2:4"), _training(trained, 1))
    for name in ("mix", "side", "hidden"):
        kernel = _kernels(made)[name]
        blocks = np.moveaxis(kernel, -2, -1).reshape(-1, 4)
        assert ((blocks == 0).sum(1) >= 2).all(), name


def test_training_on_keeps_the_zeros(trained: Any) -> None:
    made, _ = prune.run(trained, Step("prune", sparsity=0.5), _training(trained, 1))
    zeros = {name: kernel == 0 for name, kernel in _kernels(made).items()}
    before = _kernels(made)["mix"].copy()
    fit(made, _training(made, 1), [keeps_zeros(made)])
    assert all((_kernels(made)[name][mask] == 0).all() for name, mask in zeros.items())
    assert not np.array_equal(before, _kernels(made)["mix"])


def test_clusters_share_values_and_keep_zeros(trained: Any) -> None:
    weights = [w.copy() for w in trained.get_weights()]
    sparse, _ = prune.run(trained, Step("prune", sparsity=0.5), _training(trained, 1))
    step = Step("cluster", clusters=8)
    made, notes = cluster.run(sparse, step, _training(sparse, 1), sparse=True)
    for name, kernel in _kernels(made).items():
        assert len(np.unique(kernel)) <= 8, name
        assert (kernel == 0).mean() >= 0.45, name
    assert _accuracy(made) > 0.8
    assert all(np.array_equal(a, b) for a, b in zip(weights, trained.get_weights(), strict=True))
    assert notes == []


# ---- QAT, distillation ----------------------------------------------------------------------


def _samples() -> Iterator[list[Any]]:
    for sample in TEST:
        yield [sample.inputs[0][np.newaxis]]


def _int8_kernels(content: bytes) -> list[Any]:
    graph = loads(content, "made")
    assert all(t.dtype.value in ("int8", "int32") for t in graph.tensors)
    ops = ("CONV_2D", "FULLY_CONNECTED")
    return [graph.tensors[n.inputs[1]].data for n in graph.nodes if n.op in ops]


class _Again:
    def __iter__(self) -> Iterator[list[Any]]:
        return _samples()


@pytest.mark.parametrize(("sparse", "clustered"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_training_quantised_keeps_what_was_won(sparse: int, clustered: int, trained: Any) -> None:
    model = trained
    if sparse:
        model, _ = prune.run(model, Step("prune", sparsity=0.5), _training(model, 1))
    if clustered:
        step = Step("cluster", clusters=8)
        model, _ = cluster.run(model, step, _training(model, 1), sparse=bool(sparse))
    task = find_task(trained, DATA, "auto")
    made, _ = qat.run(model, _training(model, 1, task), sparse=bool(sparse),
                      clustered=bool(clustered))  # fmt: skip
    assert _accuracy(made) > 0.8
    kernels = _int8_kernels(qat.to_int8(made, "made", _Again()))
    assert len(kernels) == 5
    for kernel in kernels:
        assert kernel is not None
        if sparse:
            assert (kernel == 0).mean() >= 0.45
        if clustered:  # per channel: each has scales of its own
            assert max(len(np.unique(channel)) for channel in kernel) <= 8


def test_ranges_start_at_what_is_seen(trained: Any) -> None:
    """A ReLU's range begins at 0, not at TF-MOT's -6, and nothing else changes."""
    made = qat.quantized(trained, sparse=False, clustered=False)
    before = {w.name: np.asarray(w) for w in made.weights}
    assert before["quant_side/post_activation_min:0"] == -6
    qat.settle(made, _training(made, 0, find_task(trained, DATA, "auto")))
    after = {w.name: np.asarray(w) for w in made.weights}
    assert after["quant_side/post_activation_min:0"] == 0
    assert after["quant_side/kernel_max:0"].max() < 2  # TF-MOT begins at 6
    images, _ = keraskit.pictures(256, 1)
    module("tf_keras").backend.clear_session()
    inner = module("tf_keras").Model(trained.inputs, trained.get_layer("side").output)
    largest = float(np.asarray(inner(images, training=True)).max())
    assert 0.5 * largest < after["quant_side/post_activation_max:0"] < 1.1 * largest
    changed = {n for n in before if not np.array_equal(before[n], after[n])}
    assert all(name.endswith(("_min:0", "_max:0")) for name in changed)


def test_a_layer_that_cannot_be_quantised_is_named(keras2: Any) -> None:
    class Odd(keras2.layers.Layer):  # type: ignore[misc]
        pass

    image = keras2.Input((8,))
    model = keras2.Model(image, Odd(name="odd_one")(keras2.layers.Dense(3)(image)))
    with pytest.raises(InputError, match=r"layer 'odd_one' \(Odd\)"):
        qat.quantized(model, sparse=False, clustered=False)


@pytest.mark.parametrize("quantised", [False, True])
def test_a_student_learns_from_its_teacher_alone(
    quantised: bool, trained: Any, keras2: Any
) -> None:
    """With weight 1 no label is looked at: they are wrong here."""
    images, labels = keraskit.pictures(256, 1)
    wrong = from_arrays(images, (labels + 1) % keraskit.CLASSES)
    seed_everything(2)
    student = keraskit.network(keras2, width=6)
    task = find_task(student, wrong, "auto")
    if quantised:
        student = qat.quantized(student, sparse=False, clustered=False)
    step = Step("distill", teacher="t", weight=1.0, features={"side": "side"}, qat=quantised)
    distill.run(student, trained, step, _training(student, 14, task, data=wrong), [])
    assert _accuracy(student) > 0.7


def test_a_teacher_that_does_not_fit_is_refused(trained: Any, keras2: Any) -> None:
    other = keras2.Sequential([keras2.Input((8, 8, 1)), keras2.layers.Flatten(),
                               keras2.layers.Dense(3)])  # fmt: skip
    task = find_task(trained, DATA, "auto")
    with pytest.raises(InputError, match="teacher's outputs"):
        distill.run(trained, other, Step("distill", teacher="t"), _training(trained, 1, task), [])
    step = Step("distill", teacher="t", features={"side": "stem"})
    with pytest.raises(InputError, match="only the channels may differ"):
        distill.run(trained, trained, step, _training(trained, 1, task), [])


# ---- Training -------------------------------------------------------------------------------


def test_tasks_follow_labels_and_layers(keras2: Any) -> None:
    def task(end: Any, labels: Any, *shape: int) -> Any:
        image = keras2.Input(shape or (4,))
        model = keras2.Model(image, end(image))
        return find_task(model, from_arrays(np.zeros((3, *(shape or (4,))), "f"), labels), "auto")

    dense = keras2.layers.Dense
    ints = np.array([0, 1, 2])
    assert task(dense(3), ints).kind == "crossentropy"
    assert task(dense(3), ints).from_logits
    assert task(dense(3), ints.astype(float)).kind == "crossentropy"
    assert not task(dense(3, activation="softmax"), np.eye(3)).from_logits
    assert task(dense(1, activation="sigmoid"), ints % 2).kind == "binary_crossentropy"
    assert task(dense(1), np.array([0.5, 1.5, 2.5])).kind == "mse"
    assert task(dense(4), None).reconstructs
    with pytest.raises(InputError, match="does not give back its input"):
        task(dense(3), None)


def test_bad_training_data_are_refused(trained: Any) -> None:
    images, labels = keraskit.pictures(64)
    task = find_task(trained, DATA, "auto")
    with pytest.raises(InputError, match="a label is 9"):
        fit(trained, _training(trained, 1, task, data=from_arrays(images, labels * 0 + 9)))
    images[5] = np.nan
    with pytest.raises(InputError, match="NaN"):
        fit(trained, _training(trained, 1, task, data=from_arrays(images, labels)))
    small = from_arrays(images[:, :4], labels)
    with pytest.raises(InputError, match=r"a sample of .* is \[4, 8, 1\]"):
        fit(trained, _training(trained, 1, task, data=small))


def test_memory_that_runs_out_is_said() -> None:
    from tinydeploy.quantize.frameworks import out_of_memory

    class ResourceExhaustedError(Exception):  # TensorFlow's, by its name
        pass

    assert out_of_memory(MemoryError())
    assert out_of_memory(ResourceExhaustedError())
    assert not out_of_memory(ValueError())
