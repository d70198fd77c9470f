"""The builtin options of an operator, as `parse()` reads them."""

from __future__ import annotations

from typing import Protocol


class Options(Protocol):
    """A flatbuffer table of plain fields; absent fields read as their default.

    `slot` is the field's number in the schema, counted from 0.
    """

    def boolean(self, slot: int, default: bool = False) -> bool: ...

    def int8(self, slot: int, default: int = 0) -> int: ...

    def int32(self, slot: int, default: int = 0) -> int: ...

    def float32(self, slot: int, default: float = 0.0) -> float: ...

    def int32_vector(self, slot: int) -> tuple[int, ...]: ...
