"""Leaving out dead channels changes no output and no channel that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.test_int16 import i8
from tests.support import MODELS, require
from tests.unit.deadnets import DeadNetwork, Shape, random_network
from tinydeploy import pipeline, reference
from tinydeploy.build import BuildRequest
from tinydeploy.device import LayerResult
from tinydeploy.graph import Array, Graph
from tinydeploy.inputs import random_inputs
from tinydeploy.ops.convolution import Requantization
from tinydeploy.ops.requantization_16x8 import Requantization16x8
from tinydeploy.tflite import writer
from tinydeploy.tflite.reader import loads
from tinydeploy.tflite.writer import Option
from tinydeploy.transforms.dead_channels import drop_dead_channels
from tinydeploy.verify import compare_layers


def extremes(graph: Graph) -> Iterator[list[Array]]:
    """Inputs that are all the smallest, the largest, 0, and each of the two at random."""
    rng = np.random.default_rng(0)
    tensors = [(graph.tensors[i], np.iinfo(graph.tensors[i].dtype.numpy)) for i in graph.inputs]
    yield [np.full(t.shape, limits.min, limits.dtype) for t, limits in tensors]
    yield [np.full(t.shape, limits.max, limits.dtype) for t, limits in tensors]
    yield [np.full(t.shape, t.zero_point, limits.dtype) for t, limits in tensors]
    ends = [(t.shape, np.array([limits.min, limits.max], limits.dtype)) for t, limits in tensors]
    yield [rng.choice(both, shape) for shape, both in ends]


def same(graph: Graph, smaller: Graph) -> None:
    """Both compute the same outputs, and in every layer the same channels."""
    for sample in (*random_inputs(graph, 2), *extremes(graph)):
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


class Chain(DeadNetwork):
    """The first channels of a layer are -128, as many as one says; the others are alive."""

    zero_point = -128
    dead = 0

    def __init__(self, *, dead: int = 8, zero_point: int = -128) -> None:
        """A convolution of 16 channels."""
        super().__init__(0)
        self.zero_point, self.dead = zero_point, dead
        self.conv(16, 1)
        self.dead = 0

    def activation(self) -> int:
        return 0

    def weighted(
        self, op: str, shape: Shape, axis: int, out: Shape, options: dict[int, Option]
    ) -> None:
        signs = self.rng.choice([-1, 1], shape)
        weights = (signs * self.rng.integers(1, 100, shape)).astype(np.int8)
        sums = np.where(np.arange(out[-1]) < self.dead, -(1 << 22), 0).astype(np.int32)
        in_scale = self.network.tensors[self.last].scales[0]
        kernel = writer.constant(weights, [0.004], [0], axis)
        bias = writer.constant(sums, [float(np.float32(0.004 * in_scale))], [0])
        inputs = [self.last, self.network.tensor(kernel), self.network.tensor(bias)]
        self.add(op, inputs, i8(*out, zero_point=self.zero_point), options)

    def dropped(self, *outputs: int) -> tuple[Graph, list[int]]:
        """(the smaller graph, the channels of each layer's output), computing the same."""
        graph = loads(self.file(*outputs), "net")
        smaller = drop_dead_channels(graph)
        same(graph, smaller)
        return smaller, [smaller.tensors[n.outputs[0]].shape[-1] for n in smaller.nodes]


def test_dead_channels_go_through_depthwise() -> None:
    made = Chain()
    made.depthwise()
    made.conv(8, 1)
    _, channels = made.dropped()
    assert channels == [8, 8, 8]


def test_dead_channels_go_through_a_depth_multiplier() -> None:
    made = Chain()
    made.depthwise(multiplier=2)
    made.conv(8, 1)
    _, channels = made.dropped()
    assert channels == [8, 16, 8]


def test_dead_channels_go_through_other_shapes() -> None:
    made = Chain()
    batches, height, width, _ = made.shape
    made.like("TRANSPOSE", (batches, width, height, 16), constant=[0, 2, 1, 3])
    made.pad()
    made.flatten()
    made.dense(5)
    smaller, channels = made.dropped()
    flat = (height + 1) * (width + 1) * 8
    assert channels == [8, 8, 8, flat, 5]
    assert smaller.nodes[-1].params.in_depth == flat


def test_parts_of_a_concatenation_lose_their_own_channels() -> None:
    made = Chain()
    made.dead, first = 4, made.last
    made.conv(12, 1)
    made.concatenation(3, [first, made.last])
    made.dead = 0
    made.conv(8, 1)
    smaller, channels = made.dropped()
    assert channels == [8, 8, 8, 16, 8]
    kept = smaller.tensors[smaller.nodes[3].outputs[0]].kept
    assert kept is not None
    assert kept.channels == (*range(8, 16), *range(16 + 4, 16 + 12))


@pytest.mark.parametrize("op", ["MEAN", "TRANSPOSE"])
def test_another_dimension_of_the_same_size(op: str) -> None:
    """Channels that turn into something else stay, though there are as many of that."""
    made = Chain()
    *around, width, _ = made.shape
    made.dead = width - 4
    made.conv(width, 1)
    made.dead = 0
    if op == "MEAN":
        made.mean((3,))
    else:
        made.like(op, (*around, width, width), constant=[0, 1, 3, 2])
    made.dense(5, depth=width)
    assert width > 4
    _, channels = made.dropped()
    assert channels == [8, width, width, 5]


def test_a_block_that_adds_to_its_own_input() -> None:
    """What only the block itself reads, nobody reads."""
    made = Chain(dead=0)
    before = made.last
    made.conv(16, 1)
    made.binary("ADD", before)
    made.conv(8, 1)
    kernel = made.network.operators[-1].inputs[1]
    tensor = made.network.tensors[kernel]
    weights = np.array(tensor.data)
    weights[..., :12] = 0
    made.network.tensors[kernel] = replace(tensor, data=weights)
    _, channels = made.dropped()
    assert channels == [16, 16, 16, 8]  # the block reads all channels
    made = Chain(dead=0)
    before = made.last
    made.depthwise()
    made.binary("ADD", before)
    made.conv(8, 1)
    kernel = made.network.operators[-1].inputs[1]
    made.network.tensors[kernel] = replace(tensor, data=weights)
    _, channels = made.dropped()
    assert channels == [4, 4, 4, 8]


def test_fully_connected_layers_keep_their_eights() -> None:
    """Of 16 channels 12 are alive: as many would take longer, without the kernel for eights."""
    for dead, kept in ((4, 16), (8, 8)):
        made = Chain()
        made.mean()
        made.dead = dead
        made.dense(16)
        made.dead = 0
        made.dense(8)
        _, channels = made.dropped()
        assert channels == [8, 8, kept, 8]


def test_everything_is_dead() -> None:
    for dead in (0, 16):
        made = Chain(dead=dead)
        made.dead = 10
        made.conv(10, 1)
        _, channels = made.dropped()
        assert channels == [4, 10]


def test_a_border_is_no_constant() -> None:
    """A dead channel that is not 0 adds less where a window reaches beyond the image."""
    kept = {}
    for zero_point, padded in ((-128, True), (-5, True), (-5, False)):
        made = Chain(zero_point=zero_point)
        made.conv(8, 3, same=padded)
        smaller, _ = made.dropped()
        kept[zero_point, padded] = smaller.nodes[1].params.in_c
    assert kept == {(-128, True): 8, (-5, True): 16, (-5, False): 8}


def test_what_the_user_reads_stays_whole() -> None:
    made = Chain()
    middle = made.last
    made.conv(8, 1)
    smaller, channels = made.dropped(middle)
    assert channels == [16, 8]
    assert smaller.nodes[0].params.out_c == 16


def test_an_input_that_nobody_reads() -> None:
    made = Chain()
    made.conv(8, 1)
    n = made.network
    unused = n.tensor(i8(1, 4))
    model = writer.Model(tuple(n.tensors), tuple(n.operators), (made.first, unused), (made.last,))
    graph = loads(writer.write(model), "net")
    smaller = drop_dead_channels(graph)
    same(graph, smaller)
    assert smaller.nodes[0].params.out_c == 8


def test_nothing_is_computed() -> None:
    """Of a graph whose nodes have been folded."""
    graph = replace(loads(Chain().file(), "net"), nodes=(), outputs=())
    assert drop_dead_channels(graph) is graph


def test_nothing_is_dead() -> None:
    made = Chain(dead=0)
    made.conv(8, 1)
    graph = loads(made.file(), "net")
    assert drop_dead_channels(graph) is graph


_STEEPEST = ((1 << 31) - 1,)


@pytest.mark.parametrize(
    ("requant", "wraps_at"),
    [
        (Requantization(_STEEPEST, (1,), (0,), (0,), 0, -128, -128, 127), 1 << 30),
        (Requantization(_STEEPEST, (1,), (0,), (0,), 0, 5, -128, 127), 1 << 30),
        (Requantization(_STEEPEST, (1,), (0,), (0,), 0, 127, -128, 127), 1 << 30),
        (Requantization16x8(_STEEPEST, (1,), False, (0,), (0,), -(1 << 15), 32767), 1 << 30),
        (Requantization16x8(_STEEPEST, (1,), True, (0,), (0,), -(1 << 15), 32767), 1 << 30),
        (Requantization16x8(_STEEPEST, (-9,), True, (0,), (0,), -(1 << 15), 32767), 1 << 40),
    ],
)
def test_outputs_near_the_ends_of_32_bits(
    requant: Requantization | Requantization16x8, wraps_at: int
) -> None:
    """Bounds hold for every accumulator in between, whether its output wraps or not."""
    for middle in (-wraps_at, -200, 0, wraps_at - 200, wraps_at, wraps_at + 40000):
        sums = np.arange(middle - 300, middle + 300)
        least, most = requant.outputs_between(sums[:1], sums[-1:])
        outputs = requant.apply(sums[:, np.newaxis])
        assert least <= outputs.min()
        assert most >= outputs.max()


def test_a_difference_is_shown_where_the_model_has_it() -> None:
    made = Chain()
    made.conv(8, 1)
    graph = loads(made.file(), "net")
    smaller = drop_dead_channels(graph)
    (sample,) = random_inputs(graph, 1)
    got = {i: value.copy() for i, value in reference.run_layers(smaller, sample).items()}
    got[0][0, 1, 1, 3] ^= 1  # of those that are kept: the model's channel 8 + 3
    steps = [LayerResult(i, 0, value.tobytes()) for i, value in got.items()]

    equal, first = compare_layers(smaller, steps, reference.run_layers(graph, sample), 0)

    assert equal == {0: False, 1: True}
    assert first is not None
    assert (first.first_index, first.elements_differing) == ((0, 1, 1, 8 + 3), 1)
    assert first.elements == got[0].size


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
    for seed in range(4) if board == "host" else (1, 3):  # the last has int16 layers
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
    same(graph, smaller)
    assert macs(graph) == 7_489_664
    assert macs(smaller) < 0.6 * macs(graph)
    assert left_out(smaller) > 1000
