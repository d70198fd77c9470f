"""Post-training quantisation: what comes out loads, runs, and is what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.quantize import floats
from tests.support import MODELS, require
from tinydeploy.errors import InputError
from tinydeploy.graph import DType, Graph
from tinydeploy.oracle import TfliteMicro
from tinydeploy.quantize import modelfile as mf
from tinydeploy.quantize.calibrate import calibrate, observe
from tinydeploy.quantize.data import from_arrays
from tinydeploy.quantize.finish import bare_graph, verdict
from tinydeploy.quantize.floatmodel import prepare
from tinydeploy.quantize.ptq import quantize
from tinydeploy.quantize.ranges import Pin
from tinydeploy.quantize.schemes import Override, Scheme
from tinydeploy.quantize.statistics import Range
from tinydeploy.tflite import reader, writer


@pytest.fixture(autouse=True)
def _needs_packages() -> None:
    require("ptq", "oracle")


def scale_of(graph: Graph, name: str) -> tuple[float, int]:
    tensor = next(t for t in graph.tensors if t.name == name)
    return tensor.scale, tensor.zero_point


def test_digits_becomes_int8_from_end_to_end() -> None:
    data = floats.digits_data()
    made = floats.quantized(floats.digits(), data)
    graph = reader.loads(made, "digits")
    assert [node.op for node in graph.nodes].count("QUANTIZE") == 0
    assert {graph.tensors[i].dtype for n in graph.nodes for i in n.outputs} == {DType.INT8}
    assert floats.largest_error(floats.digits(), made, data) < 0.06


def test_structure_is_that_of_the_published_int8_model() -> None:
    require("models")
    content = floats.KWS.read_bytes()
    made = floats.quantized(content, from_arrays(floats.noise(8, 49, 10, 1)))
    ours = reader.loads(made, "kws")
    theirs = reader.load(MODELS / "kws_int8.tflite")

    def shape(graph: Graph) -> list[tuple[str, list[str]]]:
        nodes = [(n.op, [graph.tensors[i].dtype.value for i in n.inputs]) for n in graph.nodes]
        return [(op, types) for op, types in nodes if op != "RESHAPE"]

    assert shape(ours) == shape(theirs)
    softmax = ours.tensors[ours.outputs[0]]
    assert (softmax.scale, softmax.zero_point) == (1 / 256, -128)


def test_same_inputs_give_the_same_bytes() -> None:
    data = floats.digits_data()
    assert floats.quantized(floats.digits(), data) == floats.quantized(floats.digits(), data)


# ---- The four traps of the package, and a fifth -----------------------------------------------


def test_large_models_keep_their_weights_inside() -> None:
    content = floats.dense(floats.noise(640, 640), floats.noise(640))
    data = from_arrays(floats.noise(8, 640))
    made = floats.quantized(content, data)
    assert len(made) > 256 << 10
    reader.loads(made, "large")  # refuses data outside the flatbuffer
    assert floats.largest_error(content, made, data) < 0.03


def test_operator_codes_of_old_files() -> None:
    require("models")
    model = mf.schema().ModelT.InitFromPackedBuf(bytearray(floats.KWS.read_bytes()), 0)
    assert {code.builtinCode for code in model.operatorCodes} == {0}
    names = [layer.op for layer in prepare(floats.KWS.read_bytes()).layers]
    assert names.count("DEPTHWISE_CONV_2D") == 4


def test_models_without_a_signature() -> None:
    content = floats.dense(floats.noise(4, 8), None)
    assert not mf.read(content, "m").signatureDefs
    assert reader.loads(floats.quantized(content, from_arrays(floats.noise(8, 8))), "m").nodes


def test_default_calibration_is_everything_that_was_seen() -> None:
    values = floats.noise(50, 8)
    values[7, 3] = 60
    found = calibrate(floats.dense(floats.noise(4, 8), None), from_arrays(values))
    assert found["x"] == Range(float(values.min()), 60.0)


@pytest.mark.parametrize("per_channel", [True, False])
def test_channels_without_weights_keep_their_bias(per_channel: bool) -> None:
    weight = floats.noise(4, 8)
    weight[1] = 0
    weight[2] *= 1e-7
    bias = np.array([0.1, 5.0, -7.0, 0], np.float32)
    content = floats.dense(weight, bias)
    data = from_arrays(floats.noise(30, 8))
    made = floats.quantized(content, data, Scheme(per_channel=per_channel))
    assert floats.largest_error(content, made, data) < 0.03


# ---- Schemes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "ends"),
    [
        (Scheme(), ("int8", "int8")),
        (Scheme(io="uint8"), ("uint8", "uint8")),
        (Scheme(io="float32"), ("float32", "float32")),
        (Scheme("int16x8"), ("int16", "int16")),
        (Scheme("int16x8", io="int8"), ("int8", "int8")),
        (Scheme(per_channel=False, symmetric=True), ("int8", "int8")),
    ],
)
def test_schemes_run_as_a_device_would(scheme: Scheme, ends: tuple[str, str]) -> None:
    data = floats.digits_data()
    made = floats.quantized(floats.digits(), data, scheme)
    found = verdict(made, "made")
    assert (*found.inputs, *found.outputs) == ends
    assert found.engine in ("aot", "tflm")
    assert floats.largest_error(floats.digits(), made, data) < 0.1


def test_per_tensor_weights_have_one_scale_and_symmetric_activations_no_zero_point() -> None:
    made = floats.quantized(
        floats.digits(), floats.digits_data(), Scheme(per_channel=False, symmetric=True)
    )
    graph = reader.loads(made, "digits")
    for node in graph.nodes:
        for i in node.inputs:
            quantization = graph.tensors[i].quantization
            if quantization is not None:
                assert len(quantization.scales) == 1
        if node.op != "SOFTMAX":  # its output's zero point is fixed
            assert graph.tensors[node.outputs[0]].zero_point == 0


@pytest.mark.parametrize("kind", ["dynamic", "float16"])
def test_comparison_schemes_are_refused_for_firmware(kind: str) -> None:
    made = quantize(floats.digits(), {}, Scheme(kind))  # type: ignore[arg-type]
    found = verdict(made, "made.tflite")
    assert found.engine == ""
    assert "float" in found.reason
    assert len(made) < len(floats.digits().content)
    assert floats.largest_error(floats.digits(), made, floats.digits_data()) < 0.06


# ---- Overrides, ranges, scales ----------------------------------------------------------------


def test_overrides_by_number_operator_and_name() -> None:
    model = floats.digits()
    name = model.layers[8].name
    ranges = observe(model, floats.digits_data()).ranges("minmax")
    made = quantize(
        model,
        ranges,
        None,
        [
            Override("CONV_2D", per_channel=False),
            Override("1", activations="int16"),
            Override(name[:-2] + "*", symmetric=True),
        ],
    )
    graph = bare_graph(made, "digits")
    TfliteMicro(graph, made)
    by_name = {t.name: t for t in graph.tensors}
    for layer in model.layers:
        quantization = by_name[layer.inputs[1]].quantization if len(layer.inputs) > 2 else None
        if layer.op == "CONV_2D":
            assert quantization is not None
            assert len(quantization.scales) == 1
        if layer.op == "DEPTHWISE_CONV_2D":
            assert quantization is not None
            assert len(quantization.scales) > 1
    assert {t.dtype.value for t in graph.tensors if t.name.startswith(model.layers[1].name)} >= {
        "int16"
    }


def test_a_layer_in_float_is_only_for_tflite_micro() -> None:
    model = floats.digits()
    ranges = observe(model, floats.digits_data()).ranges("minmax")
    made = quantize(model, ranges, None, [Override("SOFTMAX", activations="float")])
    assert verdict(made, "made").engine == "tflm"


@pytest.mark.parametrize(("scale", "zero"), [(0.1, 3), (1 / 255, -128), (1e-3, 127)])
def test_a_users_scale_comes_out_exactly(scale: float, zero: int) -> None:
    model = floats.digits()
    ranges = observe(model, floats.digits_data()).ranges("minmax")
    made = quantize(model, ranges, pins=[Pin("image", scale=scale, zero_point=zero)])
    graph = reader.loads(made, "digits")
    image = graph.tensors[graph.inputs[0]]
    assert (np.float32(image.scale), image.zero_point) == (np.float32(scale), zero)


def test_a_users_range_is_used_and_reaches_what_shares_its_scale() -> None:
    model = floats.digits()
    pool = next(layer for layer in model.layers if layer.op == "MAX_POOL_2D")
    ranges = observe(model, floats.digits_data()).ranges("minmax")
    made = quantize(model, ranges, pins=[Pin(pool.name, Range(-1, 24.5))])
    graph = reader.loads(made, "digits")
    assert scale_of(graph, pool.name) == scale_of(graph, pool.inputs[0])
    assert scale_of(graph, pool.name)[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ([Pin("nothing*", Range(0, 1))], "no tensor"),
        ([Pin("*", scale=1.0)], "a scale is for one tensor"),
        ([Pin("image", scale=1.0, zero_point=300)], "int8 allows -128 to 127"),
        ([Pin("image", Range(0, 1)), Pin("image", Range(0, 2))], "share a scale"),
        ([Pin("StatefulPartitionedCall*", Range(0, 2))], "whose scale TFLite fixes"),
    ],
)
def test_impossible_pins(pins: list[Pin], message: str) -> None:
    model = floats.digits()
    ranges = observe(model, floats.digits_data()).ranges("minmax")
    with pytest.raises(InputError, match=message):
        quantize(model, ranges, pins=pins)


def test_an_override_that_matches_nothing() -> None:
    with pytest.raises(InputError, match=r"no layer of digits_float\.tflite matches 'mux'"):
        quantize(floats.digits(), {}, Scheme("dynamic"), [Override("mux", per_channel=False)])


# ---- Operators --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op", ["RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "SOFTMAX"]
)
def test_unary_operators(op: str) -> None:
    content = floats.unary(op)
    data = from_arrays(floats.noise(16, 4, 4, 8) * 3)
    made = floats.quantized(content, data)
    graph = reader.loads(made, op)
    assert [node.op for node in graph.nodes] == [op]
    assert floats.largest_error(content, made, data) < 0.03


BINARY = ["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "CONCATENATION", "SQUARED_DIFFERENCE"]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("kind", ["int8", "int16x8"])
def test_binary_operators(op: str, kind: str) -> None:
    if (op, kind) == ("SQUARED_DIFFERENCE", "int16x8"):
        pytest.skip("the quantiser has it for int8 only")
    tensors = [floats.tensor(name, 1, 4, 4, 8) for name in "ab"]
    tensors.append(floats.tensor("y", 1, 4, 4, 16 if op == "CONCATENATION" else 8))
    content = floats.network(tensors, [(op, ["a", "b"], "y")], ["a", "b"], ["y"])
    data = from_arrays({"a": floats.noise(16, 4, 4, 8), "b": floats.noise(16, 4, 4, 8, seed=1) * 2})
    made = floats.quantized(content, data, Scheme(kind))  # type: ignore[arg-type]
    assert "float32" not in {t.dtype.value for t in bare_graph(made, op).tensors}
    assert floats.largest_error(content, made, data) < (0.03 if kind == "int8" else 3e-4)


@pytest.mark.parametrize("op", ["RELU", "LOGISTIC", "TANH", "SOFTMAX", "LEAKY_RELU"])
def test_unary_operators_of_16_bits(op: str) -> None:
    content = floats.unary(op)
    data = from_arrays(floats.noise(16, 4, 4, 8) * 3)
    made = floats.quantized(content, data, Scheme("int16x8"))
    if verdict(made, op).engine:
        assert floats.largest_error(content, made, data) < 2e-3


def test_a_constant_operand() -> None:
    tensors = [floats.tensor("x", 1, 4), floats.weights("c", floats.noise(4) * 5)]
    tensors.append(floats.tensor("y", 1, 4))
    content = floats.network(tensors, [("MUL", ["x", "c"], "y")], ["x"], ["y"])
    data = from_arrays(floats.noise(16, 4))
    made = floats.quantized(content, data)
    assert floats.largest_error(content, made, data) < 0.03


def branches(factor: float) -> bytes:
    """x -> two convolutions of different ranges -> their concatenation."""
    tensors = [
        floats.tensor("x", 1, 4, 4, 2),
        floats.weights("v", floats.noise(3, 1, 1, 2)),
        floats.weights("w", floats.noise(3, 1, 1, 2) * factor),
        floats.weights("zero", np.zeros(3)),
        floats.tensor("a", 1, 4, 4, 3),
        floats.tensor("b", 1, 4, 4, 3),
        floats.tensor("y", 1, 4, 4, 6),
    ]
    layers = [
        ("CONV_2D", ["x", "v", "zero"], "a"),
        ("CONV_2D", ["x", "w", "zero"], "b"),
        ("CONCATENATION", ["a", "b"], "y"),
    ]
    return floats.network(tensors, layers, ["x"], ["y", "a"])


@pytest.mark.parametrize(("factor", "extra"), [(1.0, 0), (20.0, 1)])
def test_a_concatenation_shares_its_scale_unless_that_harms(factor: float, extra: int) -> None:
    content = branches(factor)  # "a" is an output too: at 20 times its range it would be lost
    data = from_arrays(floats.noise(16, 4, 4, 2))
    made = floats.quantized(content, data)
    graph = reader.loads(made, "branches")
    last = graph.nodes[-1]
    assert len({graph.tensors[i].quantization for i in (*last.inputs, *last.outputs)}) == 1
    assert [node.op for node in graph.nodes].count("QUANTIZE") == extra
    assert floats.largest_error(content, made, data) < 0.03


def test_an_operator_that_cannot_be_quantised_is_named_with_its_layer() -> None:
    content = floats.unary("EXP")
    with pytest.raises(InputError, match='layer 0 EXP "y" cannot be quantised'):
        floats.quantized(content, from_arrays(floats.noise(4, 4, 4, 8)))


def test_int16_where_only_int8_exists() -> None:
    with pytest.raises(InputError, match=r"HARD_SWISH .* cannot have int16 activations"):
        floats.quantized(
            floats.unary("HARD_SWISH"), from_arrays(floats.noise(4, 4, 4, 8)), Scheme("int16x8")
        )


# ---- Preparation ------------------------------------------------------------------------------


def test_bad_weights_are_named() -> None:
    weight = floats.noise(4, 8)
    weight[2, 3] = np.nan
    with pytest.raises(InputError, match='"w" of layer 0 FULLY_CONNECTED hold 1 of 32'):
        prepare(floats.dense(weight, None), "m.tflite")


def test_integer_models_are_refused() -> None:
    with pytest.raises(InputError, match="is quantised already"):
        prepare((floats.DIGITS / "digits_int8.tflite").read_bytes(), "digits_int8.tflite")


def test_custom_operators_are_refused_with_how_to_register_them() -> None:
    with pytest.raises(InputError, match="is a custom operator") as caught:
        prepare(floats.unary("MyLayer"), "m.tflite")
    assert "custom_objects" in caught.value.hint


def test_damage_is_told_in_a_sentence() -> None:
    content = floats.DIGITS.joinpath("digits_float.tflite").read_bytes()
    for cut in (8, 100, 1000, len(content) // 2):
        with pytest.raises(InputError):
            prepare(content[:cut], "cut.tflite")


def test_open_dimensions_are_refused() -> None:
    x = writer.Tensor((1, 1, 8), type=0, name="x", shape_signature=(-1, -1, 8))
    y = writer.Tensor((1, 1, 8), type=0, name="y")
    content = writer.single_operator("RELU", [x], [y])
    with pytest.raises(InputError, match=r"has the shape \[-1, -1, 8\], which is not fixed"):
        prepare(content, "m.tflite")


def test_weights_stored_smaller_become_float_again() -> None:
    data = floats.digits_data()
    for kind in ("dynamic", "float16"):
        small = quantize(floats.digits(), {}, Scheme(kind))  # type: ignore[arg-type]
        again = prepare(small, "small.tflite")
        assert "DEQUANTIZE" not in [layer.op for layer in again.layers]
        assert floats.largest_error(floats.digits(), floats.quantized(again, data), data) < 0.08


def test_equal_and_empty_names_are_made_different() -> None:
    tensors = [floats.tensor("", 1, 4), floats.tensor("t", 1, 4), floats.tensor("t_2", 1, 4)]
    doubled = [*tensors, writer.Tensor((1, 4), type=0, name="t")]
    operators = (
        writer.Operator("RELU", (0,), (1,)),
        writer.Operator("RELU", (1,), (2,)),
        writer.Operator("RELU", (2,), (3,)),
    )
    content = writer.write(writer.Model(tuple(doubled), operators, (0,), (3,)))
    model = prepare(content, "m.tflite")
    assert [layer.name for layer in model.layers] == ["t", "t_2", "t_3"]
    assert reader.loads(floats.quantized(model, from_arrays(floats.noise(8, 4))), "m").nodes
