"""PJRC's teensy_loader_cli (pjrc.com/teensy/loader_cli.html)."""

from __future__ import annotations

from .base import HEX, Job, Recipe


class Teensy:
    """The boot loader cannot be read."""

    name = "teensy"
    programs = ("teensy_loader_cli",)
    install = "Debian: apt install teensy-loader-cli; macOS: brew install teensy_loader_cli"
    trouble = "press the button on the board"

    def recipe(self, job: Job) -> Recipe:
        command = (job.program, f"--mcu={job.facts.target}", "-w", "-v", HEX)
        return Recipe({HEX: job.image.to_hex().encode()}, (command,), verified=False)
