"""What a flasher offers: the exact commands with which its tool writes an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..desk import FlashTool
from ..image import Image

HEX = "firmware.hex"


@dataclass(frozen=True)
class Job:
    """An image, and where it goes.

    Attributes:
        facts: The board's row for this tool.
        image: What is written.
        elf: The file that it comes from.
        program: The tool, as it is started.
        probe: Which probe, port or drive; "" where the tool finds the only one.
    """

    facts: FlashTool
    image: Image
    elf: bytes
    program: str
    probe: str = ""

    @property
    def bins(self) -> Mapping[str, tuple[int, bytes]]:
        """File name -> address and bytes, one file a segment."""
        return {f"firmware_{s.address:08x}.bin": (s.address, s.data) for s in self.image.segments}

    def with_probe(self, *option: str) -> tuple[str, ...]:
        """`option` and the probe behind it, where one was named."""
        return (*option, self.probe) if self.probe else ()


@dataclass(frozen=True)
class Recipe:
    """How an image is written. Commands run in a folder of their own, so that names need no quotes.

    Attributes:
        files: Name -> content, written before the first command.
        commands: Argument lists, one after the other; each must end with exit code 0.
        readback: Name -> what it must hold, of files that the commands leave.
        drive: A folder that the boot loader takes away once it has all; "" for none.
        verified: Whether all that was written is compared with what is in the flash afterwards.
    """

    files: Mapping[str, bytes]
    commands: tuple[tuple[str, ...], ...]
    readback: Mapping[str, bytes] | None = None
    drive: str = ""
    verified: bool = True


class Flasher(Protocol):
    """A tool that writes flash.

    Attributes:
        name: Its key in `FLASHERS`.
        programs: What it may be called; the first on PATH is started. Empty: nothing is needed.
        install: How one gets it.
        trouble: What to look at when it fails; TARGET in it is the board's.
    """

    @property
    def name(self) -> str: ...

    @property
    def programs(self) -> tuple[str, ...]: ...

    @property
    def install(self) -> str: ...

    @property
    def trouble(self) -> str: ...

    def recipe(self, job: Job) -> Recipe:
        """How `job` is done.

        Raises:
            RequestError: This tool cannot write such an image.
        """
