"""pyOCD: CMSIS-DAP, ST-LINK and J-Link probes (pyocd.io/docs)."""

from __future__ import annotations

from .base import HEX, Job, Recipe


class Pyocd:
    """Writes Intel HEX, then reads the flash back: `pyocd load` compares nothing itself."""

    name = "pyocd"
    programs = ("pyocd",)
    install = "pip install pyocd"
    trouble = "is the board plugged in? pyocd list; does pyOCD know it? pyocd pack install TARGET"

    def recipe(self, job: Job) -> Recipe:
        connect = ("--target", job.facts.target, "--no-wait", *job.with_probe("--uid"))
        saves = []
        readback = {}
        for name, (address, data) in job.bins.items():
            saved = f"readback_{name}"
            saves += ["--command", f"savemem {address:#x} {len(data)} {saved}"]
            readback[saved] = data
        return Recipe(
            {HEX: job.image.to_hex().encode()},
            (
                (job.program, "load", *connect, HEX),
                (job.program, "commander", *connect, *saves, "--command", "reset"),
            ),
            readback,
        )
