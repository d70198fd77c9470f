"""Reading a flatbuffer that nobody vouches for: each offset is checked before it is followed.

Only what a `.tflite` file needs: tables, scalars, strings, and vectors of scalars and tables.

Source:
    The FlatBuffers internals page (https://flatbuffers.dev/internals/).
"""

from __future__ import annotations

import struct
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError
from ..graph import Array

# What is read into Python objects may be this much; constants stay views of the file.
_LARGEST_METADATA_BYTES = 16 << 20

DAMAGED_HINT = "the file is damaged or cut short: copy it again, or convert the model again"


class Flatbuffer:
    """The bytes of a file, and how much of them may still be turned into Python objects.

    Args:
        content: The whole file.
        label: What errors call it.
    """

    def __init__(self, content: bytes, label: str) -> None:
        self.content = content
        self.label = label
        # Honest files refer to most bytes once; a damaged one can refer to the same ones forever.
        self._unread_bytes = min(2 * len(content) + 1024, _LARGEST_METADATA_BYTES)

    def root(self, what: str) -> Table:
        return Table(self, self.follow(0, what), what)

    def fail(self, message: str) -> NoReturn:
        raise InputError(f"{self.label} is damaged: {message}", DAMAGED_HINT)

    def spend(self, count_bytes: int, what: str) -> None:
        """Accounts for bytes that become Python objects."""
        self._unread_bytes -= count_bytes
        if self._unread_bytes < 0:
            self.fail(f"its tables overlap, or hold too much, at {what}")

    def unsigned(self, position: int, width: int, what: str) -> int:
        if not 0 <= position <= len(self.content) - width:
            self.fail(f"{what} lies at byte {position} of {len(self.content)}")
        return int.from_bytes(self.content[position : position + width], "little")

    def follow(self, position: int, what: str) -> int:
        """Where the offset at `position` leads: at least four bytes before the file's end."""
        offset = self.unsigned(position, 4, what)
        target = position + offset
        if offset == 0 or target > len(self.content) - 4:
            self.fail(f"{what} lies at byte {target} of {len(self.content)}")
        return target

    def extent(self, position: int, element_bytes: int, what: str) -> tuple[int, int]:
        """(first byte, number of elements) of the vector whose length stands at `position`."""
        count = self.unsigned(position, 4, what)
        start = position + 4
        if count > (len(self.content) - start) // element_bytes:
            left = len(self.content) - start
            self.fail(f"{what} has {count} elements of {element_bytes} bytes, {left} bytes follow")
        return start, count


