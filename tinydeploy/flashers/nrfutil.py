"""Nordic's nrfutil device, by the J-Link of a development kit (docs.nordicsemi.com)."""

from __future__ import annotations

from .base import HEX, Job, Recipe

_OPTIONS = "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,reset=RESET_SYSTEM,verify=VERIFY_READ"


class Nrfutil:
    name = "nrfutil"
    programs = ("nrfutil",)
    install = "get nrfutil from nordicsemi.com, then: nrfutil install device"
    trouble = "is the board plugged in? nrfutil device list; locked? nrfutil device recover"

    def recipe(self, job: Job) -> Recipe:
        command = (
            *(job.program, "device", "program", "--firmware", HEX, "--options", _OPTIONS),
            *job.with_probe("--serial-number"),
        )
        return Recipe({HEX: job.image.to_hex().encode()}, (command,))
