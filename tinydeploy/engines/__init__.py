"""The engines, by name."""

from __future__ import annotations

from collections.abc import Mapping

from .aot import Aot
from .base import Emission, Engine

ENGINES: Mapping[str, Engine] = {"aot": Aot()}

__all__ = ["ENGINES", "Emission", "Engine"]
