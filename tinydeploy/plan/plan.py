"""The types of a `Plan`: every decision about a model on a target, before any C exists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

from ..graph import Array, Graph


class Isa(Enum):
    """An instruction-set variant of the kernels; the value is the suffix of their names."""

    SCALAR = "scalar"  # Armv6-M, Armv7-M, any host
    DSP = "dsp"  # Armv7E-M and Armv8-M with the DSP extension
    MVE = "mve"  # Armv8.1-M with Helium (integer)


class Optimize(Enum):
    """What to spend bytes and time on: RAM is SPEED with activations moved and split for RAM."""

    SPEED = "speed"
    SIZE = "size"
    RAM = "ram"


@dataclass(frozen=True)
class Target:
    """What the plan is made for.

    Attributes:
        isas: The instruction sets that kernels may use, best first, always ending in SCALAR.
        optimize: Speed or size.
    """

    isas: tuple[Isa, ...]
    optimize: Optimize = Optimize.SPEED


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash.

    Attributes:
        role: What it is to the kernel ("weights", "bias"): becomes part of the C name.
        data: int8, uint8, int16, int32, uint32 or float32 elements, any shape, row-major.
        align: Its alignment in bytes.
    """

    role: str
    data: Array
    align: int = 4

    @cached_property
    def key(self) -> tuple[str, int, bytes]:
        """Equal for constants that can be one array in flash."""
        return str(self.data.dtype), self.align, hashlib.sha256(self.data.tobytes()).digest()


# A value of a field of a kernel's parameter struct: a number, an array in flash, or null.
FieldValue = int | float | Constant | None


@dataclass(frozen=True)
class Kernel:
    """A C function that computes an operator.

    Attributes:
        name: The C symbol, and the stem of its file in tinydeploy/kernels:
            "td_s8_conv_2d_1x1__dsp".
        isa: The instruction set it needs.
        applies: Whether it can compute an operator with these `Params`.
        large: For speed only: one that follows it in `KERNELS` does the same in less flash.
        borrowed: Another operator's: for size only, where the model has it anyway.
    """

    name: str
    isa: Isa
    applies: Callable[[Any], bool] = field(default=lambda params: True)
    large: bool = False
    borrowed: bool = False

    @property
    def source(self) -> str:
        return f"{self.name}.c"


@dataclass(frozen=True)
class Trail:
    """An output that may lie over an input, because the kernel has read what it writes over.

    Attributes:
        source, sink: Positions in the call's `inputs` and `outputs`.
        bytes: The output must start at least so many bytes below the input.
        multiple: The number of bytes between their starts must be a multiple of this.
    """

    source: int
    sink: int
    bytes: int
    multiple: int = 1


