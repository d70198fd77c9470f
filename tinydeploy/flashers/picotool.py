"""picotool: RP2040 and RP2350 in their boot ROM (github.com/raspberrypi/picotool)."""

from __future__ import annotations

from .base import Job, Recipe

_ELF = "firmware.elf"


class Picotool:
    name = "picotool"
    programs = ("picotool",)
    install = "macOS: brew install picotool; elsewhere: github.com/raspberrypi/pico-sdk-tools"
    trouble = "hold BOOTSEL while you plug the board in; picotool info shows it"

    def recipe(self, job: Job) -> Recipe:
        serial = job.with_probe("--ser")
        command = (job.program, "load", "--verify", "--execute", _ELF, *serial)
        return Recipe({_ELF: job.elf}, (command,))
