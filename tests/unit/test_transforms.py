"""Passes change what they are for, and nothing else."""

from __future__ import annotations

from tinydeploy import transforms
from tinydeploy.tflite.reader import loads
from tinydeploy.tflite.writer import Model, Operator, Tensor, write


def network(*operators: Operator) -> bytes:
    """LOGISTIC operators over tensors of one kind; 0 is the input, 2 the output."""
    tensors = tuple(Tensor((1, 4), scales=(1 / 256,), zero_points=(-128,)) for _ in range(6))
    return write(Model(tensors, operators, (0,), (2,)))


def logistic(source: int, sink: int) -> Operator:
    return Operator("LOGISTIC", (source,), (sink,))


def test_dead_code_is_dropped_and_indices_stay() -> None:
    content = network(
        logistic(0, 3), logistic(0, 1), logistic(3, 4), logistic(1, 2), logistic(2, 5)
    )
    graph = transforms.apply(loads(content, "m"))
    assert [n.index for n in graph.nodes] == [1, 3]
    assert len(graph.tensors) == 6
    assert (graph.inputs, graph.outputs) == ((0,), (2,))


def test_nothing_to_drop() -> None:
    graph = loads(network(logistic(0, 1), logistic(1, 2)), "m")
    assert transforms.apply(graph) is graph


def test_layers_of_constants_are_read() -> None:
    """They are computed before the build, by `fold_constants`."""
    constant = Tensor((1, 4), scales=(1 / 256,), zero_points=(-128,), data=bytes([1, 2, 3, 4]))
    x = Tensor((1, 4), scales=(1 / 256,), zero_points=(-128,))
    tensors = (x, constant, x, x, x)
    adds = (Operator("LOGISTIC", (1,), (3,)), Operator("ADD", (0, 3), (2,)))
    graph = transforms.apply(loads(write(Model(tensors, adds, (0,), (2,))), "m"))
    assert [n.op for n in graph.nodes] == ["ADD"]
    assert graph.tensors[3].is_constant
