"""Ways to run a firmware, by name; each module satisfies `base.Runner`."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Runner, Transport
from .host import HostRunner
from .qemu import QemuRunner
from .renode import RenodeRunner
from .serial import SerialRunner
from .unicorn import UnicornRunner

__all__ = ["RUNNERS", "Runner", "Transport"]

_ALL = (UnicornRunner(), QemuRunner(), RenodeRunner(), HostRunner(), SerialRunner())

RUNNERS: Mapping[str, Runner] = {runner.name: runner for runner in _ALL}
