from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels.case import Case, seeds, zero_points
from tests.kernels.cases.windows import bias_types, layer
from tinydeploy.tflite.schema import FullyConnectedOptions
from tinydeploy.tflite.writer import Option, boolean, int8, single_operator


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
