"""Compilers, by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from ..errors import InputError
from . import arm_gnu, host, zig
from .base import Link, Toolchain

__all__ = ["NAMES", "TOOLCHAINS", "Link", "Toolchain", "find"]

TOOLCHAINS: Mapping[str, Callable[[], Toolchain]] = {
    arm_gnu.NAME: arm_gnu.find,
    zig.NAME: zig.find,
    host.NAME: host.find,
}
NAMES = ("auto", *TOOLCHAINS)


def find(name: str = "auto", *, for_host: bool = False, sanitize: bool = False) -> Toolchain:
    """The toolchain to build with.

    Args:
        name: "auto", or a key of TOOLCHAINS. Auto is arm-none-eabi-gcc where it is installed,
            else zig.
        for_host: The program is for this machine: auto is its own compiler.
        sanitize: With address and undefined-behaviour sanitizers; for this machine alone.

    Raises:
        InputError: No such toolchain, or not one for that target.
        RequestError: It is not installed.
    """
    if name not in NAMES:
        raise InputError(f"no toolchain {name}", f"one of: {', '.join(NAMES)}")
    if name == "auto":
        name = host.NAME if for_host else zig.NAME
        if not for_host and shutil.which("arm-none-eabi-gcc"):
            name = arm_gnu.NAME
    if for_host != (name == host.NAME):
        target = "board host" if for_host else "a board with an Arm core"
        usable = "auto or host" if for_host else "auto, arm-gnu or zig"
        raise InputError(f"toolchain {name} does not build for {target}", f"use {usable}")
    if sanitize and not for_host:
        raise InputError("the sanitizers work on board host alone", "use board host")
    return host.find(sanitize=sanitize) if sanitize else TOOLCHAINS[name]()
