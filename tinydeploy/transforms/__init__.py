"""Graph -> Graph, one file a pass, applied in this order before anything is planned."""

from __future__ import annotations

from collections.abc import Callable

from ..graph import Graph
from .dead_channels import drop_dead_channels
from .dead_code import drop_dead_code
from .fold_constants import fold_constants

Transform = Callable[[Graph], Graph]

PASSES: tuple[Transform, ...] = (drop_dead_code, fold_constants, drop_dead_channels)


def apply(graph: Graph) -> Graph:
    """The graph after every pass; nodes keep the index they have in the file."""
    for transform in PASSES:
        graph = transform(graph)
    return graph