@dataclass(frozen=True, eq=False)
class KernelCall:
    """One call of a kernel: `kernel(&struct, inputs…, outputs…, scratch)`.

    Attributes:
        layer: The `Node.index` whose output it finishes.
        op: That node's operator name.
        kernel: What runs.
        struct: The C type of its parameters, such as "td_conv_2d"; declared in `header`.
        header: The header in tinydeploy/kernels that declares struct and kernels of the operator.
        fields: The struct's fields, in the order of the C declaration.
        inputs: Indices of the runtime tensors it reads, in the order of the C parameters.
        outputs: Indices of the tensors it writes.
        scratch_bytes: Working memory that it needs during the call only; 8-byte aligned.
        macs: Multiply-accumulates, 0 for operators that have none.
        in_place: Pairs (position in `inputs`, position in `outputs`) that may be the same memory.
        trails: Outputs that may lie over an input.
        in_memory: Where it is faster with more scratch: from the bytes that are free, fields in
            place of others and the scratch that they need: no more than is free if that is at least
            `scratch_bytes`, and of 0 the least that works.
        variadic: The inputs are passed as one `const void *const *`.
        parts: What it consists of, in order; then it has no struct of its own.
    """

    layer: int
    op: str
    kernel: Kernel
    struct: str
    header: str
    fields: Mapping[str, FieldValue]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scratch_bytes: int = 0
    macs: int = 0
    in_place: tuple[tuple[int, int], ...] = ()
    trails: tuple[Trail, ...] = ()
    in_memory: Callable[[int], tuple[Mapping[str, FieldValue], int]] | None = None
    variadic: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def kernel_calls(self) -> tuple[KernelCall, ...]:
        """The calls of kernels that it consists of: mostly itself."""
        return tuple(p.call for p in self.parts if p.call) if self.parts else (self,)


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a layer, within a run of layers in strips: see strips.py.

    Attributes:
        call: The kernel, told of these rows alone; None where rows are moved down.
        output, input: Which tensor of the run: 0 is its input, -1 its output; the others lie in its
            scratch.
        output_at, input_at: Bytes from that tensor's start, or from the scratch's.
        output_bytes: What it writes.
        scratch_at: Bytes from the start of the run's scratch to the kernel's own.
    """

    call: KernelCall | None
    output: int
    output_at: int
    input: int
    input_at: int
    output_bytes: int
    scratch_at: int = 0


@dataclass(frozen=True)
class Placement:
    """Where something lives in the arena, and when.

    Attributes:
        offset, bytes: Its place; `offset` is a multiple of the arena's alignment.
        first, last: Positions in `Plan.calls`, inclusive, during which it is alive; -1 is
            "before the first call" (the model's inputs), len(calls) "after the last" (outputs).
    """

    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is decided about a model on a target.

    Attributes:
        graph: The graph after transforms.
        calls: In execution order.
        placements: Tensor index -> place, for every runtime tensor that exists in memory;
            aliases (RESHAPE, in-place) have equal offsets.
        moved: One a call: where its input is moved to, up, before it runs, and is read by it; None
            where it stays. Such a call has one input.
        scratch: One a call, where there is room more than it needs; None where it needs none.
        arena_bytes: Size of the arena, activations and scratch together.
        lower_bound_bytes: The largest live set, outputs over inputs where they may lie so: no
            placement can be smaller.
    """

    graph: Graph
    target: Target
    calls: tuple[KernelCall, ...]
    placements: Mapping[int, Placement]
    moved: tuple[Placement | None, ...]
    scratch: tuple[Placement | None, ...]
    arena_bytes: int
    lower_bound_bytes: int

    @cached_property
    def kernel_calls(self) -> tuple[KernelCall, ...]:
        """Of all calls."""
        return tuple(part for call in self.calls for part in call.kernel_calls)

    @cached_property
    def constants(self) -> Mapping[tuple[str, int, bytes], tuple[KernelCall, Constant]]:
        """Key -> (the first call that uses it, the constant): equal arrays are stored once."""
        found: dict[tuple[str, int, bytes], tuple[KernelCall, Constant]] = {}
        for call in self.kernel_calls:
            for value in call.fields.values():
                if isinstance(value, Constant):
                    found.setdefault(value.key, (call, value))
        return found

    def alive(self, position: int) -> list[Placement]:
        """Activations during a call; aliases are there several times."""
        here = [p for p in self.placements.values() if p.first <= position <= p.last]
        moved = self.moved[position]
        return [*here, moved] if moved else here

    def live_bytes(self, position: int) -> int:
        """Bytes of the arena that a call needs; what shares memory counts once."""
        alive, scratch = self.alive(position), self.scratch[position]
        if scratch is not None:
            alive.append(replace(scratch, bytes=self.calls[position].scratch_bytes))
        total = reached = 0
        for place in sorted(alive, key=lambda p: p.offset):
            end = place.offset + place.bytes
            total += max(0, end - max(place.offset, reached))
            reached = max(reached, end)
        return total

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, biases, requantisation parameters and tables in flash."""
        return sum(constant.data.nbytes for _, constant in self.constants.values())
