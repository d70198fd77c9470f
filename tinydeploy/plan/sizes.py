"""What all kernels of a model are compiled for: td_sizes.h."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..ops import conv_2d
from ..ops.depthwise_conv_2d import DSP_STRIPS
from ..ops.depthwise_strips import widths
from .plan import Constant, KernelCall

# The structs that are declared with these types, and which of their numbers are of the smaller one.
_STRUCTS = frozenset(("td_conv_2d", "td_depthwise_conv_2d", "td_fully_connected", "td_pool"))
_SMALL = frozenset(
    f"{name}_{axis}"
    for name in ("kernel", "filter", "stride", "dilation", "pad")
    for axis in ("h", "w")
).union(
    ("in_zero_point", "out_zero_point", "weights_zero_point", "low", "high"),
    ("requant_step", "transposed"),
)


def number_types(calls: Iterable[KernelCall]) -> Mapping[str, str]:
    """C type -> the narrowest integer that holds it in every call."""
    numbers: dict[str, list[int]] = {"td_size": [0], "td_small": [0]}
    for call in calls:
        if call.struct in _STRUCTS:
            for name, value in call.fields.items():
                if isinstance(value, int):
                    numbers["td_small" if name in _SMALL else "td_size"].append(value)
    return {name: f"int{_bits(values)}_t" for name, values in numbers.items()}


def always_above(calls: Iterable[KernelCall]) -> bool:
    """Whether no convolution has another output zero point than -128."""
    structs = ("td_conv_2d", "td_depthwise_conv_2d")
    return all(c.fields.get("out_zero_point") == -128 for c in calls if c.struct in structs)


def takes_fours(calls: Iterable[KernelCall]) -> bool:
    """Whether a quarter of the multiplications is of layers for which td_runs_fours: for less, the
    code does not pay."""
    every = many = 0
    for call in calls:
        if call.kernel.name != conv_2d.DSP.name:
            continue
        weights, strip = call.fields["weights"], call.fields["strip"]
        assert isinstance(weights, Constant)
        assert isinstance(strip, int)
        groups, pairs = weights.data.shape[:2]
        words = weights.data.nbytes // (4 * groups * pairs)
        every += call.macs
        if words >= conv_2d.MANY_WORDS and strip >= conv_2d.MANY_PIXELS:
            many += call.macs
    return 4 * many >= every > 0


def strip_widths(calls: Iterable[KernelCall]) -> int:
    """Bit n: a depthwise convolution has a strip of n columns."""
    columns = {c.fields["out_w"] for c in calls if c.kernel in DSP_STRIPS}
    found = {width for n in columns if isinstance(n, int) for width in widths(n)}
    return sum(1 << width for width in found)


def _bits(values: Iterable[int]) -> int:
    need = max((v if v >= 0 else ~v).bit_length() for v in values) + 1
    return 8 if need <= 8 else 16 if need <= 16 else 32
