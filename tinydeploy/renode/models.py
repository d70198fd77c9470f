"""What Renode calls our cores, serial ports and timers: one row each.

Names and arguments are those of Renode 1.15 and 1.16: its platform files (platforms/cpus) and the
constructors of its models (renode-infrastructure, src/Emulator/Peripherals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..cores import Core


@dataclass(frozen=True)
class Peripheral:
    """A model of Renode's.

    Attributes:
        model: "UART.STM32_UART".
        clock: Its argument that is the clock it divides, in Hz; empty where it has none.
        bytes: The addresses it answers at; 0 where the model says it itself.
        arguments: Further arguments, as they stand in a .repl: "lowPowerMode: true".
        since: The first version that has it.
    """

    model: str
    clock: str = ""
    bytes: int = 0
    arguments: tuple[str, ...] = ()
    since: tuple[int, ...] = (1, 15)


# By `Uart.ip`.
UARTS: Mapping[str, Peripheral] = {
    "stm32_usart_v1": Peripheral("UART.STM32_UART", "frequency", bytes=0x100),
    "stm32_usart_v2": Peripheral("UART.STM32F7_USART", "frequency"),
    "stm32_lpuart": Peripheral(
        "UART.STM32F7_USART", "frequency", arguments=("lowPowerMode: true",)
    ),
    # The legacy UART of the nRF52 and before: the model reads TXD only without EasyDMA.
    "nrf51_uart": Peripheral("UART.NRF52840_UART"),
    "nrf_uarte": Peripheral("UART.NRF52840_UART", arguments=("easyDMA: true",)),
    "nrf54_uarte": Peripheral("UART.NRF54H20_UARTE", since=(1, 16)),
    "cmsdk_uart": Peripheral("UART.CMSDK_APB_UART", "frequency"),
    "pl011": Peripheral("UART.PL011", "frequency"),
    "ns16550": Peripheral("UART.NS16550", arguments=("wideRegisters: true",)),
    "lpc_uart": Peripheral("UART.NS16550", arguments=("wideRegisters: true",)),
    "lpc_flexcomm": Peripheral("UART.LPC_USART", "clockFrequency"),
    "nxp_lpuart": Peripheral("UART.NXP_LPUART", "frequency"),
    "kinetis_uart": Peripheral("UART.K6xF_UART"),
    "sam_usart": Peripheral("UART.SAMD5_UART"),  # the SERCOM of SAM D and E
    "efr32_usart": Peripheral("UART.EFR32_USART", "clockFrequency", bytes=0x400),
    "efr32s2_usart": Peripheral("UART.EFR32xG2_USART_0", "clockFrequency", since=(1, 16)),
    "renesas_sci": Peripheral(
        "SCI.RenesasRA6M5_SCI",
        "frequency",
        arguments=("enableManchesterMode: false", "enableFIFO: false"),
    ),
}

# By `Counter.ip`; the core's own counters are no peripherals of a board.
COUNTERS: Mapping[str, Peripheral] = {
    "nrf51_timer": Peripheral("Timers.NRF52840_Timer", arguments=("numberOfEvents: 4",)),
}

_CPUS: Mapping[str, str] = {
    "cortex-m0": "cortex-m0",
    "cortex-m0plus": "cortex-m0+",
    "cortex-m3": "cortex-m3",
    "cortex-m4": "cortex-m4",
    "cortex-m7": "cortex-m7",
    "cortex-m33": "cortex-m33",
    "cortex-m55": "cortex-m55",
}


def cpu_type(core: Core) -> str:
    """Renode's name of a core; "" where it has none."""
    if core.name == "cortex-m4" and core.fpu != "none":
        return "cortex-m4f"
    return _CPUS.get(core.name, "")
