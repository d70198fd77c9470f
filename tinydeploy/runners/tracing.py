"""Runners that note which instructions each layer of a model executes.

The embedded emulator counts basic blocks anyway; here its counters are read when a layer begins
and when it ends. QEMU, for the cores that only it has, is told to write down every instruction.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from elftools.elf.elffile import ELFFile

from ..errors import RequestError
from ..timing.thumb import Kind, instructions
from .native import Block
from .qemu import QemuRunner, QemuTransport, qemu_argv
from .unicorn import UnicornRunner, UnicornTransport

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware
    from ..mcu import FlashTiming
    from .base import Transport

_STEP = "td_model_run_layer"
_RUN = "td_model_run"
# What a firmware does between layers is not written down: with it QEMU would be ten times slower.
_TALK = ("td_wire_", "td_uart_", "td_counter_", "td_board_")
# Trace 0: 0x7f998c000100 [0080044a/10000bdc/00000150/ff020201] Reset_Handler
_LINE = rb"\[[0-9a-f]+/(?:0{8})?(%s)/"  # QEMU 8 writes addresses with 16 digits
_PC = re.compile(_LINE % b"[0-9a-f]{8}")
_PIECE_BYTES = 1 << 20
_KEPT_BYTES = 400  # more than two lines of the log
_JOIN_S = 60.0


@dataclass(frozen=True)
class Executed:
    """A stretch of code that is entered at its beginning and left at its end.

    Attributes:
        address: Where it begins.
        code: Its instructions.
        executions: How often it ran.
        jumps: How often something else followed than what lies behind it.
    """

    address: int
    code: bytes
    executions: int
    jumps: int


@dataclass(frozen=True)
class Trace:
    """What one layer executed.

    Attributes:
        blocks: By address.
        code_reads, constant_reads: Reads of the flash that its caches did not answer.
    """

    blocks: tuple[Executed, ...]
    code_reads: int = 0
    constant_reads: int = 0


@dataclass
class TracingRunner:
    """A `Runner` of a board's emulator that keeps a trace of each layer.

    Attributes:
        steps: One for each time that a layer of the last firmware ran by itself, in order.
        reads: Of each call in the last run of the whole model, (by code, of constants): reads of
            the flash as in `Trace`, where its caches hold what the layer before left in them.
            Empty where the emulator has no such caches.
    """

    board: Board
    steps: list[Trace] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def _inner(self) -> UnicornRunner | QemuRunner:
        return UnicornRunner() if self.board.unicorn else QemuRunner()

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def version(self) -> str:
        return self._inner.version

    def check(self, board: Board) -> None:
        if board.is_host or not board.runners:
            raise RequestError(
                f"no emulator here runs {board.name}, and only in one are instructions counted",
                "tinydeploy boards",
            )
        if not board.unicorn and not hasattr(os, "mkfifo"):
            raise RequestError(f"profiling {board.name} needs named pipes, which this system lacks")
        self._inner.check(board)

    def open(self, firmware: Firmware) -> Transport:
        self.check(firmware.board)
        self.steps.clear()
        self.reads.clear()
        step = firmware.symbols.get(_STEP)
        if step is None:
            raise RequestError(
                f"{firmware.elf} has no function {_STEP}, at which layers are told apart",
                "build it with --engine aot, or without -flto",
            )
        if firmware.board.unicorn:
            return _TracingUnicorn(firmware, step.address, self.steps, self.reads)
        return _TracingQemu(firmware, step.address, self.steps)


# ---- The embedded emulator ----------------------------------------------------------------------


class _TracingUnicorn(UnicornTransport):
    def __init__(
        self, firmware: Firmware, step: int, steps: list[Trace], reads: list[tuple[int, int]]
    ) -> None:
        super().__init__(firmware)
        self._steps, self._reads = steps, reads
        self._begin: tuple[Any, int, int] | None = None
        self._returns: set[int] = set()
        mcu = firmware.board.mcu
        if mcu is not None and mcu.flash_timing is not None:
            self._model_flash(mcu.flash_timing)
            self._watch_run(firmware)
        self._on_block_at(step, self._enter)

    def _model_flash(self, timing: FlashTiming) -> None:
        flash = self._board.flash
        assert flash is not None
        m = self.machine
        m.flash_begin, m.flash_end = flash.origin, flash.end
        for cache, size in (
            (m.code, timing.instruction_cache_bytes),
            (m.constants, timing.data_cache_bytes),
        ):
            cache.read_bytes = timing.read_bytes
            cache.line_bytes = (size and timing.line_bytes) or timing.read_bytes
            cache.lines = max(size // cache.line_bytes, 1)
        m.code.prefetch = timing.prefetch
        self._hook(
            self._u.UC_HOOK_MEM_READ, self._callbacks.flash_read, flash.origin, flash.end - 1
        )

    def _watch_run(self, firmware: Firmware) -> None:
        """Notes the flash's reads between the returns of what td_model_run() calls."""
        run = firmware.symbols.get(_RUN)
        if run is None:
            return
        misses = [0, 0]

        def begin() -> None:
            self._reads.clear()
            misses[:] = self.machine.code.misses, self.machine.constants.misses

        def returned() -> None:
            before = tuple(misses)
            misses[:] = self.machine.code.misses, self.machine.constants.misses
            self._reads.append((misses[0] - before[0], misses[1] - before[1]))

        self._on_block_at(run.address, begin)
        address = run.address
        for instruction in instructions(Code.of(firmware).read(run.address, run.bytes)):
            address += instruction.bytes
            if instruction.kind in (Kind.CALL, Kind.BRANCH_TO):
                self._on_block_at(address, returned)

    def _on_block_at(self, address: int, call: Callable[[], None]) -> None:
        def on_block(_uc: Any, _address: int, _size: int, _user: Any) -> None:
            call()

        self._uc.hook_add(self._u.UC_HOOK_BLOCK, on_block, None, address, address)

    def _enter(self) -> None:
        back = self._register("LR") & ~1
        if back not in self._returns:
            self._returns.add(back)
            self._on_block_at(back, self._leave)
        self._begin = self._counters()

    def _leave(self) -> None:
        if self._begin is None:
            return
        before, code, constants = self._begin
        after, code_after, constants_after = self._counters()
        self._begin = None
        found = []
        executions = after["executions"] - before["executions"]
        for i in np.flatnonzero(executions):
            entry = after[i]
            address, size = int(entry["address"]), int(entry["bytes"])
            jumps = int(entry["jumps"] - before["jumps"][i])
            content = bytes(self._uc.mem_read(address, size))
            found.append(Executed(address, content, int(executions[i]), jumps))
        blocks = tuple(sorted(found, key=lambda b: (b.address, len(b.code))))
        self._steps.append(Trace(blocks, code_after - code, constants_after - constants))

    def _counters(self) -> tuple[Any, int, int]:
        """(all blocks, reads of the flash by code and data) before the block that just began."""
        counters = np.frombuffer(memoryview(self._blocks), np.dtype(Block)).copy()
        m = self.machine
        if m.last:
            begun = m.last.contents
            same = (counters["address"] == begun.address) & (counters["bytes"] == begun.bytes)
            counters["executions"][same] -= 1
        return counters, m.code.misses, m.constants.misses


