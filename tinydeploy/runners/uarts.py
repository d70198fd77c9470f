"""The serial ports that the embedded emulator models, as far as a driver that polls can see.

A port is a status register (or two) with "received" and "can send" bits, a register that received
bytes are read from, one that bytes to send are written to, and bits that must be set before any
of this works. The manuals are named in the drivers, firmware_templates/common/uart_*.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError
from .native import PAGE_BYTES, Machine

if TYPE_CHECKING:
    from ..mcu import Uart


@dataclass(frozen=True)
class Status:
    """A status register: its offset, its bits for "received", "can send", "nothing received"."""

    offset: int
    received: int
    can_send: int
    empty: int = 0


@dataclass(frozen=True)
class Dma:
    """One direction of a port that moves bytes by itself: a task, its event, its buffer."""

    task: int
    event: int
    pointer: int
    bytes: int


@dataclass(frozen=True)
class Model:
    """A kind of serial port; offsets from its first register."""

    status: tuple[Status, ...]
    receive: int
    send: int
    enable: int
    enable_bits: int


@dataclass(frozen=True)
class DmaModel:
    """A kind of serial port with DMA alone."""

    send: Dma
    receive: Dma
    enable: int
    enable_bits: int


_STM32_V2 = Model((Status(0x1C, 1 << 5, 1 << 7 | 1 << 6),), 0x24, 0x28, 0x00, 0b1101)
_NS16550 = Model((Status(0x14, 1 << 0, 1 << 5 | 1 << 6),), 0x00, 0x00, 0x0C, 0b11)

MODELS: dict[str, Model | DmaModel] = {
    "stm32_usart_v1": Model((Status(0x00, 1 << 5, 1 << 7 | 1 << 6),), 0x04, 0x04, 0x0C, 0x200C),
    "stm32_usart_v2": _STM32_V2,
    "stm32_lpuart": _STM32_V2,
    "nrf51_uart": Model((Status(0x108, 1, 0), Status(0x11C, 0, 1)), 0x518, 0x51C, 0x500, 4),
    "cmsdk_uart": Model((Status(0x04, 1 << 1, 0),), 0x00, 0x00, 0x08, 0b11),
    "nrf_uarte": DmaModel(
        Dma(0x008, 0x120, 0x544, 0x548), Dma(0x000, 0x110, 0x534, 0x538), 0x500, 8
    ),
    "nrf54_uarte": DmaModel(
        Dma(0x050, 0x168, 0x73C, 0x740), Dma(0x028, 0x14C, 0x704, 0x708), 0x500, 8
    ),
    # INTFLAG: RXC, DRE; CTRLA: ENABLE. SYNCBUSY is 0.
    "sam_usart": Model((Status(0x18, 1 << 2, 1 << 0),), 0x28, 0x28, 0x00, 0b10),
    # STAT: RDRF, TDRE; CTRL: TE, RE.
    "nxp_lpuart": Model((Status(0x14, 1 << 21, 1 << 23),), 0x1C, 0x1C, 0x18, 0xC0000),
    # S1: RDRF, TDRE; C2, the highest byte of its word: TE, RE.
    "kinetis_uart": Model((Status(0x04, 1 << 5, 1 << 7),), 0x07, 0x07, 0x00, 0xC << 24),
    # FIFOSTAT: RXNOTEMPTY, TXNOTFULL; FIFOCFG: both enabled.
    "lpc_flexcomm": Model((Status(0xE04, 1 << 6, 1 << 5),), 0xE30, 0xE20, 0xE00, 0b11),
    "lpc_uart": _NS16550,
    "ns16550": _NS16550,
    # STATUS: RXDATAV, TXBL; CMD: RXEN, TXEN.
    "efr32_usart": Model((Status(0x10, 1 << 7, 1 << 6),), 0x1C, 0x34, 0x0C, 0b101),
    "efr32s2_usart": Model((Status(0x18, 1 << 7, 1 << 6),), 0x24, 0x3C, 0x14, 0b101),
    # SSR: RDRF, TDRE; SCR, the third byte of its word: TE, RE.
    "renesas_sci": Model((Status(0x04, 1 << 6, 1 << 7),), 0x05, 0x03, 0x00, 0x30 << 16),
    # STAT: RXFE, TXFE; CTL0: ENABLE, RXE, TXE.
    "mspm0_uart": Model((Status(0x108, 0, 1 << 6, empty=1 << 2),), 0x124, 0x120, 0x100, 0x19),
    # STATUS: RX_EM, TX_EM; CTRL: BCLKEN.
    "max78_uart": Model((Status(0x04, 0, 1 << 6, empty=1 << 4),), 0x20, 0x20, 0x00, 1 << 15),
    # RX_FIFO_STATUS, TX_FIFO_STATUS: USED, how many bytes; CTRL: ENABLED.
    "infineon_scb": Model((Status(0x308, 1, 0), Status(0x208, 0, 0)), 0x340, 0x240, 0x00, 1 << 31),
    # FR: RXFE, TXFE; CR: UARTEN, TXE, RXE.
    "pl011": Model((Status(0x18, 0, 1 << 7, empty=1 << 4),), 0x00, 0x00, 0x30, 0x301),
}


def configure(machine: Machine, uart: Uart) -> None:
    """Makes the machine's serial port one of that kind at that address."""
    if uart.ip not in MODELS:
        raise InputError(f"the embedded emulator has no serial port {uart.ip!r}")
    model = MODELS[uart.ip]
    base = uart.address % PAGE_BYTES
    machine.enable_offset = base + model.enable
    machine.enable_bits = model.enable_bits
    if isinstance(model, DmaModel):
        machine.uses_dma = 1
        for name, dma in (("tx", model.send), ("rx", model.receive)):
            setattr(machine, f"dma_{name}_task", base + dma.task)
            setattr(machine, f"dma_{name}_event", base + dma.event)
            setattr(machine, f"dma_{name}_pointer", base + dma.pointer)
        machine.dma_tx_bytes = base + model.send.bytes
        return
    # A port with one status register has it twice.
    for i, status in enumerate((model.status * 2)[:2]):
        machine.status_offset[i] = base + status.offset
        machine.status_rx[i] = status.received
        machine.status_empty[i] = status.empty
        machine.status_tx[i] = status.can_send
    machine.rx_offset = base + model.receive
    machine.tx_offset = base + model.send
