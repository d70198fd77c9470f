"""The embedded emulator: runs the ELF that would be flashed on Unicorn's model of the core.

Modelled are the core, the board's memories, its console's serial port, what counts cycles, and
the registers that the board's set-up touches (these only remember what was written). Everything
else is no memory, and touching it a fault, as it would be on the board. No interrupts are
delivered. Counters count instructions.

More is allowed than on the board: the floating-point unit is on from reset, a Cortex-M3 runs DSP
instructions, and LDRD and LDM of unaligned addresses work. QEMU refuses some of this.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import time
from typing import TYPE_CHECKING, Any

from elftools.elf.elffile import ELFFile

from ..console import early_steps, setup_steps
from ..errors import RequestError
from ..fault import BFARVALID, MMARVALID, Registers
from . import native, uarts
from .base import ClosesOnExit, Unit
from .native import PAGE_BYTES, Machine, Stopped

if TYPE_CHECKING:
    from ..board import Board
    from ..firmware import Firmware
    from ..mcu import Step
    from .base import Transport

_SLICE_INSTRUCTIONS = 20_000_000
_SYSTEM = 0xE000E000
_DWT = 0xE0001000
_NOWHERE = 0xFFFFFFFE  # where no emulation ends by itself
_VTOR = 0xD08
_FAULT_STATUS = {"cfsr": 0xD28, "hfsr": 0xD2C, "mmfar": 0xD34, "bfar": 0xD38}
_STACKED = ("r0", "r1", "r2", "r3", "r12", "lr")
_FRAME_BYTES = 32
_HARD_FAULT = 3
_EXC_RETURN = 0xFFFFFFF9  # to thread mode, main stack
_NRF51_CAPTURE = (0x040, 0x540)
_FLASH_ERASED, _RAM_AFTER_RESET = b"\xff", b"\xa5"  # RAM is not zero after reset


class UnicornRunner:
    """The `Runner` that needs nothing installed."""

    name = "unicorn"

    @property
    def version(self) -> str:
        try:
            return importlib.metadata.version("unicorn")
        except importlib.metadata.PackageNotFoundError:
            return ""

    def check(self, board: Board) -> None:
        if self.name not in board.runners:
            others = " or ".join(board.runners) or "real hardware"
            raise RequestError(
                f"{board.name} ({board.core.title}) cannot run in the embedded emulator",
                f"use --on {board.runners[0]}" if board.runners else f"needs {others}",
            )
        try:
            import unicorn  # noqa: F401
        except (ImportError, OSError) as error:
            raise RequestError(
                f"the embedded emulator cannot be loaded: {error}",
                "pip install --force-reinstall unicorn",
            ) from error

    def open(self, firmware: Firmware) -> Transport:
        self.check(firmware.board)
        return UnicornTransport(firmware)


class UnicornTransport(ClosesOnExit):
    """A firmware in the emulator; it runs while `read()` is waiting.

    Args:
        firmware: For a board with memories and a console.
        callbacks: How its registers are modelled; None for the fastest that there is.

    Attributes:
        machine: Instructions executed, the serial port, the core's registers.
    """

    counts: Unit = "instructions"

    def __init__(self, firmware: Firmware, callbacks: native.Callbacks | None = None) -> None:
        import unicorn
        from unicorn import arm_const

        self._u, self._arm = unicorn, arm_const
        self._firmware = firmware
        self._board = firmware.board
        self._callbacks = callbacks or native.load()
        self._ended: str | None = None
        self._faulted = False
        self._bad_address = ctypes.c_uint32()
        self.machine = Machine()
        self._blocks = (native.Block * native.BLOCKS)()
        # Without UC_MODE_MCLASS, which makes every core a Cortex-M33.
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self._uc.ctl_set_cpu_model(getattr(arm_const, self._board.core.unicorn_model))
        self._connect()
        self._map()
        self._load()
        self._reset()

    def write(self, data: bytes) -> None:
        m = self.machine
        if self._ended:
            raise EOFError
        for byte in data[: native.RX_BYTES - m.rx_count]:
            m.rx[(m.rx_first + m.rx_count) % native.RX_BYTES] = byte
            m.rx_count += 1

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            sent = self._sent()
            if sent:
                return sent
            if self._ended:
                raise EOFError
            if time.monotonic() >= deadline:
                return b""
            self._run()
            if self.machine.stopped & Stopped.IDLE and not self.machine.tx_count:
                return b""

    def scale(self, ticks: int, hz: int) -> int:  # noqa: ARG002
        return ticks

    def diagnose(self) -> str | None:
        if self._ended:
            return self._ended
        if self.machine.stopped & Stopped.IDLE:
            return "it waits for more input"
        return f"it is running at {self._where(self._register('PC'))}"

    def blocks(self) -> list[tuple[int, int, int, int]]:
        """Every basic block that ran: (address, bytes, instructions, executions)."""
        return [
            (b.address, b.bytes, b.instructions, b.executions) for b in self._blocks if b.executions
        ]

    def close(self) -> None:
        self._ended = self._ended or "it was closed"

    def _connect(self) -> None:
        """Gives the callbacks what they need, and Unicorn the callbacks."""
        library = self._u.unicorn_py3.unicorn.uclib
        m = self.machine
        m.emu_stop = ctypes.cast(library.uc_emu_stop, ctypes.c_void_p).value
        m.mem_read = ctypes.cast(library.uc_mem_read, ctypes.c_void_p).value
        m.mem_write = ctypes.cast(library.uc_mem_write, ctypes.c_void_p).value
        m.reg_read = ctypes.cast(library.uc_reg_read, ctypes.c_void_p).value
        m.reg_write = ctypes.cast(library.uc_reg_write, ctypes.c_void_p).value
        m.xpsr = self._arm.UC_ARM_REG_XPSR
        m.blocks = self._blocks
        self._hook(self._u.UC_HOOK_BLOCK, self._callbacks.block)
        bad_address = self._bad_address

        def on_bad_access(_uc: Any, _kind: int, address: int, *_: Any) -> bool:
            bad_address.value = address
            return False

        self._uc.hook_add(self._u.UC_HOOK_MEM_INVALID, on_bad_access)

    def _hook(self, kind: int, callback: Any, begin: int = 1, end: int = 0) -> None:
        """Has a callback called for a range of addresses, or for all of them."""
        hook = ctypes.c_size_t()
        self._must(
            self._u.unicorn_py3.unicorn.uclib.uc_hook_add(
                self._uc._uch, ctypes.byref(hook), kind,
                ctypes.cast(callback, ctypes.c_void_p),
                ctypes.c_void_p(ctypes.addressof(self.machine)),
                ctypes.c_uint64(begin), ctypes.c_uint64(end),
            )
        )  # fmt: skip

    def _map(self) -> None:
        board = self._board
        mcu, console = board.mcu, board.console
        assert mcu is not None
        assert console is not None
        mapped = 0
        for memory in sorted(mcu.memories, key=lambda m: m.origin):
            ram = memory.kind == "ram"
            start = max(memory.origin // PAGE_BYTES * PAGE_BYTES, mapped)  # may share a page
            mapped = -(-memory.end // PAGE_BYTES) * PAGE_BYTES
            size = mapped - start
            access = self._u.UC_PROT_READ | self._u.UC_PROT_EXEC
            if size:
                self._uc.mem_map(start, size, access | (self._u.UC_PROT_WRITE if ram else 0))
            fill = _RAM_AFTER_RESET if ram else _FLASH_ERASED
            self._uc.mem_write(memory.origin, fill * memory.bytes)
        uart = mcu.uarts[console.uart]
        pages = {uart.address // PAGE_BYTES, _SYSTEM // PAGE_BYTES}
        uarts.configure(self.machine, uart)
        self._map_registers("uart", uart.address)
        self._map_registers("system", _SYSTEM)
        if board.core.has_dwt:
            pages.add(_DWT // PAGE_BYTES)
            self._map_registers("dwt", _DWT)
        if mcu.counter is not None and mcu.counter.ip == "nrf51_timer":
            base = mcu.counter.address % PAGE_BYTES
            self.machine.capture_offset = base + _NRF51_CAPTURE[0]
            self.machine.captured_offset = base + _NRF51_CAPTURE[1]
            pages.add(mcu.counter.address // PAGE_BYTES)
            self._map_registers("timer", mcu.counter.address)
        if uart.divider:
            pages.add(uart.divider // PAGE_BYTES)
            self._uc.mem_map(uart.divider // PAGE_BYTES * PAGE_BYTES, PAGE_BYTES)
        if mcu.trim is not None:  # a part that needs none
            pages.add(mcu.trim.address // PAGE_BYTES)
            self._map_erased(mcu.trim.address // PAGE_BYTES)
        setup, clock = early_steps(board)
        marker = board.marker.steps if board.marker else ()
        self._map_setup((*setup, *clock, *setup_steps(board), *marker), pages)
        if mcu.watchdog is not None:
            page = mcu.watchdog.address // PAGE_BYTES * PAGE_BYTES
            self._uc.mem_map(page, PAGE_BYTES, self._u.UC_PROT_READ | self._u.UC_PROT_WRITE)

    def _map_erased(self, page: int) -> None:
        """What the factory writes into each part is here as erased."""
        self._uc.mem_map(page * PAGE_BYTES, PAGE_BYTES, self._u.UC_PROT_READ)
        self._uc.mem_write(page * PAGE_BYTES, _FLASH_ERASED * PAGE_BYTES)

    def _map_setup(self, steps: tuple[Step, ...], mapped: set[int]) -> None:
        """Memory for the registers of the set-up; what it waits for has come already."""
        pages = {step.register // PAGE_BYTES for step in steps} - mapped
        factory = {step.factory // PAGE_BYTES for step in steps if step.factory} - pages - mapped
        for page in sorted(page for page in pages if not self._in_memory(page)):
            self._uc.mem_map(
                page * PAGE_BYTES, PAGE_BYTES, self._u.UC_PROT_READ | self._u.UC_PROT_WRITE
            )
        for page in sorted(page for page in factory if not self._in_memory(page)):
            self._map_erased(page)
        come: dict[tuple[int, int], int] = {}
        for step in steps:
            if step.register // PAGE_BYTES in pages:
                place = step.register, step.bytes
                come[place] = come.get(place, 0) | step.wait
        for (register, size), bits in come.items():
            self._uc.mem_write(register, bits.to_bytes(size, "little"))

    def _in_memory(self, page: int) -> bool:
        assert self._board.mcu is not None
        memories = self._board.mcu.memories
        return any(m.origin // PAGE_BYTES <= page <= (m.end - 1) // PAGE_BYTES for m in memories)

    def _map_registers(self, page: str, address: int) -> None:
        library = self._u.unicorn_py3.unicorn.uclib
        user = ctypes.c_void_p(ctypes.addressof(self.machine))
        self._must(
            library.uc_mmio_map(
                self._uc._uch, ctypes.c_uint64(address // PAGE_BYTES * PAGE_BYTES),
                ctypes.c_size_t(PAGE_BYTES),
                ctypes.cast(self._callbacks.reads[page], ctypes.c_void_p), user,
                ctypes.cast(self._callbacks.writes[page], ctypes.c_void_p), user,
            )
        )  # fmt: skip

    def _must(self, status: int) -> None:
        if status:
            raise self._u.UcError(status)

    def _load(self) -> None:
        with self._firmware.elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments("PT_LOAD"):
                if segment["p_filesz"]:
                    self._uc.mem_write(segment["p_paddr"], segment.data())

    def _reset(self) -> None:
        vectors = self._board.vectors
        self.machine.system_page[_VTOR // 4] = vectors
        self._set("SP", self._word(vectors))
        self._set("LR", 0xFFFFFFFF)
        self._pc = self._word(vectors + 4) | 1
        self._faulted = False

    def _run(self) -> None:
        """Emulates until the firmware waits for input, ends, or has had its slice."""
        m = self.machine
        m.stopped = 0
        m.idle_polls = 0
        m.stop_at = m.instructions + _SLICE_INSTRUCTIONS
        try:
            self._uc.emu_start(self._pc, _NOWHERE)
        except self._u.UcError as error:
            self._fault(error.errno)
            return
        self._pc = self._register("PC") | 1
        if m.stopped & Stopped.RESET:
            self._reset()
        elif m.stopped & Stopped.STUCK:
            self._ended = f"it jumps to itself for ever at {self._where(self._pc - 1)}"
        elif not m.stopped:
            self._ended = f"it stopped at {self._where(self._pc - 1)}"

    def _sent(self) -> bytes:
        m = self.machine
        sent = bytes(m.tx[: m.tx_count])
        m.tx_count = 0
        return sent

    def _fault(self, error: int) -> None:
        """What the core does: stacks a frame, and goes on in the HardFault handler."""
        pc = self._register("PC")
        cfsr = self._cause(error, pc)
        registers = Registers(
            **{name: self._register(name.upper()) for name in _STACKED},
            pc=pc,
            xpsr=self._register("XPSR"),
            cfsr=cfsr,
            hfsr=1 << 30,
            mmfar=self._bad_address.value if cfsr & MMARVALID else 0,
            bfar=self._bad_address.value if cfsr & BFARVALID else 0,
        )
        what = f"{registers.cause()} at {self._where(pc)}"
        if self._faulted:
            self._ended = f"it locked up: another fault in the fault handler, {what}"
            return
        self._faulted = True
        if self._board.core.has_fault_status:
            for name, offset in _FAULT_STATUS.items():
                self.machine.system_page[offset // 4] = getattr(registers, name)
        frame = (self._register("SP") - _FRAME_BYTES) & ~7
        try:
            self._uc.mem_write(frame, registers.pack()[:_FRAME_BYTES])
            handler = self._word(self.machine.system_page[_VTOR // 4] + 4 * _HARD_FAULT)
        except self._u.UcError:
            self._ended = f"it locked up: no memory at its stack pointer 0x{frame:08x}, {what}"
            return
        self._set("SP", frame)
        self._set("LR", _EXC_RETURN)
        self._pc = handler | 1

    def _cause(self, error: int, pc: int) -> int:
        """CFSR for an error of Unicorn's."""
        u = self._u
        if not self._register("XPSR") & 1 << 24:
            return 1 << 17
        if error in (u.UC_ERR_FETCH_UNMAPPED, u.UC_ERR_FETCH_PROT):
            return 1 << 8
        if error in (
            u.UC_ERR_READ_UNMAPPED, u.UC_ERR_WRITE_UNMAPPED,
            u.UC_ERR_READ_PROT, u.UC_ERR_WRITE_PROT,
        ):  # fmt: skip
            return 1 << 9 | 1 << 15
        if error == u.UC_ERR_INSN_INVALID:
            return 1 << 16
        try:
            code = int.from_bytes(self._uc.mem_read(pc, 2), "little")
        except u.UcError:
            return 1 << 8
        if code & 0xEC00 == 0xEC00:
            return 1 << 19  # a coprocessor instruction: no such unit
        return 1 << 24  # what is left where no instruction is a system call: not aligned

    def _where(self, address: int) -> str:
        symbol = self._firmware.symbol_at(address)
        return f"0x{address:08x}" + (f" in {symbol}" if symbol else "")

    def _register(self, name: str) -> int:
        value: int = self._uc.reg_read(getattr(self._arm, f"UC_ARM_REG_{name}"))
        return value

    def _set(self, name: str, value: int) -> None:
        self._uc.reg_write(getattr(self._arm, f"UC_ARM_REG_{name}"), value)

    def _word(self, address: int) -> int:
        return int.from_bytes(self._uc.mem_read(address, 4), "little")