# ---- QEMU ---------------------------------------------------------------------------------------


class _TracingQemu(QemuTransport):
    """QEMU that writes each instruction's address into a pipe, which a thread reads."""

    def __init__(self, firmware: Firmware, step: int, steps: list[Trace]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._pipe = Path(self._folder.name) / "trace"
        os.mkfifo(self._pipe)
        self._parser = LogParser(Code.of(firmware), step, steps)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        argv = [
            *qemu_argv(firmware),
            *_one_by_one(), "-d", "exec,nochain", "-D", str(self._pipe),
            "-dfilter", ",".join(_traced_ranges(firmware)),
        ]  # fmt: skip
        try:
            super().__init__(argv, firmware)
        except BaseException:
            self._finish()
            raise

    def _follow(self) -> None:
        with self._pipe.open("rb", buffering=0) as trace:
            while piece := trace.read(_PIECE_BYTES):
                self._parser.feed(piece)

    def close(self) -> None:
        super().close()
        self._finish()

    def _finish(self) -> None:
        # If QEMU never opened its end, the thread is still waiting for someone who does.
        with suppress(OSError):
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        self._thread.join(_JOIN_S)
        self._folder.cleanup()


class LogParser:
    """Cuts QEMU's log into layers.

    Args:
        code: Of the firmware that runs.
        step: Where td_model_run_layer() begins.
        steps: Gets a trace for each layer.
    """

    def __init__(self, code: Code, step: int, steps: list[Trace]) -> None:
        self._steps = steps
        self._code = code
        self._begins = _line_of(step)
        self._ends: re.Pattern[bytes] | None = None  # None between layers
        self._rest = b""
        self._layer: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Takes what QEMU wrote next, which may end anywhere."""
        lines = self._rest + piece
        at = 0
        while True:
            if self._ends is None:
                begin = self._begins.search(lines, at)
                # The line before tells where the layer returns to: it must stay until then.
                if begin is None:
                    self._rest = lines[max(at, len(lines) - _KEPT_BYTES) :]
                    return
                before = max(begin.start() - _KEPT_BYTES, 0)
                call = int(_PC.findall(lines, before, begin.start())[-1], 16)
                self._ends = _line_of(call + 2, call + 4)
                at = lines.rfind(b"\n", 0, begin.start()) + 1
            end = self._ends.search(lines, at)
            whole = lines.rfind(b"\n", 0, end.start() if end else len(lines)) + 1
            self._layer += _PC.findall(lines, at, whole)
            if end is None:
                self._rest = lines[max(whole, at) :]
                return
            self._steps.append(self._trace())
            self._ends, at = None, end.start()

    def _trace(self) -> Trace:
        digits = np.frombuffer(b"".join(self._layer), np.uint8).reshape(-1, 8).astype(np.int64)
        self._layer = []
        pcs = ((digits & 15) + 9 * (digits >> 6)) @ (1 << np.arange(28, -4, -4))
        return Trace(self._code.blocks(pcs))


class Code:
    """The instructions of a firmware.

    Args:
        parts: (address, content) of each stretch of memory.
    """

    def __init__(self, parts: Sequence[tuple[int, bytes]]) -> None:
        self._parts = parts

    @classmethod
    def of(cls, firmware: Firmware) -> Code:
        with firmware.elf.open("rb") as file:
            segments = ELFFile(file).iter_segments("PT_LOAD")
            return cls([(s["p_vaddr"], s.data()) for s in segments if s["p_filesz"]])

    def read(self, address: int, size: int) -> bytes:
        for begin, content in self._parts:
            if begin <= address < begin + len(content):
                return bytes(content[address - begin : address - begin + size])
        return b""

    def blocks(self, pcs: Any) -> tuple[Executed, ...]:
        """The basic blocks of a run through the instructions at `pcs`, int64 [N]."""
        addresses, position, counts = np.unique(pcs, return_inverse=True, return_counts=True)
        sizes = np.array([2 + 2 * (self._half(a) >= 0xE800) for a in addresses.tolist()])
        behind = addresses + sizes
        jumped = np.append(pcs[1:] != behind[position][:-1], True)
        jumps = np.bincount(position[jumped], minlength=len(addresses))
        entered = np.zeros(len(addresses), bool)
        entered[position[1:][jumped[:-1]]] = True
        begins = entered | (jumps > 0).take(np.arange(-1, len(addresses) - 1))
        begins[1:] |= (addresses[1:] != behind[:-1]) | (counts[1:] != counts[:-1])
        begins[0] = True
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(addresses)) - 1
        return tuple(
            Executed(
                int(addresses[f]),
                self.read(int(addresses[f]), int(behind[t] - addresses[f])),
                int(counts[f]),
                int(jumps[t]),
            )
            for f, t in zip(first, last, strict=True)
        )

    def _half(self, address: int) -> int:
        return int.from_bytes(self.read(address, 2), "little")


def _line_of(*addresses: int) -> re.Pattern[bytes]:
    """What finds the lines of these instructions in QEMU's log."""
    return re.compile(_LINE % b"|".join(b"%08x" % address for address in addresses))


def _one_by_one() -> tuple[str, ...]:
    """The option of this QEMU for one instruction at a time."""
    version = tuple(int(part) for part in QemuRunner().version.split(".")[:2] if part)
    return ("-accel", "tcg,one-insn-per-tb=on") if version >= (8, 1) else ("-singlestep",)


def _traced_ranges(firmware: Firmware) -> Iterator[str]:
    """The flash without the functions that talk to the host, as -dfilter has it."""
    flash = firmware.board.flash
    assert flash is not None
    silent = sorted(
        (s.address, s.address + s.bytes)
        for s in firmware.symbols.values()
        if s.is_function and s.name.startswith(_TALK)
    )
    at = flash.origin
    for begin, end in [*silent, (flash.end, flash.end)]:
        if begin > at:
            yield f"{at:#x}..{begin - 1:#x}"
        at = max(at, end)
