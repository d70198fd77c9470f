"""What a repair is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..floatmodel import FloatModel
from ..schemes import Scheme
from ..statistics import Statistics


@dataclass(frozen=True, eq=False)
class Change:
    """What a repair did to a model.

    Attributes:
        content: The `.tflite` file as it is now; the one that was given where nothing changed.
        layers: How many layers it changed.
        notes: A sentence each, for the user.
    """

    content: bytes
    layers: int
    notes: tuple[str, ...] = ()


class FloatRepair(Protocol):
    """A repair of the float model, before it is quantised: a module of this folder.

    Attributes:
        keeps_function: Whether the float model still computes the same.
    """

    @property
    def keeps_function(self) -> bool: ...

    def repair(
        self, model: FloatModel, statistics: Statistics | None, scheme: Scheme
    ) -> Change: ...
