"""Which port is the board's, how it is reset, what is said where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from tinydeploy import boards
from tinydeploy.desk import Usb
from tinydeploy.errors import RequestError
from tinydeploy.runners import serial as runner
from tinydeploy.runners.serial import SerialRunner, SerialTransport, find_port

BOARD = replace(boards.load("nucleo_l4r5zi"), usb=Usb(("0483:374b", "0483:3752"), "a test", "dtr"))


def port(name: str, usb: str = "", number: str = "") -> ListPortInfo:
    """A port as pyserial lists it."""
    info = ListPortInfo(name, skip_link_detection=True)
    if usb:
        info.vid, info.pid = (int(part, 16) for part in usb.split(":"))
    info.serial_number = number or None
    return info


def test_the_port_with_the_boards_ids():
    ports = [port("COM1"), port("COM3", "0483:3752", "066A"), port("/dev/ttyUSB0", "10c4:ea60")]
    name, told = find_port(BOARD, ports)
    assert name == "COM3"
    assert told == (
        "NUCLEO-L4R5ZI is at COM3 (0483:3752, serial number 066A); "
        "also there: COM1, /dev/ttyUSB0 (10c4:ea60)"
    )
    assert find_port(BOARD, ports[1:2])[1].endswith("066A)")


@pytest.mark.parametrize(
    ("ports", "message", "hint"),
    [
        ([], "0483:374b or 0483:3752; there is: no serial port at all", "--port /dev/ttyUSB0"),
        ([port("COM1")], "there is: COM1", "--port COM1"),
        (
            [port("A", "0483:374b", "1"), port("B", "0483:374b", "2")],
            "2 serial ports may be NUCLEO-L4R5ZI: A (0483:374b, serial number 1), B",
            "name one: --port A",
        ),
    ],
)
def test_no_port_or_several(ports: list[ListPortInfo], message: str, hint: str):
    with pytest.raises(RequestError) as caught:
        find_port(BOARD, ports)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_board_without_a_port_of_its_own():
    with pytest.raises(RequestError, match="no USB port of its own; there is: COM7"):
        find_port(replace(BOARD, usb=None), [port("COM7", "10c4:ea60")])


class Recorder:
    """What pyserial gives for a port; keeps what is done to it."""

    in_waiting = 0

    def __init__(self) -> None:
        self.done: list[str] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "dtr":
            self.done.append(f"dtr {value}")
        super().__setattr__(name, value)

    def send_break(self, seconds: float) -> None:
        self.done.append(f"break {seconds}")

    def reset_input_buffer(self) -> None:
        self.done.append("flush")

    def close(self) -> None:
        self.done.append("close")


@pytest.mark.parametrize(
    ("reset", "done"),
    [
        ("dtr", ["dtr False", "dtr True", "flush", "close"]),
        ("break", ["break 0.001", "flush", "close"]),
        ("none", ["flush", "close"]),
    ],
)
def test_reset(reset: Any, done: list[str], monkeypatch: pytest.MonkeyPatch):
    device, opened = Recorder(), []
    monkeypatch.setattr(runner, "_RESET_S", 0.001)
    monkeypatch.setattr(serial, "serial_for_url", lambda *a, **k: opened.append((a, k)) or device)
    assert BOARD.usb is not None
    with SerialTransport("COM3", replace(BOARD, usb=replace(BOARD.usb, reset=reset))):
        pass
    assert device.done == done
    assert opened[0][0] == ("COM3", 115_200)
    assert opened[0][1]["exclusive"]


def test_auto_says_what_it_took(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    ports = [port("COM3", "0483:374b")]
    monkeypatch.setattr(runner.list_ports, "comports", lambda: ports)
    monkeypatch.setattr(serial, "serial_for_url", lambda *a, **k: Recorder())
    monkeypatch.setattr(runner, "_RESET_S", 0.0)
    chosen = SerialRunner(tell=told.append)
    chosen.check(BOARD)
    from tinydeploy.firmware import Firmware

    firmware = Firmware(elf=None, board=BOARD, entry=0, sections=(), symbols={}, _by_address=())  # type: ignore[arg-type]
    with chosen.open(firmware):
        assert told == ["NUCLEO-L4R5ZI is at COM3 (0483:374b)"]
    ports.clear()
    with pytest.raises(RequestError, match="no serial port has the USB ids"):
        chosen.check(BOARD)
