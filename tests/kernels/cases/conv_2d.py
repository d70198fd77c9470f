from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, seeds
from tests.kernels.cases.windows import Window, bias_types, layer, window_options, windows
from tinydeploy.tflite.schema import Conv2DOptions
from tinydeploy.tflite.writer import int8, single_operator

# Pixels enough for kernels to take many at once, and products enough for each way to do that.
_MANY = (Window(15, 1, 1, 1, 15), Window(14, 1, 1, 1, 14))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # Now and then more products than 32-bit sums of int16 hold.
    kind = draw(st.integers(0, 9))
    # A pixel of few words of which the last is left out, so that little scratch lies behind them.
    long, many, short = (kind == i for i in range(3))
    if long or short:
        padding, h, w = draw(windows(filters=(8 if long else 1,)))
    else:
        padding, h, w = draw(windows(dilations=(1, 1, 2, 3)))
    if many:
        h, w = _MANY
    groups = 1 if long or many or short else draw(st.sampled_from((1, 1, 1, 2, 3)))
    batches = 1 if many else draw(st.integers(1, 2))
    few = st.integers(1, 9 if groups == 1 else 3)
    depth = draw(st.one_of(few, few, few, st.sampled_from((16, 35))))
    if many or short:
        depth = draw(st.sampled_from((15, 30, 32, 34, 36, 98, 104) if many else (5, 9)))
    filters = draw(st.integers(1, 10 if groups == 1 else 3)) * groups
    shapes = (
        (batches, h.size, w.size, depth * groups),
        (filters, h.filter, w.filter, depth),
        (batches, h.out, w.out, filters),
    )
    made = draw(layer(shapes, channel_axis=0, least=-127 if many else -128))
    options = window_options(Conv2DOptions, padding, h, w, made.activation)
    options[Conv2DOptions.QUANTIZED_BIAS_TYPE] = int8(draw(bias_types))
    content = single_operator("CONV_2D", made.inputs, [made.output], options)
    text = f"{padding.name} h={h} w={w} groups={groups} {made.text}"
    return Case("CONV_2D", content, text, draw(seeds))
