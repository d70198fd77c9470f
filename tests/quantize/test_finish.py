"""The file that leaves: repacked, described, the same bytes every time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.quantize import floats
from tests.support import MODELS, require
from tests.unit.test_hostile_inputs import without_bias
from tinydeploy.errors import InputError
from tinydeploy.graph import Graph
from tinydeploy.quantize import modelfile as mf
from tinydeploy.quantize.data import from_arrays
from tinydeploy.quantize.finish import finish, read_metadata, verdict
from tinydeploy.quantize.floatmodel import prepare
from tinydeploy.quantize.inside import Inside
from tinydeploy.tflite import reader, writer

PUBLISHED = ("kws_int8", "ic_int8", "sww_int8", "person_detect_int8", "micro_speech_int8")


@pytest.fixture(autouse=True)
def _needs_packages() -> None:
    require("ptq")


def described(graph: Graph) -> list[object]:
    """All that a graph computes, whatever its tensors are numbered."""

    def tensor(index: int) -> object:
        if index < 0:
            return None
        t = graph.tensors[index]
        return (t.shape, t.dtype, t.quantization, None if t.data is None else t.data.tobytes())

    return [
        (n.op, n.params, [tensor(i) for i in n.inputs], [tensor(i) for i in n.outputs])
        for n in graph.nodes
    ]


@pytest.mark.parametrize("name", PUBLISHED)
def test_repacking_changes_nothing_that_is_computed(name: str) -> None:
    require("models")
    content = (MODELS / f"{name}.tflite").read_bytes()
    again = finish(content, {})
    before, after = reader.loads(content, name), reader.loads(again, name)
    assert repr(described(before)) == repr(described(after))
    assert finish(again, {}) == again


def test_constants_are_aligned_and_inside() -> None:
    made = floats.quantized(floats.digits(), floats.digits_data())
    packed = mf.schema().Model.GetRootAs(made, 0)
    starts = []
    for i in range(packed.BuffersLength()):
        buffer = packed.Buffers(i)
        if buffer.DataLength():
            start = made.find(buffer.DataAsNumpy().tobytes())
            address = buffer.DataAsNumpy().__array_interface__["data"][0]
            base = np.frombuffer(made, np.uint8).__array_interface__["data"][0]
            starts.append(address - base)
            assert start >= 0
        assert not buffer.Offset()
    assert len(starts) > 10
    assert all(start % 16 == 0 for start in starts)


def test_nothing_dead_and_no_constant_twice() -> None:
    twin = floats.noise(4, 4)
    tensors = [
        floats.tensor("x", 1, 4),
        floats.weights("v", twin),
        floats.weights("w", twin),
        floats.weights("dead", floats.noise(100)),
        floats.tensor("y", 1, 4),
        floats.tensor("z", 1, 4),
    ]
    layers = [("FULLY_CONNECTED", ["x", "v", ""], "y"), ("FULLY_CONNECTED", ["y", "w", ""], "z")]
    content = floats.network(tensors, layers, ["x"], ["z"])
    model = mf.read(finish(content, {}), "m")
    assert [mf.text(t.name) for t in model.subgraphs[0].tensors] == ["x", "v", "w", "y", "z"]
    assert len(model.buffers) == 2
    assert len(model.operatorCodes) == 1


def test_every_operators_options_survive() -> None:
    """Also of operators that tinydeploy's own writer knows nothing of."""
    generated = mf.schema()
    model = mf.read(floats.unary("RELU"), "m")
    options = generated.ResizeBilinearOptionsT(alignCorners=True, halfPixelCenters=False)
    operator = model.subgraphs[0].operators[0]
    operator.opcodeIndex = mf.add_code(model, "RESIZE_BILINEAR", 3)
    operator.builtinOptionsType = generated.BuiltinOptions.ResizeBilinearOptions
    operator.builtinOptions = options
    again = mf.read(finish(mf.write(model), {}), "m")
    kept = again.subgraphs[0].operators[0]
    assert kept.builtinOptions.alignCorners
    assert (again.operatorCodes[0].builtinCode, again.operatorCodes[0].version) == (23, 3)


