"""What parsing and lowering of the convolutions and FULLY_CONNECTED decide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tests.support import MODEL_NAMES, MODELS, require
from tinydeploy.emit.model import model_source, sizes_header
from tinydeploy.errors import InputError
from tinydeploy.fixedpoint import quantize_multiplier
from tinydeploy.graph import Graph
from tinydeploy.ops import conv_2d, fully_connected
from tinydeploy.ops.convolution import Requantization, pair_weights
from tinydeploy.ops.depthwise_strips import widths
from tinydeploy.plan.plan import Isa, Kernel, Optimize, Target
from tinydeploy.plan.planner import make_plan
from tinydeploy.plan.select import select_kernel
from tinydeploy.tflite import reader
from tinydeploy.tflite.schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    Padding,
)
from tinydeploy.tflite.writer import (
    Model,
    Operator,
    Option,
    Tensor,
    constant,
    int8,
    int32,
    single_operator,
    write,
)

INPUT = Tensor((1, 6, 6, 4), scales=(0.5,), zero_points=(-3,))
OUTPUT = Tensor((1, 6, 6, 2), scales=(0.7,), zero_points=(1,))
WEIGHTS = constant(np.ones((2, 3, 3, 4), np.int8), (0.01,))
STRIDE_1: Mapping[int, Option] = {
    Conv2DOptions.STRIDE_W: int32(1),
    Conv2DOptions.STRIDE_H: int32(1),
}


def _conv(
    inputs: Sequence[Tensor | None],
    output: Tensor = OUTPUT,
    options: Mapping[int, Option] = STRIDE_1,
) -> Graph:
    return reader.loads(single_operator("CONV_2D", inputs, [output], options), "conv")


@pytest.mark.parametrize(("zero_point", "above"), [(1, 0), (-128, 1)])
def test_kernels_are_compiled_for_the_zero_points_there_are(zero_point: int, above: int) -> None:
    output = Tensor((1, 6, 6, 2), scales=(0.7,), zero_points=(zero_point,))
    plan = make_plan(_conv([INPUT, WEIGHTS], output), Target((Isa.DSP, Isa.SCALAR)))
    assert f"#define TD_ALWAYS_ABOVE {above}\n" in sizes_header(plan)


@pytest.mark.parametrize(
    ("kernel", "size", "fours"),
    [(3, 24, 1), (1, 24, 0), (3, 2, 0)],  # 54 words; 6; of 4 pixels
)
def test_four_channels_at_once_are_compiled_where_they_pay(
    kernel: int, size: int, fours: int
) -> None:
    source = Tensor((1, size, size, 12), scales=(0.5,), zero_points=(0,))
    output = Tensor((1, size, size, 64), scales=(4.0,), zero_points=(0,))
    weights = constant(np.ones((64, kernel, kernel, 12), np.int8), (0.01,))
    plan = make_plan(_conv([source, weights], output), Target((Isa.DSP, Isa.SCALAR)))
    assert f"#define TD_FOURS {fours}\n" in sizes_header(plan)


@pytest.mark.parametrize(("size", "mask"), [(3, 1 << 3), (8, 1 << 4), (17, 1 << 6 | 1 << 5)])
def test_kernels_are_compiled_for_the_strips_there_are(size: int, mask: int) -> None:
    image, result = (Tensor((1, size, size, 4), scales=(s,), zero_points=(0,)) for s in (0.5, 0.7))
    slot = DepthwiseConv2DOptions
    options: dict[int, Option] = {slot.DEPTH_MULTIPLIER: int32(1)}
    options |= {slot.STRIDE_W: int32(1), slot.STRIDE_H: int32(1)}
    weights = constant(np.ones((1, 3, 3, 4), np.int8), (0.01,))
    content = single_operator("DEPTHWISE_CONV_2D", [image, weights], [result], options)
    plan = make_plan(reader.loads(content, "strips"), Target((Isa.DSP, Isa.SCALAR)))
    assert f"#define TD_STRIP_WIDTHS {mask:#x}\n" in sizes_header(plan)


@pytest.mark.parametrize("columns", range(3, 40))
def test_all_strips_but_the_last_one_are_of_pairs_of_columns(columns: int) -> None:
    *pairs, last = widths(columns)
    assert sum(pairs) + last == columns
    assert set(pairs) <= {4, 6}
    assert 3 <= last <= 6


@pytest.mark.parametrize(
    ("length", "channels", "kernel"), [(4000, 8, "2d_line"), (4000, 4, "2d"), (100, 4, "2d_line")]
)
def test_a_long_line_of_few_channels_is_not_copied(length: int, channels: int, kernel: str) -> None:
    shape = (1, length, 1, channels)
    slot = DepthwiseConv2DOptions
    graph = reader.loads(
        single_operator(
            "DEPTHWISE_CONV_2D",
            [
                Tensor(shape, scales=(0.5,), zero_points=(-3,)),
                constant(np.ones((1, 5, 1, channels), np.int8), (0.01,)),
            ],
            [Tensor(shape, scales=(0.7,), zero_points=(1,))],
            {slot.STRIDE_W: int32(1), slot.STRIDE_H: int32(1), slot.DEPTH_MULTIPLIER: int32(1)},
        ),
        "line",
    )
    (node,) = graph.nodes
    chosen = select_kernel(node, Target((Isa.DSP, Isa.SCALAR)))
    assert chosen.name == f"td_s8_depthwise_conv_{kernel}__dsp"


def test_macs_count_padding_positions() -> None:
    (node,) = _conv([INPUT, WEIGHTS]).nodes
    assert node.params.macs == 6 * 6 * 2 * 3 * 3 * 4


@pytest.mark.parametrize(
    ("name", "macs"),
    [("kws", 2_656_768), ("vww", 7_489_664), ("ic", 12_501_632), ("ad", 264_192)],
)
def test_macs_of_the_real_models(name: str, macs: int) -> None:
    require("models")
    graph = reader.load(MODELS / f"{name}_int8.tflite")
    counted = (n.params for n in graph.nodes if hasattr(n.params, "macs"))
    assert sum(params.macs for params in counted) == macs


@pytest.mark.parametrize(
    ("inputs", "output", "options", "message"),
    [
        (
            [INPUT, constant(np.ones((2, 3, 3, 4), np.int8), (0.01,), (3,))],
            OUTPUT,
            STRIDE_1,
            "zero point that is not 0",
        ),
        (
            [INPUT, constant(np.ones((2, 3, 3, 4), np.int8), (0.01, 0.02, 0.03), axis=1)],
            OUTPUT,
            STRIDE_1,
            "scales",
        ),
        ([INPUT, WEIGHTS, constant(np.ones(3, np.int32), (0.005,))], OUTPUT, STRIDE_1, "the bias"),
        ([INPUT, constant(np.ones((2, 3, 3, 3), np.int8), (0.01,))], OUTPUT, STRIDE_1, "no groups"),
        ([INPUT, WEIGHTS], Tensor((1, 6, 6, 2), scales=(0.7,)), {}, "stride"),
        (
            [INPUT, WEIGHTS],
            OUTPUT,
            {**STRIDE_1, Conv2DOptions.PADDING: int8(Padding.VALID)},
            "shape",
        ),
        ([INPUT, WEIGHTS], OUTPUT, {**STRIDE_1, Conv2DOptions.FUSED_ACTIVATION: int8(4)}, "fused"),
        ([INPUT, WEIGHTS], OUTPUT, {**STRIDE_1, Conv2DOptions.DILATION_H: int32(0)}, "dilation"),
    ],
)
def test_refusals_name_the_layer(
    inputs: Sequence[Tensor | None], output: Tensor, options: Mapping[int, Option], message: str
) -> None:
    with pytest.raises(InputError, match=rf"layer 0 CONV_2D: .*{message}"):
        _conv(inputs, output, options)


def test_bias_scale_is_checked_where_tflite_checks_it() -> None:
    weights = constant(np.ones((3, 4), np.int8), (0.01,))
    output = Tensor((1, 3), scales=(0.7,))
    for scale, fine in ((0.005, True), (0.1, False)):
        content = single_operator(
            "FULLY_CONNECTED",
            [Tensor((1, 4), scales=(0.5,)), weights, constant(np.ones(3, np.int32), (scale,))],
            [output],
            {FullyConnectedOptions.FUSED_ACTIVATION: int8(0)},
        )
        if fine:
            reader.loads(content, "fc")
        else:
            with pytest.raises(InputError, match="the bias has scale"):
                reader.loads(content, "fc")


def test_dsp_kernels_take_weights_and_sums_that_go_in_pairs() -> None:
    target = Target((Isa.DSP, Isa.SCALAR))
    least = np.ones((2, 3, 3, 4), np.int8)
    least[1, 0, 0, 0] = -128
    (node,) = _conv([INPUT, constant(least, (0.01,))]).nodes
    assert select_kernel(node, target) == conv_2d.SCALAR
    # Sums of 24 bits and more.
    for depth, expected in ((250, conv_2d.DSP), (600, conv_2d.SCALAR)):
        weights = constant(np.full((2, 1, 1, depth), 127, np.int8), (0.01,))
        source = Tensor((1, 6, 6, depth), scales=(0.5,), zero_points=(-3,))
        (node,) = _conv([source, weights]).nodes
        assert select_kernel(node, target) == expected


@pytest.mark.parametrize(
    ("shape", "value", "activation", "expected"),
    [
        ((8, 64), 127, 0, fully_connected.EIGHTS),
        ((12, 64), 127, 0, fully_connected.DSP),
        ((8, 60), 127, 0, fully_connected.DSP),
        ((8, 64), 127, 1, fully_connected.DSP),  # RELU: what is below 0 must go
        ((8, 600), 127, 0, fully_connected.DSP),  # a sum of 24 bits and more
        ((8, 64), -128, 0, fully_connected.SCALAR),  # a pair does not fit into 16 bits
    ],
)
def test_fully_connected_layers_of_eights(
    shape: tuple[int, int], value: int, activation: int, expected: Kernel
) -> None:
    source = Tensor((1, shape[1]), scales=(0.5,), zero_points=(-3,))
    weights = constant(np.full(shape, value, np.int8), (0.01,))
    options: dict[int, Option] = {FullyConnectedOptions.FUSED_ACTIVATION: int8(activation)}
    result = Tensor((1, shape[0]), scales=(0.7,))
    content = single_operator("FULLY_CONNECTED", [source, weights], [result], options)
    (node,) = reader.loads(content, "fc").nodes
    assert select_kernel(node, Target((Isa.DSP, Isa.SCALAR))) == expected
    small = select_kernel(node, Target((Isa.DSP, Isa.SCALAR), Optimize.SIZE))
    assert small in (fully_connected.DSP, fully_connected.SCALAR)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_real_models_need_no_scalar_convolution(name: str) -> None:
    require("models")
    for node in reader.load(MODELS / f"{name}.tflite").nodes:
        if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            assert select_kernel(node, Target((Isa.DSP, Isa.SCALAR))).isa is Isa.DSP


def test_pairs_of_channels_in_a_word() -> None:
    rows = np.arange(-20, 20, dtype=np.int8).reshape(5, 8)
    words = pair_weights(rows, 1).data.view("<i2").reshape(3, 2, 2, 2)
    padded = np.pad(rows, ((0, 1), (0, 0))).astype(int)
    for pair, quad, parity, step in np.ndindex(*words.shape):
        a, b = padded[2 * pair : 2 * pair + 2, 4 * quad + 2 * step + parity]
        assert words[pair, quad, parity, step] == a + 256 * b


def test_words_that_are_only_padding_are_left_out() -> None:
    rows = np.arange(32, dtype=np.int8).reshape(2, 2, 8)
    rows[..., 5:] = 0
    whole = pair_weights(rows.reshape(2, 16), 1).data.view("<i2").reshape(2, 4, 2)
    assert not whole[:, 3].any()
    left = pair_weights(rows.reshape(2, 16), 1, 4).data.view("<i2").reshape(2, 3, 2)
    assert (left == whole[:, :3]).all()


@pytest.mark.parametrize(
    ("kernel", "filters", "row_bytes"), [(3, 32, 12), (3, 128, 9), (7, 64, 24)]
)
def test_rows_are_padded_where_that_costs_few_words(
    kernel: int, filters: int, row_bytes: int
) -> None:
    image = Tensor((1, 16, 16, 3), scales=(0.5,), zero_points=(-3,))
    output = Tensor((1, 16, 16, filters), scales=(0.7,), zero_points=(1,))
    weights = constant(np.ones((filters, kernel, kernel, 3), np.int8), (0.01,))
    plan = make_plan(_conv([image, weights], output), Target((Isa.DSP, Isa.SCALAR)))
    (call,) = plan.kernel_calls
    assert call.fields["row_bytes"] == row_bytes


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_convolutions_take_the_memory_that_is_free(name: str) -> None:
    require("models")
    plan = make_plan(reader.load(MODELS / f"{name}.tflite"), Target((Isa.DSP, Isa.SCALAR)))
    for position, (call, given) in enumerate(zip(plan.calls, plan.scratch, strict=True)):
        if given is None:
            continue
        end = given.offset + given.bytes
        assert call.scratch_bytes <= given.bytes <= plan.arena_bytes - given.offset
        assert given.bytes == call.scratch_bytes or call.in_memory is not None
        for place in plan.placements.values():
            apart = end <= place.offset or place.offset + place.bytes <= given.offset
            assert apart or not place.first <= position <= place.last
    if name == "vww_int8":  # 6 x 6 pixels
        assert [c.fields["strip"] for c in plan.calls if c.layer in (14, 16, 18, 20)] == [36] * 4


def test_scratch_is_least_where_speed_is_not_what_counts() -> None:
    require("models")
    graph = reader.load(MODELS / "ic_int8.tflite")
    isas = (Isa.DSP, Isa.SCALAR)
    speed, size = (make_plan(graph, Target(isas, o)) for o in (Optimize.SPEED, Optimize.SIZE))
    first = next(c for c in size.calls if c.kernel == conv_2d.DSP)
    assert first.scratch_bytes == 4 * 15 * 4 + 36  # four pixels of three rows of five words
    assert size.arena_bytes < speed.arena_bytes


def _finish(record: Sequence[int], accumulator: int) -> int:
    """`td_finish` of td_simd.h in unbounded integers."""
    _, multiplier, scale, offset = record
    v = (accumulator * multiplier + (accumulator << 32) + (1 << 31)) >> 32
    v += -1 if v < 0 else 0
    return max(-128, min(127, ((offset << 32) - v * scale + (1 << 31)) >> 32))


def test_fixed_channels_are_constants_and_others_requantise() -> None:
    # Alive; dead by a tiny multiplier; saturated by its bias; dead by a multiplier of zero.
    reals = (0.004, 2.0**-29, 0.01, 0.0)
    lowest, highest = (-9000, -9000, 500_000, -9000), (9000, 9000, 520_000, 9000)
    split = [quantize_multiplier(r) for r in reals]
    requant = Requantization(
        multipliers=tuple(m for m, _ in split),
        shifts=tuple(s for _, s in split),
        lowest=lowest,
        highest=highest,
        in_zero_point=0,
        out_zero_point=7,
        low=-128,
        high=127,
    )
    assert requant.fixed.tolist() == [False, True, True, True]
    assert requant.fast
    folded = np.array([0, 5, 6, 7])
    records = requant.fast_records(folded).data.tolist()
    for accumulator in range(-9000, 9001, 37):
        assert _finish(records[0], accumulator) == requant.apply(np.array([accumulator] * 4))[0]
    # Their weights are zeros, so that the accumulator is what it starts from.
    assert [_finish(r, r[0]) for r in records[1:]] == [7, 127, 7]


def test_a_multiplier_above_a_half_needs_the_scalar_kernel() -> None:
    graph = _conv([INPUT, constant(np.ones((2, 3, 3, 4), np.int8), (1.0,))])
    (node,) = graph.nodes
    target = Target((Isa.DSP, Isa.SCALAR))
    assert select_kernel(node, target) == conv_2d.SCALAR
    (node,) = _conv([INPUT, WEIGHTS]).nodes
    assert select_kernel(node, target) == conv_2d.DSP


def test_parts_of_a_layer_may_have_weights_in_two_layouts() -> None:
    # First three rows of the depthwise layer, then one at a time: two kernels.
    shapes = [(1, 16, 16, 4), (1, 16, 16, 16), (1, 16, 16, 16), (1, 16, 16, 4)]
    weights = [(16, 1, 1, 4), (1, 3, 1, 16), (4, 5, 5, 16)]
    tensors = [Tensor(s, scales=(0.5,), zero_points=(0,)) for s in shapes]
    tensors += [constant(np.ones(s, np.int8), (0.01,)) for s in weights]
    depthwise: Mapping[int, Option] = {
        DepthwiseConv2DOptions.STRIDE_W: int32(1),
        DepthwiseConv2DOptions.STRIDE_H: int32(1),
        DepthwiseConv2DOptions.DEPTH_MULTIPLIER: int32(1),
    }
    operators = (
        Operator("CONV_2D", (0, 4), (1,), STRIDE_1),
        Operator("DEPTHWISE_CONV_2D", (1, 5), (2,), depthwise),
        Operator("CONV_2D", (2, 6), (3,), STRIDE_1),
    )
    graph = reader.loads(write(Model(tuple(tensors), operators, (0,), (3,))), "strips")
    plan = make_plan(graph, Target((Isa.DSP, Isa.SCALAR), Optimize.RAM))
    kernels = {call.kernel.name for call in plan.kernel_calls if call.layer == 1}
    arrays = re.findall(r"^static const \w+ (layer_\w+)\[", model_source(plan), re.MULTILINE)
    assert len(kernels) == 2
    assert len(arrays) == len(set(arrays)) == len(plan.constants)
