"""What `--inputs` takes and refuses; what `--save-outputs` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import REPOSITORY
from tinydeploy.errors import InputError
from tinydeploy.graph import Graph
from tinydeploy.inputs import read_inputs, write_outputs
from tinydeploy.tflite.reader import load

DIGITS = REPOSITORY / "examples" / "digits"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load(DIGITS / "digits_int8.tflite")


def test_random_inputs_are_the_same_every_time_and_reach_the_corners(graph: Graph) -> None:
    first, again = read_inputs("random:6", graph), read_inputs("random:6", graph)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert {int(sample[0].min()) for sample in first} >= {-128, 127}
    assert first[0][0].shape == (1, 8, 8, 1)
    assert first[0][0].dtype == np.int8


@pytest.mark.parametrize("spec", ["random:0", "random:", "random:-1", "random:x", "random:9999999"])
def test_senseless_counts_are_refused(spec: str, graph: Graph) -> None:
    with pytest.raises(InputError, match="asks for no number of inputs"):
        read_inputs(spec, graph)


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (3, 8, 8, 1), (3, 1, 8, 8, 1)])
def test_arrays_with_and_without_batch(
    shape: tuple[int, ...], graph: Graph, tmp_path: Path
) -> None:
    values = np.arange(np.prod(shape)).astype(np.int8).reshape(shape)
    np.save(tmp_path / "x.npy", values)
    samples = read_inputs(str(tmp_path / "x.npy"), graph)
    assert b"".join(s[0].tobytes() for s in samples) == values.tobytes()
    assert all(s[0].shape == (1, 8, 8, 1) for s in samples)


def test_the_one_array_that_fits_is_found_among_labels(graph: Graph) -> None:
    assert len(read_inputs(str(DIGITS / "digits_test.npz"), graph)) == 450


def test_what_is_not_the_input_is_refused(graph: Graph, tmp_path: Path) -> None:
    bad = {
        "float32": (np.zeros((1, 8, 8, 1), np.float32), "holds float32"),
        "shape": (np.zeros((2, 8, 9, 1), np.int8), r"holds \[2, 8, 9, 1\]"),
        "none": (np.zeros((0, 8, 8, 1), np.int8), "holds no sample"),
    }
    for name, (array, message) in bad.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, array)
        with pytest.raises(InputError, match=message) as refused:
            read_inputs(str(path), graph)
        if name == "shape":
            assert refused.value.hint == "give [N, 1, 8, 8, 1]"
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    text = tmp_path / "text.npz"
    text.write_text("no zip")
    for path in (objects, text):
        with pytest.raises(InputError, match=r"is not a|holds Python objects"):
            read_inputs(str(path), graph)
    with pytest.raises(InputError, match=r"absent\.npz"):
        read_inputs(str(tmp_path / "absent.npz"), graph)


def test_saved_outputs_read_back(graph: Graph, tmp_path: Path) -> None:
    rows = [[np.full((1, 10), i, np.int8)] for i in range(3)]
    write_outputs(tmp_path / "y.npz", graph, rows)
    with np.load(tmp_path / "y.npz") as saved:
        (name,) = saved.files
        assert saved[name].shape == (3, 1, 10)
        assert saved[name][2].max() == 2
