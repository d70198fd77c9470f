"""A stand-in for the process Renode: its monitor's manners, without an emulator behind.

Started as Renode is, with a scenario's name in STANDIN. It makes the pseudo-terminal it is told
to make, and sends back what it receives there.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
import tty
from pathlib import Path

SCENARIO = os.environ.get("STANDIN", "")
VERSION = os.environ.get("STANDIN_VERSION", "1.16.1.35575")
PROMPT = "(monitor) "


def say(text: str) -> None:
    """As Renode does, with its line ends."""
    sys.stdout.write(text.replace("\n", "\r\r\n"))
    sys.stdout.flush()


def elapsed() -> str:
    time_s = "26:00:00.500000000" if SCENARIO == "old" else "00:00:01.250000000"
    return f"[Domain = Elapsed Virtual Time: {time_s}\nState: Idle, TimeElapsed = {time_s}]\n"


ANSWERS = {
    "start": "Starting emulation...\n",
    "machine ElapsedVirtualTime": elapsed(),
    "sysbus.cpu ExecutedInstructions": "0x00000000000001F4\n",
    "sysbus.cpu PC": "0x08000100\n",
    "sysbus.cpu IsHalted": "True\n" if SCENARIO == "halted" else "False\n",
}


def carry_out(line: str) -> str:
    if found := re.match(r'echo "(.*)"', line):
        return f"{found[1]}\n"
    if SCENARIO == "bad-platform" and "LoadPlatformDescription" in line:
        return (
            f"There was an error executing command '{line}'\n"
            "Error E04: Could not resolve type: 'UART.NOSUCH'.\nAt board.repl:8:9:\n"
        )
    if SCENARIO == "no-network" and "LoadPlatformDescription" in line:
        return (
            f"There was an error executing command '{line}'\n"
            "Failed to download https://example.org/svd/STM32F40x.svd.gz, see log for details.\n"
        )
    if SCENARIO == "dies-loading" and "LoadELF" in line:
        sys.stderr.write("Fatal error: out of memory\n")
        sys.exit(134)
    if SCENARIO == "hangs-loading" and "LoadELF" in line:
        time.sleep(600)
    if found := re.search(r'CreateUartPtyTerminal "\w+" "(.*)"', line):
        master, slave = os.openpty()
        tty.setraw(slave)
        Path(found[1]).symlink_to(os.ttyname(slave))
        terminals.append((master, slave))
    return ANSWERS.get(line, "")


def serve() -> None:
    """Commands and bytes, until there is nobody to give any."""
    pending = b""
    while True:
        watched = [0, *(master for master, _ in terminals)]
        for ready in select.select(watched, [], [])[0]:
            data = os.read(ready, 4096)
            if ready == 0:
                if not data:
                    return
                pending += data
                while b"\n" in pending:
                    raw, pending = pending.split(b"\n", 1)
                    line = raw.decode()
                    if line == "quit":
                        return
                    say(f"{line}\n{carry_out(line)}{PROMPT}")
            elif SCENARIO == "dies-mid-frame":
                os.write(ready, b"\0\x05half of a fra")
                time.sleep(0.2)
                os.kill(os.getpid(), 9)
            elif SCENARIO != "silent":
                os.write(ready, data)


terminals: list[tuple[int, int]] = []
if "--version" in sys.argv:
    print(f"Renode v{VERSION}\n  build: d66b0c2a-202602142154\n  runtime: .NET 8")
    sys.exit(0)
if SCENARIO == "dies":
    sys.stderr.write("Could not load type 'Antmicro.Renode.Core'\n")
    sys.exit(3)
if SCENARIO == "mute":
    time.sleep(600)
if SCENARIO == "late":
    time.sleep(1.0)
if SCENARIO == "floods":
    for _ in range(100_000):
        say("12:00:00.0000 [WARNING] sysbus: read from an unmapped address\n")
say(f"Renode, version 1.16.1 (d66b0c2a)\n\n{PROMPT}")
serve()
