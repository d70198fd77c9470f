"""The callbacks of the embedded emulator: native.c compiled for this machine, or the same here.

They run once for every basic block and every access to a modelled register, far too often for
Python when a model runs for millions of instructions; so a compiler is looked for first.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from ctypes import c_int, c_size_t, c_uint, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any

from .. import paths, process
from ..errors import TinydeployError

RX_BYTES = 8192
TX_BYTES = 8192
PAGE_BYTES = 4096
BLOCKS = 1 << 15
CACHE_LINES = 512
_IDLE_POLLS = 8
_STUCK_BLOCKS = 1 << 20
_XPSR_IT = 0x0600_FC00
_COMPILE_S = 60.0
_SOURCE = Path(__file__).with_name("native.c")
_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC", "-fvisibility=hidden",
          # Every library of macOS is linked with the system's.
          *(() if sys.platform == "darwin" else ("-ffreestanding", "-nostdlib")))  # fmt: skip

EMU_STOP = ctypes.CFUNCTYPE(c_int, c_void_p)
MEM_READ = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_size_t)
MEM_WRITE = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_size_t)
REG_READ = REG_WRITE = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)
_ON_BLOCK = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint32, c_void_p)
_ON_READ = ctypes.CFUNCTYPE(c_uint64, c_void_p, c_uint64, c_uint, c_void_p)
_ON_ACCESS = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_uint64, c_int, ctypes.c_int64, c_void_p)
_ON_WRITE = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint, c_uint64, c_void_p)


class Stopped(IntFlag):
    """Why the emulation was stopped from inside; 0 when it was not."""

    SLICE = 1  # `stop_at` was reached
    IDLE = 2  # the firmware waits for input
    RESET = 8  # the firmware asked for a system reset
    STUCK = 16  # the firmware jumps to itself


class Block(ctypes.Structure):
    """A basic block, how many instructions it has and how often it ran."""

    _fields_ = (
        ("address", c_uint32),
        ("bytes", c_uint32),
        ("instructions", c_uint32),
        ("pad", c_uint32),
        ("executions", c_uint64),
        ("jumps", c_uint64),
    )


class Cache(ctypes.Structure):
    """`td_cache` of native.c."""

    _fields_ = (
        ("lines", c_uint32),
        ("line_bytes", c_uint32),
        ("read_bytes", c_uint32),
        ("prefetch", c_uint32),
        ("behind", c_uint32),
        ("pad", c_uint32),
        ("misses", c_uint64),
        ("tag", c_uint32 * CACHE_LINES),
        ("filled", c_uint32 * CACHE_LINES),
    )


_Page = c_uint32 * (PAGE_BYTES // 4)


class Machine(ctypes.Structure):
    """`td_machine` of native.c."""

    _fields_ = (
        ("instructions", c_uint64),
        ("stop_at", c_uint64),
        ("emu_stop", c_void_p),
        ("mem_read", c_void_p),
        ("mem_write", c_void_p),
        ("reg_read", c_void_p),
        ("reg_write", c_void_p),
        ("blocks", ctypes.POINTER(Block)),
        ("stopped", c_uint32),
        ("idle_polls", c_uint32),
        ("last_block", c_uint32),
        ("repeated", c_uint32),
        ("last", ctypes.POINTER(Block)),
        ("xpsr", ctypes.c_int32),
        ("flash_begin", c_uint32),
        ("flash_end", c_uint32),
        ("code", Cache),
        ("constants", Cache),
        ("status_offset", c_uint32 * 2),
        ("status_rx", c_uint32 * 2),
        ("status_empty", c_uint32 * 2),
        ("status_tx", c_uint32 * 2),
        ("rx_offset", c_uint32),
        ("tx_offset", c_uint32),
        ("enable_offset", c_uint32),
        ("enable_bits", c_uint32),
        ("uses_dma", c_uint32),
        ("dma_tx_task", c_uint32),
        ("dma_tx_event", c_uint32),
        ("dma_tx_pointer", c_uint32),
        ("dma_tx_bytes", c_uint32),
        ("dma_rx_task", c_uint32),
        ("dma_rx_event", c_uint32),
        ("dma_rx_pointer", c_uint32),
        ("dma_rx_armed", c_uint32),
        ("rx_first", c_uint32),
        ("rx_count", c_uint32),
        ("tx_count", c_uint32),
        ("capture_offset", c_uint32),
        ("captured_offset", c_uint32),
        ("cyccnt_from", c_uint64),
        ("systick_from", c_uint64),
        ("uart_page", _Page),
        ("system_page", _Page),
        ("dwt_page", _Page),
        ("timer_page", _Page),
        ("rx", c_uint8 * RX_BYTES),
        ("tx", c_uint8 * TX_BYTES),
    )


@dataclass(frozen=True)
class Callbacks:
    """What Unicorn is given, each called with the address of a `Machine` last.

    Attributes:
        block: A `uc_cb_hookcode_t` for UC_HOOK_BLOCK.
        flash_read: A `uc_cb_hookmem_t` for UC_HOOK_MEM_READ of the flash.
        reads, writes: A `uc_cb_mmio_*_t` for each of "uart", "system", "dwt" and "timer".
        native: Whether they are machine code.
    """

    block: Any
    flash_read: Any
    reads: dict[str, Any]
    writes: dict[str, Any]
    native: bool


PAGES = ("uart", "system", "dwt", "timer")


def load() -> Callbacks:
    """The compiled callbacks, or those in Python where they cannot be compiled."""
    try:
        library = ctypes.CDLL(str(_compiled()))
    except (OSError, TinydeployError):
        return python_callbacks()
    return Callbacks(
        block=_ON_BLOCK(("td_on_block", library)),
        flash_read=_ON_ACCESS(("td_on_flash_read", library)),
        reads={page: _ON_READ((f"td_{page}_read", library)) for page in PAGES},
        writes={page: _ON_WRITE((f"td_{page}_write", library)) for page in PAGES},
        native=True,
    )


def _compiled() -> Path:
    """The shared library, compiled when it is not in the cache."""
    source = _SOURCE.read_bytes()
    key = hashlib.sha256(
        b"\0".join([source, repr((_FLAGS, sys.platform, platform.machine())).encode()])
    ).hexdigest()[:16]
    library = paths.cache() / "native" / f"{key}.so"
    if library.exists():
        return library
    library.parent.mkdir(exist_ok=True)
    error: TinydeployError | None = None
    for compiler in _compilers():
        # Made under another name, then renamed: two that do it at once do not disturb each other.
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / "native.so"
            try:
                argv = [*compiler, *_FLAGS, str(_SOURCE), "-o", str(made)]
                if process.run(argv, timeout_s=_COMPILE_S).returncode == 0:
                    made.replace(library)
                    return library
            except TinydeployError as e:
                error = e
    raise error or OSError("no C compiler works")


def _compilers() -> list[tuple[str, ...]]:
    installed = [(path,) for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    return [*installed[:1], (sys.executable, "-m", "ziglang", "cc")]


def python_callbacks() -> Callbacks:
    """The functions of native.c, line by line, in Python."""
    counts: dict[tuple[int, int], Block] = {}

    def machine(user: int) -> Machine:
        return Machine.from_address(user)

    def stop(uc: int, m: Machine, why: Stopped) -> None:
        m.stopped |= why
        EMU_STOP(m.emu_stop)(uc)

    def on_block(uc: int, address: int, size: int, user: int) -> None:
        m = machine(user)
        if m.instructions >= m.stop_at:
            stop(uc, m, Stopped.SLICE)
            return
        block = counts.get((address, size))
        if block is None:
            block = m.blocks[len(counts) % BLOCKS]
            counts[address, size] = block
            block.address, block.bytes = address, size
            block.instructions = _count_instructions(uc, m, address, size)
        if m.last and m.last[0].address + m.last[0].bytes != address:
            m.last[0].jumps += 1
        m.last = ctypes.pointer(block)
        if m.flash_begin <= address < m.flash_end:
            _read_flash(m.code, address, size)
        block.executions += 1
        m.instructions += block.instructions
        m.repeated = m.repeated + 1 if size <= 4 and m.last_block == address else 0
        m.last_block = address
        if m.repeated == _STUCK_BLOCKS:
            stop(uc, m, Stopped.STUCK)

    def on_flash_read(
        uc: int,
        kind: int,  # noqa: ARG001
        address: int,
        size: int,
        value: int,  # noqa: ARG001
        user: int,
    ) -> None:
        m = machine(user)
        xpsr = c_uint32()
        failed = REG_READ(m.reg_read)(uc, m.xpsr, ctypes.addressof(xpsr))
        if not failed and xpsr.value & _XPSR_IT:
            xpsr.value &= ~_XPSR_IT
            REG_WRITE(m.reg_write)(uc, m.xpsr, ctypes.addressof(xpsr))
        _read_flash(m.constants, address, size)

    def receive(m: Machine) -> int:
        byte: int = m.rx[m.rx_first]
        m.idle_polls = 0
        m.rx_first = (m.rx_first + 1) % RX_BYTES
        m.rx_count -= 1
        return byte

    def send(m: Machine, byte: int) -> None:
        m.idle_polls = 0
        m.tx[m.tx_count % TX_BYTES] = byte & 0xFF
        m.tx_count += 1
        if m.tx_count >= TX_BYTES // 2:
            m.stop_at = m.instructions

    def idle(uc: int, m: Machine) -> None:
        m.idle_polls += 1
        if m.idle_polls >= _IDLE_POLLS:
            stop(uc, m, Stopped.IDLE)

    def receive_by_dma(uc: int, m: Machine) -> None:
        if m.uart_page[m.dma_rx_event // 4]:
            return
        if m.rx_count == 0:
            idle(uc, m)
        elif m.dma_rx_armed:
            byte = c_uint8(receive(m))
            to = m.uart_page[m.dma_rx_pointer // 4]
            MEM_WRITE(m.mem_write)(uc, to, ctypes.addressof(byte), 1)
            m.dma_rx_armed = 0
            m.uart_page[m.dma_rx_event // 4] = 1

    def send_by_dma(uc: int, m: Machine) -> None:
        start = m.uart_page[m.dma_tx_pointer // 4]
        for i in range(m.uart_page[m.dma_tx_bytes // 4]):
            byte = c_uint8()
            if MEM_READ(m.mem_read)(uc, start + i, ctypes.addressof(byte), 1):
                return
            send(m, byte.value)
        m.uart_page[m.dma_tx_event // 4] = 1

    def uart_read(uc: int, offset: int, size: int, user: int) -> int:
        m = machine(user)
        if _enabled(m):
            for i in range(2):
                if offset == m.status_offset[i] and not m.uses_dma:
                    if m.rx_count == 0 and m.status_rx[i] | m.status_empty[i]:
                        idle(uc, m)
                    told = m.status_rx[i] if m.rx_count else m.status_empty[i]
                    return int(m.status_tx[i] | told)
            if offset == m.dma_rx_event and m.uses_dma:
                receive_by_dma(uc, m)
            elif offset == m.rx_offset and m.rx_count and not m.uses_dma:
                return receive(m)
        return _part(m.uart_page[offset // 4], offset, size)

    def uart_write(uc: int, offset: int, size: int, value: int, user: int) -> None:
        m = machine(user)
        if not _enabled(m):
            _store(m.uart_page, offset, size, value)
        elif m.uses_dma:
            _store(m.uart_page, offset, size, value)
            if offset == m.dma_tx_task:
                send_by_dma(uc, m)
            elif offset == m.dma_rx_task:
                m.dma_rx_armed = 1
        elif offset == m.tx_offset:
            send(m, value)
        else:
            _store(m.uart_page, offset, size, value)

    def system_read(uc: int, offset: int, size: int, user: int) -> int:  # noqa: ARG001
        m = machine(user)
        word = m.system_page[offset // 4]
        if offset & ~3 == 0x018 and m.system_page[0x010 // 4] & 1:
            word = (0xFFFFFF - (m.instructions - m.systick_from)) & 0xFFFFFFFF
        return _part(word, offset, size)

    def system_write(uc: int, offset: int, size: int, value: int, user: int) -> None:
        m = machine(user)
        _store(m.system_page, offset, size, value)
        if offset == 0x018:
            m.systick_from = m.instructions
        if offset == 0xD0C and value & 0xFFFF0004 == 0x05FA0004:
            stop(uc, m, Stopped.RESET)

    def dwt_read(uc: int, offset: int, size: int, user: int) -> int:  # noqa: ARG001
        m = machine(user)
        word = m.dwt_page[offset // 4]
        if offset & ~3 == 0x004 and m.dwt_page[0] & 1 and m.system_page[0xDFC // 4] & 1 << 24:
            word = (m.instructions - m.cyccnt_from) & 0xFFFFFFFF
        return _part(word, offset, size)

    def dwt_write(uc: int, offset: int, size: int, value: int, user: int) -> None:  # noqa: ARG001
        m = machine(user)
        _store(m.dwt_page, offset, size, value)
        if offset == 0x004:
            m.cyccnt_from = (m.instructions - value) & 0xFFFFFFFFFFFFFFFF

    def timer_read(uc: int, offset: int, size: int, user: int) -> int:  # noqa: ARG001
        return _part(machine(user).timer_page[offset // 4], offset, size)

    def timer_write(uc: int, offset: int, size: int, value: int, user: int) -> None:  # noqa: ARG001
        m = machine(user)
        _store(m.timer_page, offset, size, value)
        if offset == m.capture_offset:
            m.timer_page[m.captured_offset // 4] = m.instructions & 0xFFFFFFFF

    reads: dict[str, Callable[..., int]] = {
        "uart": uart_read, "system": system_read, "dwt": dwt_read, "timer": timer_read,
    }  # fmt: skip
    writes: dict[str, Callable[..., None]] = {
        "uart": uart_write, "system": system_write, "dwt": dwt_write, "timer": timer_write,
    }  # fmt: skip
    return Callbacks(
        block=_ON_BLOCK(on_block),
        flash_read=_ON_ACCESS(on_flash_read),
        reads={page: _ON_READ(reads[page]) for page in PAGES},
        writes={page: _ON_WRITE(writes[page]) for page in PAGES},
        native=False,
    )


def _count_instructions(uc: int, m: Machine, address: int, size: int) -> int:
    """A Thumb instruction whose first halfword begins with 11101, 11110 or 11111 has two."""
    code = (ctypes.c_uint16 * (size // 2))()
    if MEM_READ(m.mem_read)(uc, address, ctypes.addressof(code), size):
        return 0
    count = i = 0
    while i < size // 2:
        i += 2 if code[i] >= 0xE800 else 1
        count += 1
    return count


def _read_flash(cache: Cache, address: int, size: int) -> None:
    first = address // cache.read_bytes * cache.read_bytes
    for at in range(first, address + size, cache.read_bytes):
        line = at // cache.line_bytes + 1
        piece = 1 << at % cache.line_bytes // cache.read_bytes
        i = 0
        while i + 1 < cache.lines and cache.tag[i] != line:
            i += 1
        filled = cache.filled[i] if cache.tag[i] == line else 0
        for j in range(i, 0, -1):
            cache.tag[j], cache.filled[j] = cache.tag[j - 1], cache.filled[j - 1]
        cache.misses += not (filled & piece or (cache.prefetch and at == cache.behind))
        cache.behind = at + cache.read_bytes
        cache.tag[0], cache.filled[0] = line, filled | piece


def _enabled(m: Machine) -> bool:
    return bool(m.uart_page[m.enable_offset // 4] & m.enable_bits == m.enable_bits)


def _part(word: int, offset: int, size: int) -> int:
    return (word >> 8 * (offset & 3)) & ((1 << 8 * min(size, 4)) - 1)


def _store(page: Any, offset: int, size: int, value: int) -> None:
    shift = 8 * (offset & 3)
    mask = ((1 << 8 * min(size, 4)) - 1) << shift & 0xFFFFFFFF
    page[offset // 4] = page[offset // 4] & ~mask | value << shift & mask
