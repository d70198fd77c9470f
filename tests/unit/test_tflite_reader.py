"""Real models load; whatever is wrong with a file is said in one sentence."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import MODEL_NAMES, Golden
from tinydeploy.errors import InputError
from tinydeploy.graph import DType
from tinydeploy.tflite import reader
from tinydeploy.tflite.flatbuffer import Flatbuffer, Table
from tinydeploy.tflite.reader import load, loads
from tinydeploy.tflite.schema import (
    ModelSlot,
    OperatorCodeSlot,
    SubGraphSlot,
    TensorType,
)
from tinydeploy.tflite.writer import Model, Operator, Tensor, constant, int8, write

# The scale and zero point that TFLite fixes for the output of LOGISTIC; TANH's has none.
X = Tensor((1, 4), scales=(0.5,), zero_points=(3,), name="x")
Y = Tensor((1, 4), scales=(1 / 256,), zero_points=(-128,), name="y")
Z = Tensor((1, 4), scales=(1 / 256,), zero_points=(-128,), name="z")
LOGISTIC = Operator("LOGISTIC", (0,), (1,))
CHAIN = Model((X, Y, Z), (LOGISTIC, Operator("LOGISTIC", (1,), (2,))), (0,), (2,))


def refusal(content: bytes | Model) -> InputError:
    if isinstance(content, Model):
        content = write(content)
    with pytest.raises(InputError) as caught:
        loads(content, "m.tflite")
    assert "\n" not in caught.value.message
    assert not caught.value.message.endswith(".")
    assert caught.value.message.startswith("m.tflite")
    return caught.value


def tensor(index: int, **changes: object) -> Model:
    """CHAIN with one tensor changed."""
    tensors = list(CHAIN.tensors)
    tensors[index] = replace(tensors[index], **changes)  # type: ignore[arg-type]
    return replace(CHAIN, tensors=tuple(tensors))


def root(content: bytes) -> Table:
    return Flatbuffer(content, "m").root("the model")


def patch(content: bytes, position: int, form: str, value: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, position, value)
    return bytes(changed)


def field(table: Table, slot: int) -> int:
    position = table._find(slot, 1)
    assert position is not None
    return position


# ---- What loads ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_real_models_load(name: str, models: Path, golden: dict[str, Golden]) -> None:
    graph = load(models / f"{name}.tflite")
    expected = golden[name]
    assert graph.name == name
    assert graph.sha256 == expected.sha256
    assert graph.size_bytes == (models / f"{name}.tflite").stat().st_size
    (source,), (sink,) = graph.inputs, graph.outputs
    assert graph.tensors[source].shape == expected.input_shape
    assert graph.tensors[source].zero_point == expected.input_zero_point
    assert graph.tensors[sink].shape == expected.output_shape
    assert [n.index for n in graph.nodes] == list(range(len(graph.nodes)))


def test_a_written_model_loads() -> None:
    content = write(CHAIN)
    graph = loads(content, "m.tflite")
    assert graph.sha256 == hashlib.sha256(content).hexdigest()
    assert [n.op for n in graph.nodes] == ["LOGISTIC", "LOGISTIC"]
    assert graph.tensors[0].shape == (1, 4)
    assert graph.tensors[0].dtype is DType.INT8
    assert (graph.tensors[0].scale, graph.tensors[0].zero_point) == (0.5, 3)
    assert (graph.inputs, graph.outputs) == ((0,), (2,))


def test_constants_are_views_that_cannot_be_written() -> None:
    weights = constant(np.arange(6, dtype=np.int32).reshape(2, 3), scales=(0.5, 0.25))
    from tinydeploy.tflite.tensors import TensorReader

    table = root(write(Model((weights,), (), (), ())))
    tables = table.tables(ModelSlot.SUBGRAPHS, "subgraph")[0].tables(SubGraphSlot.TENSORS, "tensor")
    read = TensorReader("m", tables, table.tables(ModelSlot.BUFFERS, "buffer")).read(0)
    assert read.data is not None
    assert read.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not read.data.flags.writeable
    assert not read.data.flags.owndata
    assert read.quantization is not None
    assert read.quantization.scales == (0.5, 0.25)


def test_opcode_in_the_deprecated_field_alone() -> None:
    content = write(CHAIN)
    code = root(content).tables(ModelSlot.OPERATOR_CODES, "code")[0]
    old = patch(content, field(code, OperatorCodeSlot.BUILTIN_CODE), "<i", 0)
    assert loads(old, "old").nodes[0].op == "LOGISTIC"
    new = patch(content, field(code, OperatorCodeSlot.DEPRECATED_BUILTIN_CODE), "<b", 0)
    assert loads(new, "new").nodes[0].op == "LOGISTIC"


def test_a_dynamic_signature_is_fine_where_the_shape_is_fixed() -> None:
    assert loads(write(tensor(0, shape_signature=(-1, 4))), "m").tensors[0].shape == (1, 4)


def test_absent_zero_points_are_zeros() -> None:
    assert loads(write(tensor(0, zero_points=None)), "m").tensors[0].zero_point == 0


def test_tensors_that_nothing_uses_are_not_looked_at() -> None:
    strange = Tensor((-1, 7), type=TensorType.STRING, scales=(float("nan"),))
    graph = loads(write(replace(CHAIN, tensors=(*CHAIN.tensors, strange))), "m")
    assert graph.tensors[3].bytes == 0


@pytest.mark.parametrize(
    "name",
    ['"quoted"', "line\nbreak", "*/ int x; /*", "模型 🙂", "\0", "n" * 10_000],
)
def test_tensor_names_are_any_text(name: str) -> None:
    assert loads(write(tensor(0, name=name)), "m").tensors[0].name == name
    bad = refusal(tensor(0, name=name, shape=(0,)))
    assert len(bad.message) < 200


def test_names_that_are_not_utf8_are_read() -> None:
    content = write(tensor(0, name="abcdefgh")).replace(b"abcdefgh", b"\xff\xfe\xc0gh\xed\xa0\x80")
    loads(content, "m").tensors[0].name.encode()


# ---- The file as a whole ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"TFL3", 'bytes 4 to 8 are "", not "TFL3"'),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "is a Keras .h5 file"),
        (b"PK\x03\x04" + bytes(90), "is a zip archive"),
        (b"version https://git-lfs", "is a Git LFS pointer"),
        (b"\x08\x00\x00\x00TFL2" + bytes(90), 'bytes 4 to 8 are "TFL2"'),
        (b"\x10\x00\x00\x00TFL3", "the model lies at byte 16 of 8"),
        (b"\xff\xff\xff\xffTFL3" + bytes(9), "the model lies at byte 4294967295 of 17"),
        (b"\x00\x00\x00\x00TFL3" + bytes(90), "the model lies at byte 0 of 98"),
    ],
)
def test_not_a_model(content: bytes, message: str) -> None:
    assert message in refusal(content).message


def test_every_truncation_is_refused() -> None:
    content = write(CHAIN)
    for length in range(len(content) - 1):
        refusal(content[:length])


def test_another_version() -> None:
    content = write(CHAIN)
    changed = patch(content, field(root(content), ModelSlot.VERSION), "<I", 2)
    assert refusal(changed).message == "m.tflite has schema version 2, supported is 3"


def test_too_large_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    with path.open("wb") as file:
        file.truncate(reader.LARGEST_FILE_BYTES + 1)  # sparse: nothing is written or read
    with pytest.raises(InputError, match="268435457 bytes, at most 268435456 are read"):
        load(path)
    monkeypatch.setattr(reader, "LARGEST_FILE_BYTES", 100)
    assert "at most 100 are read" in refusal(CHAIN).message


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "no.tflite")
    with pytest.raises(InputError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot be read"):
        load(Path("a\0b"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        load(tmp_path / "pipe")
    closed = tmp_path / "closed.tflite"
    closed.write_bytes(write(CHAIN))
    closed.chmod(0)
    if not os.access(closed, os.R_OK):
        with pytest.raises(InputError, match="Permission denied"):
            load(closed)


# ---- Offsets and lengths ---------------------------------------------------------------------


def test_a_vector_longer_than_the_file_allocates_nothing() -> None:
    content = write(CHAIN)
    table = root(content).tables(ModelSlot.SUBGRAPHS, "subgraph")[0]
    for slot, what in (
        (SubGraphSlot.INPUTS, "field 1 of subgraph 0"),
        (SubGraphSlot.OPERATORS, "the list of operators"),
        (SubGraphSlot.TENSORS, "the list of tensors"),
    ):
        position = field(table, slot)
        vector = position + struct.unpack_from("<I", content, position)[0]
        for count in (0xFFFFFFFF, 0x7FFFFFFF, 0x3FFFFFFF, len(content)):
            error = refusal(patch(content, vector, "<I", count))
            assert f"{what} has {count} elements of 4 bytes" in error.message


def test_vtables_outside_the_file() -> None:
    content = write(CHAIN)
    table = root(content)
    for offset in (-(1 << 31), (1 << 31) - 1, table._position + 1, -len(content)):
        error = refusal(patch(content, table._position, "<i", offset))
        assert "the layout of the model" in error.message


def test_fields_outside_their_table() -> None:
    content = write(CHAIN)
    table = root(content)
    entry = table._vtable + 4 + 2 * ModelSlot.SUBGRAPHS
    error = refusal(patch(content, entry, "<H", 0xFFF0))
    assert "field 2 of the model lies at byte 65520" in error.message


def test_lists_that_refer_to_the_same_bytes_for_ever() -> None:
    """4,000 entries of one list lead to the same operator, which has 4,000 inputs."""
    long = Operator("LOGISTIC", (0,) * 4000, (1,))
    content = bytearray(write(replace(CHAIN, operators=(long,) + (LOGISTIC,) * 3999)))
    table = root(bytes(content)).tables(ModelSlot.SUBGRAPHS, "subgraph")[0]
    position = field(table, SubGraphSlot.OPERATORS)
    vector = position + struct.unpack_from("<I", content, position)[0] + 4
    first = vector + struct.unpack_from("<I", content, vector)[0]
    for entry in range(vector, vector + 4 * 4000, 4):
        struct.pack_into("<I", content, entry, first - entry)
    assert "its tables overlap, or hold too much" in refusal(bytes(content)).message


# ---- Tensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (1, -1)}, "has the shape [1, -1], which is not fixed"),
        ({"shape": (0, 4)}, "has the shape [0, 4], which is not fixed"),
        ({"shape": (1,) * 9}, "has 9 dimensions, at most 8"),
        ({"shape": (1 << 30, 2)}, "has 2147483648 bytes, at most 1073741824"),
        ({"shape": ((1 << 31) - 1,) * 8}, "bytes, at most 1073741824"),
        ({"type": 99}, "tensor 0 has type 99, the largest is 22"),
        ({"type": -1}, "tensor 0 has type -1"),
        ({"type": TensorType.STRING}, "is string, which is not supported"),
        ({"type": TensorType.INT4}, "is int4, which is not supported"),
        ({"type": TensorType.FLOAT16}, 'is a float model: tensor 0 "x" is float16'),
        ({"scales": (0.0,)}, "has the scale 0, which is not a positive number"),
        ({"scales": (-1.0,)}, "has the scale -1"),
        ({"scales": (float("inf"),)}, "has the scale inf"),
        ({"scales": (float("nan"),)}, "has the scale nan"),
        ({"scales": (1e-50,)}, "has the scale 0"),
        ({"zero_points": (128,)}, "has the zero point 128, outside int8's -128 to 127"),
        ({"zero_points": (1 << 40,)}, "has the zero point 1099511627776"),
        ({"zero_points": (1, 2)}, "has 1 scales and 2 zero points"),
        ({"scales": (1.0, 2.0), "zero_points": (), "axis": 1}, "has 2 scales along dimension 1"),
        ({"scales": (1.0, 2.0), "zero_points": (), "axis": 2}, "along dimension 2 of the shape"),
        ({"scales": (1.0, 2.0), "zero_points": (), "axis": -1}, "along dimension -1"),
        ({"is_variable": True}, "is a variable"),
        ({"data": bytes(3)}, "of shape [1, 4] and type int8 needs 4 bytes, its buffer has 3"),
        ({"data": bytes(5)}, "needs 4 bytes, its buffer has 5"),
    ],
)
def test_tensors_that_are_refused(changes: dict[str, object], message: str) -> None:
    assert message in refusal(tensor(0, **changes)).message


def test_data_outside_the_flatbuffer() -> None:
    """As converters write it when the weights grow large."""
    error = refusal(write(tensor(0, outside=(4096, 4))) + bytes(8000))
    assert 'tensor 0 "x" has its data outside the flatbuffer' in error.message
    assert "inside the flatbuffer" in error.hint
    assert "is a constant" not in refusal(tensor(0, outside=(4096, 4))).message
    # 0 and 1 are what converters leave in buffers without data.
    assert not loads(write(tensor(0, outside=(1, 1))), "m").tensors[0].is_constant


def test_a_buffer_that_is_not_there() -> None:
    content = write(CHAIN)
    tables = root(content).tables(ModelSlot.SUBGRAPHS, "subgraph")[0]
    x = tables.tables(SubGraphSlot.TENSORS, "tensor")[0]
    error = refusal(patch(content, field(x, 2), "<I", 7))
    assert "tensor 0 is in buffer 7 of 1" in error.message


def test_more_activations_than_any_device_has() -> None:
    shape = (1 << 29, 1)
    tensors = tuple(replace(t, shape=shape) for t in CHAIN.tensors)
    error = refusal(replace(CHAIN, tensors=tensors))
    assert "computes tensors of 1610612736 bytes in all, at most 1073741824" in error.message


# ---- The network -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operators": ()}, "has no operators"),
        ({"inputs": ()}, "the network has no inputs"),
        ({"outputs": ()}, "the network has no outputs"),
        ({"inputs": (0, 0)}, "tensor 0 stands twice among the network's inputs"),
        ({"outputs": (2, 2)}, "tensor 2 stands twice among the network's outputs"),
        ({"inputs": (3,)}, "tensor 3 is used, there are 3"),
        ({"inputs": (-1,)}, "tensor -1 is used"),
        ({"outputs": (-1,)}, "tensor -1 is used"),
        ({"inputs": (1,)}, "layer 0 LOGISTIC reads tensor 0, which nothing writes"),
        ({"outputs": (0,)}, "tensor 0, is its input too"),
        ({"operators": (LOGISTIC,)}, "tensor 2, is written by no layer"),
        ({"operators": (LOGISTIC, LOGISTIC)}, "layer 1 LOGISTIC writes tensor 1, which layer 0"),
        (
            {"operators": (Operator("LOGISTIC", (1,), (2,)), LOGISTIC)},
            "layer 0 LOGISTIC reads tensor 1, which layer 1 LOGISTIC has yet to write",
        ),
        (
            {"operators": (Operator("LOGISTIC", (1,), (1,)), Operator("LOGISTIC", (1,), (2,)))},
            "layer 0 LOGISTIC reads tensor 1, which layer 0 LOGISTIC has yet to write",
        ),
        ({"operators": (Operator("LOGISTIC", (0,), (0,)),)}, "the network's input writes too"),
        ({"operators": (Operator("LOGISTIC", (0,), (77,)),)}, "tensor 77 is used"),
        ({"operators": (Operator("LOGISTIC", (0,), (-1,)),)}, "tensor -1 is used"),
        ({"operators": (Operator("LOGISTIC", (-2,), (1,)),)}, "tensor -2 is used"),
        ({"operators": (Operator("LOGISTIC", (-1,), (2,)),)}, "does not depend on its inputs"),
        ({"operators": (Operator("LOGISTIC", (0,), ()),)}, "writes 0 tensors"),
        (
            {"operators": (Operator("LOGISTIC", (0, 0), (2,)),)},
            "layer 0 LOGISTIC has 2 inputs, it takes 1",
        ),
        (
            {"operators": (Operator("CONV_2D", (0,), (2,)),)},
            "layer 0 CONV_2D has 1 inputs, it takes 2 to 3",
        ),
        ({"operators": (Operator("LOGISTIC", (0,), (1, 2)),)}, "writes 2 tensors"),
        (
            {"operators": (Operator("SVDF", (0,), (1,)), Operator("GATHER", (1,), (2,)))},
            "layer 0 SVDF is not supported, nor are GATHER",
        ),
        (
            {"operators": (LOGISTIC, Operator("My\nOp", (1,), (2,)))},
            'layer 1 "My?Op", a custom operator, is not supported',
        ),
        (
            {"operators": (LOGISTIC, Operator("SOFTMAX", (1,), (2,), {0: int8(1)}, 5))},
            "the options of layer 1 SOFTMAX are of kind 5, its own are 9",
        ),
    ],
)
def test_networks_that_are_refused(changes: dict[str, object], message: str) -> None:
    assert message in refusal(replace(CHAIN, **changes)).message  # type: ignore[arg-type]


def test_more_than_any_microcontroller_holds() -> None:
    operators = (LOGISTIC,) * 4097
    assert (
        "has 4097 operators, at most 4096" in refusal(replace(CHAIN, operators=operators)).message
    )
    tensors = (X,) * 16385
    assert "has 16385 tensors, at most 16384" in refusal(replace(CHAIN, tensors=tensors)).message


def test_constants_where_there_must_be_none() -> None:
    assert "input, tensor 0, is a constant" in refusal(tensor(0, data=bytes(4))).message
    assert "writes tensor 1, which is a constant" in refusal(tensor(1, data=bytes(4))).message
    outputs = replace(tensor(2, data=bytes(4)), operators=(LOGISTIC,))
    assert "output, tensor 2, is a constant" in refusal(outputs).message


def test_the_hint_lists_what_is_supported() -> None:
    error = refusal(replace(CHAIN, operators=(Operator("SVDF", (0,), (2,)),)))
    assert error.hint.startswith("supported operators: ")
    assert "LOGISTIC" in error.hint


def test_float_models() -> None:
    floats = tuple(Tensor(t.shape, type=TensorType.FLOAT32, name=t.name) for t in (X, Y, Z))
    error = refusal(replace(CHAIN, tensors=floats))
    assert error.message == "m.tflite is a float model: layer 0 LOGISTIC computes in float32"
    assert "tinydeploy quantize" in error.hint
    partly = refusal(replace(CHAIN, tensors=(X, Y, floats[2])))
    assert "is only partly quantised: layer 1 LOGISTIC computes in float32" in partly.message
    assert "the float model that it was made from" in partly.hint


def test_a_real_float_model(models: Path) -> None:
    with pytest.raises(InputError, match="is a float model with quantised weights"):
        load(models / "kws_float.tflite")


def test_an_operators_own_refusal_names_file_and_layer() -> None:
    error = refusal(tensor(1, type=TensorType.INT32))
    assert error.message.startswith("m.tflite: layer 0 LOGISTIC: ")
