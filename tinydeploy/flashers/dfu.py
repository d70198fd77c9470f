"""USB DFU with dfu-util, with ST's extension that knows addresses (AN3156) or without."""

from __future__ import annotations

from ..errors import RequestError
from .base import Job, Recipe


class Dfu:
    """ST's boot loaders are read back; a plain one is told a file and asked for nothing."""

    name = "dfu"
    programs = ("dfu-util",)
    install = "Debian: apt install dfu-util; macOS: brew install dfu-util"
    trouble = "start the boot loader (BOOT0 high, or reset twice); dfu-util --list shows it"

    def recipe(self, job: Job) -> Recipe:
        device = ("--device", job.facts.usb, "--alt", "0", *job.with_probe("--serial"))
        files = {name: data for name, (_, data) in job.bins.items()}
        if job.facts.plain:
            if len(files) > 1:
                raise RequestError(
                    "the board's DFU boot loader takes one piece, this image has "
                    f"{len(files)}: {', '.join(hex(s.address) for s in job.image.segments)}"
                )
            command = (job.program, *device, "--reset", "--download", *files)
            return Recipe(files, (command,), verified=False)
        writes, reads = [], []
        readback: dict[str, bytes] = {}
        for name, (address, data) in job.bins.items():
            where = f"{address:#x}"
            writes.append((job.program, *device, "--dfuse-address", where, "--download", name))
            last = ":leave" if len(readback) == len(files) - 1 else ""
            where = f"{address:#x}:{len(data)}{last}"
            saved = f"readback_{name}"
            reads.append((job.program, *device, "--dfuse-address", where, "--upload", saved))
            readback[saved] = data
        return Recipe(files, (*writes, *reads), readback)