class Table:
    """A table of a flatbuffer; fields that are absent read as their default.

    It is what operators see of their options: see `options.Options`.

    Args:
        buffer: The file.
        position: Where the table starts; None for a table without any field.
        what: What errors call it: "tensor 3".
    """

    __slots__ = ("_buffer", "_bytes", "_position", "_vtable", "_vtable_bytes", "what")

    def __init__(self, buffer: Flatbuffer, position: int | None, what: str) -> None:
        self._buffer = buffer
        self.what = what
        self._position = self._vtable = self._bytes = self._vtable_bytes = 0
        if position is not None:
            self._open(position)

    def _open(self, position: int) -> None:
        buffer, what = self._buffer, self.what
        buffer.spend(4, what)
        size = len(buffer.content)
        offset = buffer.unsigned(position, 4, what)
        signed = offset - (1 << 32) if offset >= 1 << 31 else offset
        self._position = position
        self._vtable = position - signed
        self._vtable_bytes = buffer.unsigned(self._vtable, 2, f"the layout of {what}")
        self._bytes = buffer.unsigned(self._vtable + 2, 2, f"the layout of {what}")
        if self._vtable_bytes < 4 or self._vtable_bytes % 2:
            buffer.fail(f"the layout of {what} has {self._vtable_bytes} bytes")
        if self._vtable + self._vtable_bytes > size or position + self._bytes > size:
            buffer.fail(f"{what} ends behind the file's {size} bytes")

    def fail(self, message: str) -> NoReturn:
        self._buffer.fail(message)

    def _find(self, slot: int, width: int) -> int | None:
        """Where a field stands, None where it is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_bytes:
            return None
        offset = self._buffer.unsigned(self._vtable + entry, 2, self.what)
        if offset == 0:
            return None
        if not 4 <= offset <= self._bytes - width:
            self.fail(
                f"field {slot} of {self.what} lies at byte {offset} of the table's {self._bytes}"
            )
        return self._position + offset

    # ---- Scalars ----------------------------------------------------------------------------

    def _scalar(self, slot: int, form: str, default: Any) -> Any:
        position = self._find(slot, struct.calcsize(form))
        if position is None:
            return default
        return struct.unpack_from(form, self._buffer.content, position)[0]

    def boolean(self, slot: int, default: bool = False) -> bool:
        return bool(self._scalar(slot, "<B", default))

    def int8(self, slot: int, default: int = 0) -> int:
        return int(self._scalar(slot, "<b", default))

    def uint8(self, slot: int, default: int = 0) -> int:
        return int(self._scalar(slot, "<B", default))

    def int32(self, slot: int, default: int = 0) -> int:
        return int(self._scalar(slot, "<i", default))

    def uint32(self, slot: int, default: int = 0) -> int:
        return int(self._scalar(slot, "<I", default))

    def uint64(self, slot: int, default: int = 0) -> int:
        return int(self._scalar(slot, "<Q", default))

    def float32(self, slot: int, default: float = 0.0) -> float:
        return float(self._scalar(slot, "<f", default))

    # ---- What lies elsewhere in the file ------------------------------------------------------

    def present(self, slot: int) -> bool:
        return self._find(slot, 1) is not None

    def _follow(self, slot: int, what: str) -> int | None:
        field = self._find(slot, 4)
        return None if field is None else self._buffer.follow(field, what)

    def table(self, slot: int, what: str) -> Table | None:
        position = self._follow(slot, what)
        return None if position is None else Table(self._buffer, position, what)

    def without_fields(self, what: str) -> Table:
        """A table in which every field is absent."""
        return Table(self._buffer, None, what)

    def tables(self, slot: int, what: str) -> Tables:
        """A vector of tables, empty where absent; `what` names one of them."""
        position = self._follow(slot, f"the list of {what}s")
        if position is None:
            return Tables(self._buffer, 0, 0, what)
        start, count = self._buffer.extent(position, 4, f"the list of {what}s")
        return Tables(self._buffer, start, count, what)

    def string(self, slot: int, what: str) -> str:
        """Text, whatever it holds; bytes that are not UTF-8 read as replacement characters."""
        return self.view(slot, what).tobytes().decode("utf-8", errors="replace")

    def int32_vector(self, slot: int) -> tuple[int, ...]:
        return tuple(self._numbers(slot, "<i4", f"field {slot} of {self.what}"))

    def int64_vector(self, slot: int) -> tuple[int, ...]:
        return tuple(self._numbers(slot, "<i8", f"field {slot} of {self.what}"))

    def float32_vector(self, slot: int) -> tuple[float, ...]:
        return tuple(self._numbers(slot, "<f4", f"field {slot} of {self.what}"))

    def _numbers(self, slot: int, dtype: str, what: str) -> list[Any]:
        return list(self._vector(slot, dtype, what, spend=True).tolist())

    def view(self, slot: int, what: str) -> Array:
        """Metadata bytes, a view of the file; empty where absent."""
        return self._vector(slot, "<u1", what, spend=True)

    def constant(self, slot: int, what: str) -> Array:
        """A constant's bytes, a view of the file that does not count as metadata."""
        return self._vector(slot, "<u1", what, spend=False)

    def _vector(self, slot: int, dtype: str, what: str, spend: bool) -> Array:
        position = self._follow(slot, what)
        element = np.dtype(dtype)
        if position is None:
            return np.empty(0, element)
        start, count = self._buffer.extent(position, element.itemsize, what)
        if spend:
            self._buffer.spend(count * element.itemsize, what)
        return np.frombuffer(self._buffer.content, element, count, start)


class Tables:
    """A vector of tables, each opened when it is asked for."""

    def __init__(self, buffer: Flatbuffer, start: int, count: int, what: str) -> None:
        self._buffer = buffer
        self._start = start
        self._count = count
        self._what = what

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Table:
        if not 0 <= index < self._count:
            raise IndexError(index)
        what = f"{self._what} {index}"
        return Table(self._buffer, self._buffer.follow(self._start + 4 * index, what), what)
