"""What an engine offers: it makes the model's side of td_model.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..emit.module import Library
from ..graph import Graph
from ..plan.plan import Plan, Target

if TYPE_CHECKING:
    from ..board import Board
    from ..build import BuildRequest


@dataclass(frozen=True)
class Context:
    """What a firmware is made for, beyond the model.

    Attributes:
        request: What the user asked for.
        board: The board of that name.
        content: The bytes of the `.tflite` file.
    """

    request: BuildRequest
    board: Board
    content: bytes


@dataclass(frozen=True)
class Arena:
    """How an arena came by its size, where an interpreter divides it at run time.

    Attributes:
        planned_bytes: What our own planner takes for the same tensors: the first guess.
        used_bytes: What the interpreter says that it uses; None when it was not measured.
    """

    planned_bytes: int
    used_bytes: int | None = None


@dataclass(frozen=True)
class Emission:
    """A model as C.

    Attributes:
        plan: What was decided.
        files: File name -> text; the .c and .cc files among them are compiled.
        library: What they need to be linked with; None for nothing.
        arena: None where the plan alone decides what lies where.
    """

    plan: Plan
    files: Mapping[str, str]
    library: Library | None = None
    arena: Arena | None = None


class Engine(Protocol):
    """Turns a graph into C."""

    @property
    def name(self) -> str: ...

    def emit(self, graph: Graph, target: Target, context: Context | None = None) -> Emission:
        """The C of a model.

        Args:
            graph: As loaded; the engine applies the transforms it wants.
            target: Instruction sets and what to optimise for.
            context: Needed by engines that link an installed library, or keep the file whole.

        Raises:
            InputError: The engine cannot run the model.
            RequestError: What the engine needs is not installed.
        """
