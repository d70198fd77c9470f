from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.kernels.case import Case, quantized, seeds, zero_points
from tests.kernels.cases.windows import bias_types, layer
from tinydeploy.tflite.schema import FullyConnectedOptions
from tinydeploy.tflite.writer import Option, boolean, constant, int8, single_operator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    outer = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    eights = st.integers(1, 9).map(lambda count: 8 * count)
    in_depth = draw(st.one_of(eights, st.integers(1, 70), st.sampled_from((256, 530))))
    out_depth = draw(st.one_of(st.sampled_from((8, 16)), st.integers(1, 20)))
    keep = draw(st.booleans())
    batches = 1
    for size in outer:
        batches *= size
    shapes = (
        (*outer, in_depth),
        (out_depth, in_depth),
        (*outer, out_depth) if keep else (batches, out_depth),
    )
    weights_zero_points = st.one_of(st.just(0), st.just(0), zero_points)
    made = draw(layer(shapes, 0, weights_zero_points))
    options: dict[int, Option] = {
        FullyConnectedOptions.FUSED_ACTIVATION: int8(made.activation),
        FullyConnectedOptions.QUANTIZED_BIAS_TYPE: int8(draw(bias_types)),
        FullyConnectedOptions.KEEP_NUM_DIMS: boolean(keep),
    }
    content = single_operator("FULLY_CONNECTED", made.inputs, [made.output], options)
    return Case("FULLY_CONNECTED", content, made.text, draw(seeds))


def _eights(in_depth: int, out_zero_point: int, weights: tuple[int, ...]) -> Case:
    """Two rows into two times eight channels; half of the outputs are not saturated."""
    rng = np.random.default_rng(in_depth)
    filters = constant(rng.choice(np.array(weights, np.int8), (16, in_depth)), (0.01,))
    scale = float(np.float32(np.abs(weights).mean() * in_depth**0.5 / 100))
    bias = constant(rng.integers(-9999, 9999, 16).astype(np.int32), (0.01,))
    content = single_operator(
        "FULLY_CONNECTED",
        [quantized((2, in_depth), 1.0, -128), filters, bias],
        [quantized((2, 16), scale, out_zero_point)],
    )
    return Case("FULLY_CONNECTED", content, f"eights {in_depth} to {out_zero_point}", in_depth)


# However many quads of inputs there are beyond whole turns of a loop, and for outputs that have
# nothing below their zero point and others.
ALWAYS = tuple(
    _eights(depth, zero_point, weights)
    for depth in (*range(8, 65, 8), 136)
    for zero_point, weights in ((-128, tuple(range(-127, 128))), (5, (-127, 127)))
)
