"""OpenOCD: nearly every probe (openocd.org, User's Guide, "Flash Programming")."""

from __future__ import annotations

from .base import HEX, Job, Recipe


class Openocd:
    name = "openocd"
    programs = ("openocd",)
    install = "Debian: apt install openocd; macOS: brew install open-ocd"
    trouble = "is the board plugged in? another probe: --probe SERIAL_NUMBER"

    def recipe(self, job: Job) -> Recipe:
        serial = ("--command", f"adapter serial {job.probe}") if job.probe else ()
        command = (
            job.program,
            *("--file", job.facts.interface),
            *serial,
            *("--file", job.facts.target),
            *("--command", f"program {HEX} verify reset exit"),
        )
        return Recipe({HEX: job.image.to_hex().encode()}, (command,))