def test_metadata_is_added_kept_and_taken_away() -> None:
    content = finish(floats.unary("RELU"), {"labels": '["zero","ëins"]', "recipe": "{}"})
    assert read_metadata(content) == {"labels": '["zero","ëins"]', "recipe": "{}"}
    again = finish(content, {"recipe": "", "normalization": "scale=1/255"})
    assert read_metadata(again) == {"labels": '["zero","ëins"]', "normalization": "scale=1/255"}
    swapped = finish(floats.unary("RELU"), {"recipe": "{}", "labels": '["zero","ëins"]'})
    assert swapped == content


def test_others_metadata_are_kept() -> None:
    generated = mf.schema()
    model = mf.read(floats.unary("RELU"), "m")
    model.metadata = []
    for name in (b"TFLITE_METADATA", b"CONVERSION_METADATA"):
        model.metadata.append(generated.MetadataT(name=name, buffer=len(model.buffers)))
        model.buffers.append(generated.BufferT(data=np.frombuffer(name, np.uint8)))
    again = mf.read(finish(mf.write(model), {}), "m")
    assert [mf.text(entry.name) for entry in again.metadata] == ["TFLITE_METADATA"]
    assert again.buffers[again.metadata[0].buffer].data.tobytes() == b"TFLITE_METADATA"


def test_what_a_finished_file_is_for() -> None:
    require("oracle")
    made = floats.quantized(floats.digits(), floats.digits_data())
    assert verdict(made, "digits.tflite").engine == "aot"
    assert verdict(floats.digits().content, "digits.tflite").engine == ""
    strange = floats.unary("ELU")
    elu = floats.quantized(strange, from_arrays(floats.noise(8, 4, 4, 8)))
    found = verdict(elu, "elu.tflite")
    assert found.engine == "tflm"
    assert "layer 0 ELU is not supported" in found.reason


def test_open_batches_are_closed_and_other_open_dimensions_refused() -> None:
    x = writer.Tensor((1, 8), type=0, name="x", shape_signature=(-1, 8))
    y = writer.Tensor((1, 8), type=0, name="y", shape_signature=(-1, 8))
    model = mf.read(finish(writer.single_operator("RELU", [x], [y]), {}), "m")
    assert all(t.shapeSignature is None for t in model.subgraphs[0].tensors)
    wide = writer.Tensor((1, 1), type=0, name="x", shape_signature=(-1, -1))
    with pytest.raises(InputError, match="which is not fixed"):
        finish(writer.single_operator("RELU", [wide], [y]), {})


def test_shape_arithmetic_of_an_open_batch_is_computed_away() -> None:
    tensors = [floats.tensor(name, 1, 8) for name in "xyz"]
    tensors.append(writer.Tensor((2,), type=2, name="shape"))
    layers = [
        ("RELU", ["x"], "y"),
        ("SHAPE", ["y"], "shape"),
        ("RESHAPE", ["y", "shape"], "z"),
    ]
    generated = mf.schema()
    model = mf.read(floats.network(tensors, layers, ["x"], ["z"]), "m")
    operator = model.subgraphs[0].operators[1]
    operator.builtinOptionsType = generated.BuiltinOptions.ShapeOptions
    operator.builtinOptions = generated.ShapeOptionsT(outType=generated.TensorType.INT32)
    prepared = prepare(mf.write(model))
    assert [layer.op for layer in prepared.layers] == ["RELU", "RESHAPE"]
    shape = prepared.tensors["shape"].data
    assert shape is not None
    assert shape.tolist() == [1, 8]


def test_a_file_that_crashes_tflite_micro_is_not_run_by_it() -> None:
    require("oracle")
    content = without_bias()
    assert "would crash" in verdict(content, "m").reason
    with pytest.raises(InputError, match="LiteRT cannot run"):
        Inside(content, "m")
