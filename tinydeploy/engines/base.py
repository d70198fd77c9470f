"""What an engine offers: it makes the model's side of td_model.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..graph import Graph
from ..plan.plan import Plan, Target


@dataclass(frozen=True)
class Emission:
    """A model as C.

    Attributes:
        plan: What was decided.
        files: File name -> text; the .c files among them are compiled.
    """

    plan: Plan
    files: Mapping[str, str]


class Engine(Protocol):
    """Turns a graph into C."""

    @property
    def name(self) -> str: ...

    def emit(self, graph: Graph, target: Target) -> Emission:
        """The C of a model.

        Args:
            graph: As loaded; the engine applies the transforms it wants.
            target: Instruction sets and what to optimise for.
        """
