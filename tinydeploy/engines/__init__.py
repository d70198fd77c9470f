"""The engines, by name."""

from __future__ import annotations

from collections.abc import Mapping

from .aot import Aot
from .base import Arena, Context, Emission, Engine
from .tflm import Tflm

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (Aot(), Tflm())}

__all__ = ["ENGINES", "Arena", "Context", "Emission", "Engine"]
