"""Leaving out dead channels changes no output and no channel that is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import MODELS, require
from tests.unit.deadnets import DeadNetwork, random_network
from tinydeploy import pipeline, reference
from tinydeploy.build import BuildRequest
from tinydeploy.graph import Graph
from tinydeploy.inputs import random_inputs
from tinydeploy.tflite.reader import loads
from tinydeploy.transforms.dead_channels import drop_dead_channels


def same(graph: Graph, smaller: Graph, inputs: int = 2) -> None:
    """Both compute the same outputs, and in every layer the same channels."""
    for sample in random_inputs(graph, inputs):
        for a, b in zip(reference.run(graph, sample), reference.run(smaller, sample), strict=True):
            np.testing.assert_array_equal(a, b)
        whole, part = reference.run_layers(graph, sample), reference.run_layers(smaller, sample)
        for node in smaller.nodes:
            tensor = smaller.tensors[node.outputs[0]]
            wanted = whole[node.index]
            if tensor.kept is not None:
                wanted = tensor.kept.take(wanted)
            assert part[node.index].shape == tensor.shape
            np.testing.assert_array_equal(part[node.index], wanted)


def left_out(graph: Graph) -> int:
    """Channels of all tensors."""
    kept = [t.kept for t in graph.tensors if t.kept is not None]
    return sum(k.of - len(k.channels) for k in kept)


def macs(graph: Graph) -> int:
    return sum(getattr(node.params, "macs", 0) for node in graph.nodes)


@pytest.mark.parametrize("block", range(8))
def test_random_networks(block: int) -> None:
    smaller_ones = 0
    for seed in range(40 * block, 40 * (block + 1)):
        graph = loads(random_network(seed), f"net{seed}")
        smaller = drop_dead_channels(graph)
        same(graph, smaller)
        smaller_ones += macs(smaller) < macs(graph)
    assert smaller_ones > 15


def _chain(*, zero_point: int = -5, dead: int = 9) -> DeadNetwork:
    """A convolution of 16 channels, of which the first ones are -128, depthwise, pointwise."""
    made = DeadNetwork(0)
    made.rng = made.network.rng = np.random.default_rng(7)
    made.conv(16, 1, relu=False)
    _edit(made, dead)
    tensor = made.network.tensors[made.last]
    made.network.tensors[made.last] = type(tensor)(
        tensor.shape, tensor.type, tensor.scales, (zero_point,)
    )
    return made


def _edit(made: DeadNetwork, dead: int) -> None:
    """The last layer: `dead` channels come from a bias of -2^22, the others are alive."""
    network = made.network
    _, kernel, bias = network.operators[-1].inputs
    weights = np.array(network.tensors[kernel].data)
    weights[:] = made.rng.integers(1, 100, weights.shape)
    sums = np.array(network.tensors[bias].data)
    sums[:] = 0
    sums[:dead] = -(1 << 22)
    for index, data, scale in ((kernel, weights, 0.004), (bias, sums, 0.004 * 0.06)):
        count = len(sums)
        network.tensors[index] = type(network.tensors[index])(
            data.shape, network.tensors[index].type, (scale,) * count, (0,) * count, 0, data
        )


def test_dead_channels_go_through_depthwise() -> None:
    made = _chain(zero_point=-128)
    made.depthwise()
    made.conv(8, 1)
    _edit(made, 0)
    graph = loads(made.file(), "net")
    smaller = drop_dead_channels(graph)
    same(graph, smaller)
    assert smaller.nodes[0].params.out_c == smaller.nodes[1].params.in_c <= 8
    assert smaller.nodes[2].params.in_c == smaller.nodes[1].params.out_c


def test_a_border_is_no_constant() -> None:
    """A dead channel that is not 0 adds less where a window reaches beyond the image."""
    kept = {}
    for zero_point, padded in ((-128, True), (-5, True), (-5, False)):
        made = _chain(zero_point=zero_point)
        made.conv(8, 3, same=padded)
        _edit(made, 0)
        graph = loads(made.file(), "net")
        smaller = drop_dead_channels(graph)
        same(graph, smaller)
        kept[zero_point, padded] = smaller.nodes[1].params.in_c
    assert kept[-5, True] == 16
    assert max(kept[-128, True], kept[-5, False]) <= 8


def test_what_the_user_reads_stays_whole() -> None:
    made = _chain(zero_point=-128)
    middle = made.last
    made.conv(8, 1)
    _edit(made, 0)
    graph = loads(made.file(middle), "net")
    smaller = drop_dead_channels(graph)
    same(graph, smaller)
    assert smaller.tensors[middle].shape == graph.tensors[middle].shape
    assert smaller.nodes[0].params.out_c == 16


def test_nothing_is_dead() -> None:
    made = _chain(dead=0)
    made.conv(8, 1)
    _edit(made, 0)
    graph = loads(made.file(), "net")
    assert drop_dead_channels(graph) is graph


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("board", "runner"),
    [
        ("host", "host"),
        ("generic_cortex_m0", "unicorn"),
        ("generic_cortex_m4", "unicorn"),
        pytest.param("mps3_an547", "qemu", marks=pytest.mark.emulator),
    ],
)
def test_on_cores(board: str, runner: str, tmp_path: Path) -> None:
    """Built and compared with TFLite Micro, layer by layer, which knows of no dead channels."""
    require("host-cc" if board == "host" else runner, "oracle")
    for seed in range(4 if board == "host" else 2):
        model = tmp_path / f"net{seed}.tflite"
        model.write_bytes(random_network(seed))
        out = tmp_path / f"{board}{seed}"
        request = BuildRequest(model=model, board=board, out=out, sanitize=board == "host")
        built = pipeline.build(request)
        inputs = random_inputs(built.prepared.graph, 3)
        report, _ = pipeline.prove(built, inputs, runner=runner, layers=True)
        assert report.outcome == "verified", report.verify
        assert all(layer.equal for layer in report.layers if layer.kernel)


def test_a_real_model() -> None:
    """MLPerf Tiny's visual wake words: most channels of its later layers are dead."""
    require("models")
    path = MODELS / "vww_int8.tflite"
    graph = loads(path.read_bytes(), "vww")
    smaller = drop_dead_channels(graph)
    same(graph, smaller, inputs=1)
    assert macs(graph) == 7_489_664
    assert macs(smaller) < 0.6 * macs(graph)
    assert left_out(smaller) > 1000
