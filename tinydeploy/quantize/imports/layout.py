"""Removes the transpositions that an import from a channels-first framework leaves.

A transposition is moved through operators that do not mind, towards the model's inputs or its
outputs, until it meets its opposite, a dense layer (whose weights then stand in the other order) or
an end of the model, which then is declared channels-last. Of several ways to move them the one
counts that leaves the fewest bytes to be moved at run time; what is left is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...tflite.tensors import printable
from .. import modelfile as mf
from .commuting import (
    REDUCTIONS,
    Permutation,
    adapted,
    add_tensor,
    after,
    data_inputs,
    inverse,
    order_of_many,
    spread,
)

# On a Cortex-M4: 5.0 to 6.5 instructions for a byte that is transposed, over 1.9 for a
# multiply-accumulate of a small convolutional network.
_MACS_A_BYTE = 3
_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class Layout:
    """A model without the transpositions that could be removed.

    Attributes:
        content: The `.tflite` file.
        notes: Which ends are laid out otherwise than in the source, and what is left.
        moved: Bytes that the remaining ones move in an inference of int8.
    """

    content: bytes
    notes: tuple[str, ...]
    moved: int


def settle(content: bytes, label: str) -> Layout:
    """Removes the transpositions of a float model as far as they can be.

    Raises:
        InputError: The file is damaged.
    """
    best: _Graph | None = None
    # Towards inputs, towards outputs: what one way blocks, another may open.
    for order in ("hs", "sh", "shs", "hsh", "h", "s", ""):
        graph = _Graph(mf.read(content, label))
        for letter in order:
            graph.exhaust(graph.hoist if letter == "h" else graph.sink)
            graph.fold_ends()
        graph.tidy()
        if best is None or graph.cost() < best.cost():
            best = graph
        if best.cost()[0] == 0:
            break
    assert best is not None
    best.name_free_ones()
    mf.drop_unused(best.model, share=False)
    return Layout(mf.write(best.model), (*best.notes, *best.left()), best.cost()[0])


def relaid(end: str, name: str, before: tuple[int, ...], order: Permutation) -> tuple[str, ...]:
    """The note on an "input" or "output" that is laid out otherwise than in the source.

    Args:
        end: Which of both it is.
        name: The tensor's.
        before: Its shape in the source.
        order: Which dimension of `before` each one is.
    """
    shape = [before[axis] for axis in order]
    if [a for a in order if before[a] != 1] == [a for a in range(len(order)) if before[a] != 1]:
        return ()  # the same bytes
    how = f": dimensions {list(order)} of it"
    if order == (0, *range(2, len(order)), 1):
        how = ", channels last"
        how += ": --transform channels-last turns samples" if end == "input" else ""
    return (f"the {end} {printable(name, 60)} is {shape} where the source has {list(before)}{how}",)


class _Graph:
    """A model that is being changed."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.subgraph = model.subgraphs[0]
        self.notes: list[str] = []

    # ---- What there is ---------------------------------------------------------------------

    def shape(self, tensor: int) -> tuple[int, ...]:
        return mf.shape_of(self.subgraph.tensors[tensor])

    def name(self, tensor: int) -> str:
        return mf.text(self.subgraph.tensors[tensor].name)

    def permutation(self, operator: Any) -> Permutation | None:
        """Of a TRANSPOSE with a constant order; None for anything else."""
        if operator is None or self._name_of(operator) != "TRANSPOSE":
            return None
        order = mf.constant(self.model, self.subgraph.tensors[mf.indices(operator.inputs)[1]])
        return None if order is None else tuple(int(i) for i in order.reshape(-1))

    def consumers(self, tensor: int) -> list[Any]:
        return [o for o in self.subgraph.operators if tensor in mf.indices(o.inputs)]

    def producer(self, tensor: int) -> Any:
        return next((o for o in self.subgraph.operators if tensor in mf.indices(o.outputs)), None)

    def is_output(self, tensor: int) -> bool:
        return tensor in mf.indices(self.subgraph.outputs)

    def is_constant(self, tensor: int) -> bool:
        return mf.constant(self.model, self.subgraph.tensors[tensor]) is not None

    def transpositions(self) -> list[tuple[Any, Permutation]]:
        found = [(o, self.permutation(o)) for o in self.subgraph.operators]
        return [(o, p) for o, p in found if p is not None]

    def cost(self) -> tuple[int, int]:
        """(Elements that are moved, transpositions)."""
        moving = [o for o, p in self.transpositions() if not self._is_free(o, p)]
        sizes = [int(np.prod(self.shape(mf.indices(o.inputs)[0]))) for o in moving]
        return sum(sizes), len(sizes)

    def _is_free(self, operator: Any, permutation: Permutation) -> bool:
        """Whether only dimensions of 1 change their places."""
        shape = self.shape(mf.indices(operator.inputs)[0])
        return all(a < b for a, b in pairwise(a for a in permutation if shape[a] != 1))

    # ---- Changes ---------------------------------------------------------------------------

    def exhaust(self, move: Callable[[Any, Permutation], bool]) -> None:
        """Makes a move until it can be made nowhere."""
        moved = True
        while moved:
            self.tidy()
            moved = any(move(o, p) for o, p in self.transpositions())
        self.tidy()

    def sink(self, operator: Any, permutation: Permutation) -> bool:
        """Moves a transposition behind the operators that take its output."""
        source, made = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
        if self.is_output(made):
            return False
        return any(
            self._sink_into(consumer, source, made, permutation)
            for consumer in self.consumers(made)
        )

    def _sink_into(self, consumer: Any, source: int, made: int, permutation: Permutation) -> bool:
        name = self._name_of(consumer)
        inputs = mf.indices(consumer.inputs)
        if name == "TRANSPOSE":
            second = self.permutation(consumer)
            if second is None:
                return False
            self._order(consumer, after(permutation, second))
            consumer.inputs = [source, mf.indices(consumer.inputs)[1]]
            return True
        if name in REDUCTIONS and not consumer.builtinOptions.keepDims:
            return self._sink_into_reduction(consumer, source, permutation)
        if name in _RESHAPES and self._only_ones(consumer):
            return self._sink_into_reshape(consumer, source, permutation)
        if name in ("RESHAPE", "FULLY_CONNECTED"):
            return self._sink_into_dense(consumer, source, made, permutation)
        places = data_inputs(self.model, consumer)
        if places is None:
            return False
        before = {}
        for place in places:
            if self.is_constant(inputs[place]):
                continue
            other = self.producer(inputs[place])
            if self.permutation(other) != permutation:
                return False
            before[place] = mf.indices(other.inputs)[0]
        if not adapted(self.model, consumer, inverse(permutation)):
            return False
        inputs = mf.indices(consumer.inputs)
        for place, tensor in before.items():
            inputs[place] = tensor
        consumer.inputs = inputs
        result = mf.indices(consumer.outputs)[0]
        shape = [self.shape(result)[axis] for axis in inverse(permutation)]
        inner = self._renamed(result, shape)
        consumer.outputs = [inner]
        self._insert(self._place(consumer) + 1, inner, result, permutation)
        return True

    def _sink_into_reduction(self, reduction: Any, source: int, permutation: Permutation) -> bool:
        axes = mf.constant(self.model, self.subgraph.tensors[mf.indices(reduction.inputs)[1]])
        if axes is None:
            return False
        rank = len(permutation)
        gone = {permutation[int(a) % rank] for a in axes.reshape(-1)}
        kept = [axis for axis in permutation if axis not in gone]
        if kept != sorted(kept):
            return False
        moved = add_tensor(self.model, "axes", [len(gone)], np.array(sorted(gone), np.int32))
        reduction.inputs = [source, moved]
        return True

    def _only_ones(self, operator: Any) -> bool:
        """Whether a RESHAPE just adds or removes dimensions of 1."""
        ends = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
        before, behind = ([d for d in self.shape(t) if d != 1] for t in ends)
        return before == behind

    def _sink_into_reshape(self, reshape: Any, source: int, permutation: Permutation) -> bool:
        result = mf.indices(reshape.outputs)[0]
        order = spread(self.shape(result), order_of_many(self.shape(source), permutation))
        inner = self._renamed(result, [self.shape(result)[axis] for axis in inverse(order)])
        self._reshape(reshape, source, inner)
        self._insert(self._place(reshape) + 1, inner, result, order)
        return True

    def _hoist_over_reshape(self, reshape: Any, wanted: int, permutation: Permutation) -> None:
        source, made = mf.indices(reshape.inputs)[0], mf.indices(reshape.outputs)[0]
        order = spread(self.shape(source), order_of_many(self.shape(made), permutation))
        outer = self._renamed(source, [self.shape(source)[axis] for axis in order])
        self._insert(self._place(reshape), source, outer, order)
        self._reshape(reshape, outer, wanted)

    def _sink_into_dense(self, first: Any, source: int, made: int, order: Permutation) -> bool:
        """A dense layer that sees all elements: its weights are put into the other order."""
        path = [first]
        while self._name_of(path[-1]) == "RESHAPE":
            behind = mf.indices(path[-1].outputs)[0]
            followers = self.consumers(behind)
            if len(followers) != 1 or self.is_output(behind):
                return False
            path.append(followers[0])
        dense, size = path[-1], int(np.prod(self.shape(source)))
        if self._name_of(dense) != "FULLY_CONNECTED":
            return False
        inputs = mf.indices(dense.inputs)
        data = made if dense is first else mf.indices(path[-2].outputs)[0]
        weights = mf.constant(self.model, self.subgraph.tensors[inputs[1]])
        if inputs[0] != data or weights is None or weights.shape[1] != size:
            return False
        places = np.arange(size).reshape(self.shape(source)).transpose(order).reshape(-1)
        moved = np.empty_like(weights)
        moved[:, places] = weights
        inputs[1] = add_tensor(self.model, self.name(inputs[1]), moved.shape, moved)
        dense.inputs = inputs
        changed = mf.indices(first.inputs)
        changed[0] = source
        first.inputs = changed
        return True

    def hoist(self, operator: Any, permutation: Permutation) -> bool:
        """Moves a transposition in front of the operator that makes its input."""
        made, wanted = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
        maker = self.producer(made)
        if maker is None or self.is_output(made) or len(self.consumers(made)) != 1:
            return False
        if self._name_of(maker) in _RESHAPES and self._only_ones(maker):
            self._hoist_over_reshape(maker, wanted, permutation)
            self._drop(operator)
            return True
        places = data_inputs(self.model, maker)
        if places is None:
            return False
        runtime = [p for p in places if not self.is_constant(mf.indices(maker.inputs)[p])]
        if not adapted(self.model, maker, permutation):
            return False
        inputs = mf.indices(maker.inputs)
        for place in runtime:
            old = inputs[place]
            inputs[place] = self._renamed(old, [self.shape(old)[a] for a in permutation])
            self._insert(self._place(maker), old, inputs[place], permutation)
        maker.inputs = inputs
        maker.outputs = [wanted]
        self._drop(operator)
        return True

    def fold_ends(self) -> None:
        """Inputs and outputs that are only ever used transposed are declared that way."""
        for number in mf.indices(self.subgraph.inputs):
            users = self.consumers(number)
            orders = {self.permutation(user) for user in users}
            order = next(iter(orders), None)
            if len(orders) != 1 or order is None or self.is_output(number):
                continue
            before = self.shape(number)
            for user in users:
                self._replace(mf.indices(user.outputs)[0], number)
                self._drop(user)
            self._declare("input", number, before, order)
        for operator, order in self.transpositions():
            inner, outer = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
            fits = self.is_output(outer) and not self.consumers(outer)
            if not fits or self.is_output(inner) or self.producer(inner) is None:
                continue
            before, name = self.shape(outer), self.name(outer)
            outputs = [inner if o == outer else o for o in mf.indices(self.subgraph.outputs)]
            self.subgraph.outputs = outputs
            self._drop(operator)
            self.subgraph.tensors[outer].name = b""
            self.subgraph.tensors[inner].name = name.encode()
            self._declare("output", inner, before, inverse(order))

    def _declare(self, end: str, number: int, before: tuple[int, ...], order: Permutation) -> None:
        shape = [before[axis] for axis in order]
        self.subgraph.tensors[number].shape = shape
        self.notes += relaid(end, self.name(number), before, order)

    def tidy(self) -> None:
        """Drops transpositions that nobody reads or that change nothing; equal ones become one."""
        known: dict[tuple[int, Permutation], int] = {}
        for operator, order in self.transpositions():
            source, made = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
            same = source if order == tuple(range(len(order))) else known.get((source, order))
            if not self.is_output(made):
                if same is not None:
                    self._replace(made, same)
                if not self.consumers(made):
                    self._drop(operator)
                    continue
            known.setdefault((source, order), made)

    def name_free_ones(self) -> None:
        """A transposition of dimensions of 1 is a RESHAPE; of several in a row one is enough."""
        for operator, order in self.transpositions():
            if self._is_free(operator, order):
                ends = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
                self._reshape(operator, *ends)
        reshapes = [o for o in self.subgraph.operators if self._name_of(o) == "RESHAPE"]
        for operator in reshapes:
            source, made = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
            maker = self.producer(source)
            if maker is not None and self._name_of(maker) == "RESHAPE":
                source = mf.indices(maker.inputs)[0]
                self._reshape(operator, source, made)
            if self.shape(source) == self.shape(made) and not self.is_output(made):
                self._replace(made, source)
        for operator in reshapes:
            made = mf.indices(operator.outputs)[0]
            if not self.is_output(made) and not self.consumers(made):
                self._drop(operator)

    def left(self) -> list[str]:
        """What remains, with its cost."""
        found = []
        for index, operator in enumerate(self.subgraph.operators):
            if (order := self.permutation(operator)) is None:
                continue
            source, made = mf.indices(operator.inputs)[0], mf.indices(operator.outputs)[0]
            size = int(np.prod(self.shape(source)))
            found.append(
                f"layer {index} TRANSPOSE {printable(self.name(made), 60)} by {list(order)} stays: "
                f"it moves {size:,} bytes in each inference, which takes as long as about "
                f"{size * _MACS_A_BYTE:,} multiply-accumulates"
            )
        return found

    def _name_of(self, operator: Any) -> str:
        return mf.operator_name(self.model, operator)

    def _reshape(self, operator: Any, source: int, made: int) -> None:
        """Makes an operator the RESHAPE from one tensor to another."""
        generated, shape = mf.schema(), self.shape(made)
        operator.opcodeIndex = mf.add_code(self.model, "RESHAPE")
        constant = add_tensor(self.model, "shape", [len(shape)], np.array(shape, np.int32))
        operator.inputs, operator.outputs = [source, constant], [made]
        operator.builtinOptionsType = generated.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = generated.ReshapeOptionsT(newShape=list(shape))

    def _place(self, operator: Any) -> int:
        return next(i for i, o in enumerate(self.subgraph.operators) if o is operator)

    def _drop(self, operator: Any) -> None:
        del self.subgraph.operators[self._place(operator)]

    def _replace(self, old: int, new: int) -> None:
        """All operators read `new` instead of `old`."""
        for operator in self.consumers(old):
            operator.inputs = [new if i == old else i for i in mf.indices(operator.inputs)]

    def _renamed(self, tensor: int, shape: list[int]) -> int:
        """A new tensor of another layout."""
        return add_tensor(self.model, f"{self.name(tensor)}_transposed", shape)

    def _order(self, operator: Any, permutation: Permutation) -> None:
        number = add_tensor(
            self.model, "order", [len(permutation)], np.array(permutation, np.int32)
        )
        operator.inputs = [*mf.indices(operator.inputs)[:1], number]

    def _insert(self, place: int, source: int, made: int, permutation: Permutation) -> None:
        generated = mf.schema()
        operator = generated.OperatorT(
            opcodeIndex=mf.add_code(self.model, "TRANSPOSE"),
            inputs=[source],
            outputs=[made],
            builtinOptionsType=generated.BuiltinOptions.TransposeOptions,
            builtinOptions=generated.TransposeOptionsT(),
        )
        self._order(operator, permutation)
        self.subgraph.operators.insert(place, operator)
