"""SEGGER's J-Link Commander (UM08001, "J-Link Commander": command line options, commands)."""

from __future__ import annotations

from .base import HEX, Job, Recipe

_SCRIPT = "firmware.jlink"


class Jlink:
    name = "jlink"
    programs = ("JLinkExe", "JLink")
    install = "get J-Link Software from segger.com/downloads/jlink"
    trouble = "is the probe plugged in? another one: --probe SERIAL_NUMBER"

    def recipe(self, job: Job) -> Recipe:
        verify = [f"VerifyBin {name} {address:#x}" for name, (address, _) in job.bins.items()]
        script = ["r", "h", f"LoadFile {HEX}", *verify, "r", "g", "Exit"]
        command = (
            job.program,
            *("-NoGui", "1", "-ExitOnError", "1", "-AutoConnect", "1"),
            *("-Device", job.facts.target, "-If", "SWD", "-Speed", "4000"),
            *job.with_probe("-SelectEmuBySN"),
            *("-CommandFile", _SCRIPT),
        )
        files = {name: data for name, (_, data) in job.bins.items()}
        files |= {HEX: job.image.to_hex().encode(), _SCRIPT: "\n".join([*script, ""]).encode()}
        return Recipe(files, (command,))
