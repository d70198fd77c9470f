"""UF2: boot loaders that show a drive, which vanishes once a whole file is on it."""

from __future__ import annotations

import getpass
from contextlib import suppress
from pathlib import Path

from .. import uf2
from .base import Job, Recipe

_UF2 = "firmware.uf2"
# Every such drive has it (github.com/microsoft/uf2, "Files exposed by bootloaders").
_MARK = "INFO_UF2.TXT"


class Drive:
    """The boot loader checks that every block has come; what is in the flash it does not show."""

    name = "uf2"
    programs = ("cp",)
    install = ""
    trouble = "start the boot loader (hold BOOTSEL, or reset twice); where is it? --probe FOLDER"

    def recipe(self, job: Job) -> Recipe:
        drive = job.probe or find(job.facts.volume)
        content = job.image.to_uf2(uf2.FAMILIES[job.facts.family])
        command = (job.program, _UF2, f"{drive.rstrip('/')}/")
        return Recipe({_UF2: content}, (command,), drive=drive, verified=False)


def find(volume: str) -> str:
    """Where the drive of that label is mounted, or would be."""
    user = "root"
    with suppress(KeyError, OSError, ImportError):
        user = getpass.getuser()
    places = [f"/media/{user}", f"/run/media/{user}", "/Volumes", "/media", "/mnt"]
    folders = [Path(place) / volume for place in places]
    found = next((f for f in folders if is_there(str(f))), folders[0])
    return str(found)


def is_there(drive: str) -> bool:
    """Whether a boot loader's drive is there."""
    try:
        return (Path(drive) / _MARK).is_file()
    except OSError:  # going away right now
        return False
