from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import INT8, INT16, Case, activation_types, seeds
from tests.kernels.cases.windows import Window, layer, window, window_options, windows
from tinydeploy.tflite.schema import DepthwiseConv2DOptions, Padding
from tinydeploy.tflite.writer import int32, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    batches = draw(st.integers(1, 2))
    kind = draw(st.sampled_from(("own", "own", "strips", "strips", "line", "any", "any", "long")))
    types = activation_types
    if kind == "long":  # more products than 32-bit sums of int16 hold
        padding, h, w = draw(windows(filters=(23,)))
        channels, multiplier = draw(st.sampled_from(((1, 1), (2, 1), (1, 2))))
        types = st.just(INT16)
    elif kind == "own":  # what has kernels of its own
        padding, h, w = draw(windows(filters=(3,)))
        channels, multiplier = draw(
            st.sampled_from(((4, 1), (8, 1), (12, 1), (20, 1), (35, 1), (1, 5), (1, 8)))
        )
        types = st.just(INT8)
    elif kind == "strips":  # of 6 and of 4 columns of the output
        stride = draw(st.sampled_from((1, 2)))
        padding, h, w = draw(windows(filters=(3,), strides=(stride,), largest=stride * 14))
        channels, multiplier = draw(st.sampled_from(((4, 1), (8, 1), (12, 1))))
        types = st.just(INT8)
    elif kind == "line":
        padding = draw(st.sampled_from((Padding.SAME, Padding.VALID)))
        h = draw(window(padding, dilations=(1,), filters=(1,), strides=(1,)))
        taps = draw(st.integers(2, 14))
        size = draw(st.integers(taps, 30))
        w = Window(size, taps, 1, 1, size if padding is Padding.SAME else size - taps + 1)
        h, w = draw(st.permutations((h, w)))
        channels, multiplier = draw(st.sampled_from(((4, 1), (8, 1), (12, 1))))
        types = st.just(INT8)
    else:
        padding, h, w = draw(windows(dilations=(1, 1, 2, 3)))
        channels = draw(st.one_of(st.integers(1, 9), st.sampled_from((4, 8, 12))))
        multiplier = draw(st.sampled_from((1, 1, 1, 2, 3, 8)))
    shapes = (
        (batches, h.size, w.size, channels),
        (1, h.filter, w.filter, channels * multiplier),
        (batches, h.out, w.out, channels * multiplier),
    )
    # TensorFlow Lite Micro crashes on a bias that is there and absent.
    made = draw(
        layer(shapes, channel_axis=3, absent_bias=False, bias_types=("int64",), types=types)
    )
    options = window_options(DepthwiseConv2DOptions, padding, h, w, made.activation)
    options[DepthwiseConv2DOptions.DEPTH_MULTIPLIER] = int32(multiplier)
    content = single_operator("DEPTHWISE_CONV_2D", made.inputs, [made.output], options)
    text = f"{padding.name} h={h} w={w} multiplier={multiplier} {made.text}"
    return Case("DEPTHWISE_CONV_2D", content, text, draw(seeds))
