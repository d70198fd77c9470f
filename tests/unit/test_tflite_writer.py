"""What the writer writes is what other readers of the format read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import MODEL_NAMES, Golden, require
from tinydeploy.tflite.flatbuffer import Flatbuffer
from tinydeploy.tflite.schema import (
    BUFFER_ALIGNMENT,
    Conv2DOptions,
    Kind,
    ModelSlot,
    OperatorSlot,
    SubGraphSlot,
)
from tinydeploy.tflite.unpack import unpack
from tinydeploy.tflite.writer import (
    Model,
    Operator,
    Option,
    Tensor,
    constant,
    float32,
    int8,
    int32,
    int32_vector,
    single_operator,
    write,
)


def conv() -> bytes:
    weights = np.arange(54, dtype=np.int8).reshape(2, 3, 3, 3)
    return single_operator(
        "CONV_2D",
        inputs=[
            Tensor((1, 8, 8, 3), scales=(0.5,), zero_points=(-3,), name="x"),
            constant(weights, scales=(0.01, 0.02)),
            None,
        ],
        outputs=[Tensor((1, 8, 8, 2), scales=(0.7,), zero_points=(1,))],
        options={Conv2DOptions.STRIDE_W: int32(1), Conv2DOptions.STRIDE_H: int32(2)},
    )


def test_bytes_are_the_same_every_time() -> None:
    assert conv() == conv()


def test_constants_are_aligned() -> None:
    for elements in range(1, 40):
        data = np.full(elements, 77, np.int8)
        content = single_operator("ADD", [Tensor((1,)), constant(data)], [Tensor((1,))])
        assert content.find(data.tobytes()) % BUFFER_ALIGNMENT == 0


def test_the_same_object_twice_is_one_tensor() -> None:
    x = Tensor((1, 4))
    root = Flatbuffer(single_operator("ADD", [x, x], [Tensor((1, 4))]), "t").root("the model")
    subgraph = root.tables(ModelSlot.SUBGRAPHS, "subgraph")[0]
    assert len(subgraph.tables(SubGraphSlot.TENSORS, "tensor")) == 2
    assert subgraph.int32_vector(SubGraphSlot.INPUTS) == (0,)
    operator = subgraph.tables(SubGraphSlot.OPERATORS, "operator")[0]
    assert operator.int32_vector(OperatorSlot.INPUTS) == (0, 0)


def test_options_of_every_kind() -> None:
    values = {
        0: int8(-7),
        1: int32(-70_000),
        2: float32(0.5),
        3: Option(Kind.BOOLEAN, True),
        5: int32_vector([1, -1, 300]),
    }
    operator = Operator("ADD", (0, -1), (1,), values)
    content = write(Model((Tensor((1,)), Tensor((1,))), (operator,), (0,), (1,)))
    root = Flatbuffer(content, "t").root("the model")
    subgraph = root.tables(ModelSlot.SUBGRAPHS, "subgraph")[0]
    stored = subgraph.tables(SubGraphSlot.OPERATORS, "operator")[0]
    assert stored.int32_vector(OperatorSlot.INPUTS) == (0, -1)
    options = stored.table(OperatorSlot.BUILTIN_OPTIONS, "options")
    assert options is not None
    assert options.int8(0) == -7
    assert options.int32(1) == -70_000
    assert options.float32(2) == 0.5
    assert options.boolean(3) is True
    assert options.int8(4, 9) == 9
    assert options.int32_vector(5) == (1, -1, 300)
    assert options.int32_vector(6) == ()


def test_the_generated_schema_reads_it() -> None:
    require("oracle")
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    content = conv()
    assert schema.Model.ModelBufferHasIdentifier(content, 0)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    assert model.version == 3
    assert [(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes] == [(3, 3)]
    (subgraph,) = model.subgraphs
    x, weights, y = subgraph.tensors
    assert x.name == b"x"
    assert list(x.shape) == [1, 8, 8, 3]
    assert list(x.quantization.scale) == [0.5]
    assert list(x.quantization.zeroPoint) == [-3]
    assert bytes(model.buffers[weights.buffer].data) == bytes(range(54))
    assert list(weights.quantization.zeroPoint) == [0, 0]
    assert list(y.shape) == [1, 8, 8, 2]
    (operator,) = subgraph.operators
    assert list(operator.inputs) == [0, 1, -1]
    assert isinstance(operator.builtinOptions, schema.Conv2DOptionsT)
    assert (operator.builtinOptions.strideW, operator.builtinOptions.strideH) == (1, 2)
    assert operator.builtinOptions.dilationWFactor == 1


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_real_models_written_again_compute_the_same(name: str, golden: dict[str, Golden]) -> None:
    require("oracle", "models")
    from tflite_micro.python.tflite_micro import runtime

    from tests.support import MODELS

    content = write(unpack((MODELS / f"{name}.tflite").read_bytes(), name))
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 20)
    expected = golden[name]
    interpreter.set_input(expected.input(3), 0)
    interpreter.invoke()
    assert interpreter.get_output(0).tobytes() == expected.outputs[3].tobytes()
