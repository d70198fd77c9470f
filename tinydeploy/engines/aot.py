"""The ahead-of-time engine: the plan as C, calling kernels of our own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .. import transforms
from ..emit.model import kernel_headers, model_source, sizes_header
from ..graph import Graph
from ..paths import KERNELS
from ..plan.plan import Target
from ..plan.planner import make_plan
from .base import Context, Emission

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


class Aot:
    """Compiles the model to C."""

    name = "aot"

    def emit(self, graph: Graph, target: Target, context: Context | None = None) -> Emission:
        del context
        plan = make_plan(transforms.apply(graph), target)
        sources = sorted({call.kernel.source for call in plan.kernel_calls})
        files = {
            **_with_headers([*sources, *kernel_headers(plan)]),
            "model.c": model_source(plan),
            "td_sizes.h": sizes_header(plan),
        }
        return Emission(plan, files)


def _with_headers(names: Iterable[str]) -> Mapping[str, str]:
    """Kernel files and the kernel headers that they include, directly or not."""
    files: dict[str, str] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        path = KERNELS / name
        if name in files or not path.is_file():
            continue
        files[name] = path.read_text(encoding="utf-8")
        pending += _INCLUDE.findall(files[name])
    return files
