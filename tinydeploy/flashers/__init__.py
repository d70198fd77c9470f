"""Tools that write a board's flash, by name; each module satisfies `base.Flasher`."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Flasher, Job, Recipe
from .bossac import Bossac
from .dfu import Dfu
from .drive import Drive
from .jlink import Jlink
from .nrfutil import Nrfutil
from .openocd import Openocd
from .picotool import Picotool
from .pyocd import Pyocd
from .stlink import Stlink
from .teensy import Teensy

__all__ = ["FLASHERS", "Flasher", "Job", "Recipe"]

FLASHERS: Mapping[str, Flasher] = {
    flasher.name: flasher
    for flasher in (
        Pyocd(),
        Openocd(),
        Stlink(),
        Jlink(),
        Picotool(),
        Drive(),
        Dfu(),
        Bossac(),
        Nrfutil(),
        Teensy(),
    )
}
