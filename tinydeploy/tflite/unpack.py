"""A `.tflite` file as the writer's plain data, to be changed and written again."""

from __future__ import annotations

from .flatbuffer import Flatbuffer, Table, Tables
from .reader import check_header, main_subgraph, operator_name
from .schema import OPTION_KINDS, ModelSlot, OperatorSlot, SubGraphSlot, TensorSlot
from .tensors import TensorReader
from .writer import Model, Operator, Option, Tensor


def unpack(content: bytes, label: str) -> Model:
    """The model, with all that the reader looks at; constants stay views of `content`.

    What is left out: signatures, metadata, operator versions, custom options, and the options of
    operators that are not supported.

    Args:
        content: The whole file.
        label: What errors call it.

    Raises:
        InputError: It is damaged, or one of its tensors is of a kind that is not supported.
    """
    check_header(content, label)
    root = Flatbuffer(content, label).root("the model")
    subgraph = main_subgraph(root, label)
    tables = subgraph.tables(SubGraphSlot.TENSORS, "tensor")
    reader = TensorReader(label, tables, root.tables(ModelSlot.BUFFERS, "buffer"))
    codes = root.tables(ModelSlot.OPERATOR_CODES, "operator code")
    operators = subgraph.tables(SubGraphSlot.OPERATORS, "operator")
    return Model(
        tensors=tuple(_tensor(reader, tables, i) for i in range(len(tables))),
        operators=tuple(_operator(operators[i], codes) for i in range(len(operators))),
        inputs=subgraph.int32_vector(SubGraphSlot.INPUTS),
        outputs=subgraph.int32_vector(SubGraphSlot.OUTPUTS),
    )


def _tensor(reader: TensorReader, tables: Tables, index: int) -> Tensor:
    tensor = reader.read(index)
    quantization = tensor.quantization
    return Tensor(
        shape=tensor.shape,
        type=tables[index].int8(TensorSlot.TYPE),
        scales=quantization.scales if quantization else (),
        zero_points=quantization.zero_points if quantization else (),
        axis=quantization.axis if quantization else 0,
        data=tensor.data,
        name=tensor.name,
    )


def _operator(table: Table, codes: Tables) -> Operator:
    op, _ = operator_name(table, codes)
    stored = table.table(OperatorSlot.BUILTIN_OPTIONS, f"the options of {op}")
    options = {}
    for slot, kind in enumerate(OPTION_KINDS.get(op, ())):
        if stored is not None and stored.present(slot):
            options[slot] = Option(kind, getattr(stored, kind.value)(slot))
    return Operator(
        op,
        table.int32_vector(OperatorSlot.INPUTS),
        table.int32_vector(OperatorSlot.OUTPUTS),
        options,
    )
