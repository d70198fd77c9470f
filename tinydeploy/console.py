"""The console's hardware: which register writes make the pins and the serial port work. Decided
here; `emit.board` prints it, and the embedded emulator models the registers that it names."""

from __future__ import annotations

from .board import Board, Pin
from .mcu import Gpio, Step

# Offsets of OUTSET and PIN_CNF[0].
_NORDIC_GPIO = {
    "nrf51_gpio": (0x508, 0x700),
    "nrf53_gpio": (0x008, 0x200),
    "nrf54_gpio": (0x004, 0x080),
}


def early_steps(board: Board) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """What td_board_init() begins with: the microcontroller's register writes, then its clock's."""
    mcu = board.mcu
    return (mcu.setup, mcu.clock.steps if mcu.clock else ()) if mcu is not None else ((), ())


def setup_steps(board: Board) -> tuple[Step, ...]:
    """The register writes that follow, in order: the board's own, then the console's."""
    mcu, console = board.mcu, board.console
    if mcu is None or console is None:
        return ()
    pins = tuple(
        step
        for name, pin in (("sends", console.tx), ("receives", console.rx))
        if pin is not None and mcu.gpio is not None
        for step in _pin_steps(mcu.gpio, pin, f"{console.uart} {name}", name == "receives")
    )
    return (*board.setup, *pins, *mcu.uarts[console.uart].enable)


def _pin_steps(gpio: Gpio, pin: Pin, use: str, is_input: bool) -> tuple[Step, ...]:
    base, number = gpio.port(pin.port), pin.number
    if gpio.is_nordic:  # OUTSET; PIN_CNF: bit 0 output, bit 1 input buffer disconnected
        outset, first_config = _NORDIC_GPIO[gpio.ip]
        config = base + first_config + 4 * number
        if is_input:
            return (Step(config, f"{pin.pin}: {use}", clear=0b11),)
        high = Step(base + outset, f"{pin.pin}: idles high", set=1 << number)
        return (high, Step(config, f"{pin.pin}: {use}", set=0b1))
    clock = Step(
        gpio.enable_register,
        f"port {pin.pin[1]} clock ({gpio.source})",
        set=1 << (gpio.enable_bit + pin.port),
    )
    nibble = 4 * (number % 8)
    if gpio.ip == "stm32_gpio_v1":  # CRL, CRH: 0b0100 floating input, 0b1011 alternate push-pull
        register, mode = base + 4 * (number // 8), 0b0100 if is_input else 0b1011
        text = f"{pin.pin}: {use}"
        return (clock, Step(register, text, clear=0xF << nibble, set=mode << nibble))
    function = Step(
        base + 0x20 + 4 * (number // 8),
        f"{pin.pin}: alternate function {pin.function} (AFR)",
        clear=0xF << nibble,
        set=pin.function << nibble,
    )
    text = f"{pin.pin}: {use} (MODER)"
    mode_step = Step(base, text, clear=0b11 << 2 * number, set=0b10 << 2 * number)
    return (clock, function, mode_step)
