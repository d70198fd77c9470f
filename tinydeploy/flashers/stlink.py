"""The open st-flash: ST-LINK probes (github.com/stlink-org/stlink, doc/tutorial.md)."""

from __future__ import annotations

from .base import HEX, Job, Recipe


class Stlink:
    """`write` compares what it wrote."""

    name = "stlink"
    programs = ("st-flash",)
    install = "Debian: apt install stlink-tools; macOS: brew install stlink"
    trouble = "is the board plugged in? st-info --probe"

    def recipe(self, job: Job) -> Recipe:
        options = ("--connect-under-reset", "--reset", *job.with_probe("--serial"))
        command = (job.program, *options, "--format", "ihex", "write", HEX)
        return Recipe({HEX: job.image.to_hex().encode()}, (command,))
