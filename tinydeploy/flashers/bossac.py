"""BOSSA: the boot loaders of Arduino's SAM boards and their like (github.com/shumatech/BOSSA)."""

from __future__ import annotations

from ..errors import RequestError
from .base import Job, Recipe


class Bossac:
    name = "bossac"
    programs = ("bossac",)
    install = "Debian: apt install bossa-cli; macOS: brew install bossa"
    trouble = "press reset twice; its port: --probe ttyACM0"

    def recipe(self, job: Job) -> Recipe:
        files = {name: data for name, (_, data) in job.bins.items()}
        if len(files) > 1:
            raise RequestError(
                f"bossac writes one piece, this image has {len(files)}: "
                f"{', '.join(hex(s.address) for s in job.image.segments)}"
            )
        port = (f"--port={job.probe.removeprefix('/dev/')}",) if job.probe else ()
        options = ("--erase", "--write", "--verify", "--reset", f"--offset={job.facts.offset:#x}")
        return Recipe(files, ((job.program, *port, *options, *files),))
