"""TensorFlow Lite for Microcontrollers as an engine: the model's file in flash, run by the user's
own installation of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import paths
from ..board import Board
from ..emit.carray import bytes_text, c_array, c_array_header
from ..emit.package import generated
from ..emit.rendering import environment
from ..errors import InputError
from ..graph import DType, Graph, Node
from ..plan.memory import place
from ..plan.plan import Constant, Kernel, KernelCall, Plan, Target
from ..plan.planner import make_plan
from ..plan.search import Buffer, Problem
from . import tflm_arena, tflm_library
from .base import Arena, Context, Emission
from .tflm_library import Archive, Installation
from .tflm_operators import METHODS, TYPED

TEMPLATES = "firmware_templates/tflm"
# Ours alone: a build of the user's own has a DebugLog() and a C++ library of its own.
_VERBATIM = ("td_debug_log.c", "td_runtime.cc")
_GLUE = ("td_message.c", "td_message.h")
DATA = "td_model_data"
_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_MOST_ARENA_BYTES = 1 << 30


@dataclass(frozen=True)
class Registration:
    """How the resolver is told of an operator.

    Attributes:
        name: TFLite's.
        method: Of MicroMutableOpResolver.
        function: Whose result it is given; "" for the general registration.
        header: That declares the function; "" likewise.
    """

    name: str
    method: str
    function: str = ""
    header: str = ""

    @property
    def call(self) -> str:
        """The method's argument, in C++."""
        return f"tflite::{self.function}()" if self.function else ""

    @property
    def kernel(self) -> str:
        """A name for reports: "tflm_conv_2d_int8"."""
        words = self.function.removeprefix("Register_") or self.name
        return f"tflm_{words.lower()}"


class Tflm:
    """Has an installed TFLite Micro interpret the model."""

    name = "tflm"

    def emit(self, graph: Graph, target: Target, context: Context | None = None) -> Emission:
        if context is None:
            raise InputError("engine tflm needs a board", "tinydeploy build MODEL --board BOARD")
        if context.board.is_host:
            raise InputError(
                "engine tflm runs on boards, not on this machine", "--board nucleo_l4r5zi"
            )
        installed = tflm_library.find(context.request.tflm_root)
        archive = installed.archive(context.board.core)
        used = registrations(graph)
        check_installed(used, installed, archive)
        library = installed.library(archive)
        given = context.request.arena_bytes
        arena = Arena(planned_bytes(graph))
        if given is None:
            measured = tflm_arena.measure(graph, context, library, arena.planned_bytes)
            given = measured.needed_bytes
            arena = replace(arena, used_bytes=measured.used_bytes)
        if given > _MOST_ARENA_BYTES:
            raise InputError(f"an arena of {given} bytes is more than any board has")
        measured_on = context.board if context.request.measuring else None
        files = model_files(graph, context.content, used, given, measured_on)
        return Emission(_plan(graph, target, context.content, used, given), files, library, arena)


def registrations(graph: Graph) -> tuple[Registration, ...]:
    """Exactly the operators that the model uses, each once, by name; for one type where TFLite
    Micro has that.

    Raises:
        InputError: TFLite Micro has no such operator.
    """
    by_name: dict[str, list[Node]] = {}
    for node in graph.nodes:
        by_name.setdefault(node.op, []).append(node)
    return tuple(_registration(graph, name, by_name[name]) for name in sorted(by_name))


def _registration(graph: Graph, name: str, nodes: Sequence[Node]) -> Registration:
    method = METHODS.get(name)
    if method is None:
        raise InputError(
            f"TFLite Micro has no operator {name} (layer {nodes[0].index})", "--engine aot"
        )
    typed = TYPED.get(name)
    kinds = {_type(graph, node) for node in nodes}
    kind = kinds.pop() if len(kinds) == 1 else None
    if typed is None or kind not in (DType.INT8, DType.INT16):
        return Registration(name, method)
    function = typed.int8 if kind is DType.INT8 else typed.int16
    return Registration(name, method, function, typed.header if function else "")


def _type(graph: Graph, node: Node) -> DType | None:
    """The type of a node's activations; None where they, or its weights, are of several."""
    data = [node.inputs[0], *node.outputs]
    if node.op in ("ADD", "MUL", "MAXIMUM", "MINIMUM"):
        data.append(node.inputs[1])
    kinds = {graph.tensors[t].dtype for t in data}
    if node.op in _WITH_WEIGHTS and graph.tensors[node.inputs[1]].dtype is not DType.INT8:
        return None
    return kinds.pop() if len(kinds) == 1 else None


def check_installed(
    used: Sequence[Registration], installed: Installation, archive: Archive
) -> None:
    """Refuses operators that the installed version lacks.

    Raises:
        InputError: Naming them.
    """
    missing = [r.name for r in used if r.method not in installed.methods]
    if missing:
        raise InputError(
            f"the TFLite Micro in {installed.root} has no {', '.join(missing)}",
            "install a newer one, or --engine aot",
        )
    for r in used:
        header = f"tensorflow/lite/micro/kernels/{r.header}"
        if r.function and r.function not in installed.header(header):
            raise InputError(
                f"the TFLite Micro in {installed.root} does not declare {r.function}() in {header}",
                "install a newer one, or --engine aot",
            )
    if not archive.symbols:
        raise InputError(f"{archive.path} has no symbol table", f"ranlib {archive.path}")


def planned_bytes(graph: Graph) -> int:
    """Where our own planner would put the file's tensors: bytes of the smallest arena it finds."""
    first: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    last: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    for position, node in enumerate(graph.nodes):
        for tensor in (*node.inputs, *node.outputs):
            if tensor >= 0 and not graph.tensors[tensor].is_constant:
                first.setdefault(tensor, position)
                last[tensor] = position
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    buffers = [Buffer(graph.tensors[t].bytes, first[t], last[t]) for t in first]
    offsets = place(Problem(buffers))
    return max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0)


def model_files(
    graph: Graph,
    content: bytes,
    used: Sequence[Registration],
    arena_bytes: int,
    measured_on: Board | None = None,
) -> dict[str, str]:
    """All C and C++ of the model, file name -> text.

    Args:
        measured_on: Where it tells what it uses of the arena; None: it is no such firmware.
    """
    return {
        **array_files(graph, content),
        "model_resolver.h": resolver_header(graph, used),
        **glue_files(graph, used, arena_bytes, measured_on),
        **_shipped(_VERBATIM),
    }


def array_files(graph: Graph, content: bytes) -> dict[str, str]:
    """The `.tflite` file as a C array, aligned to 16."""
    said = generated(graph)
    return {
        "model_data.c": c_array(content, DATA, said),
        "model_data.h": c_array_header(content, DATA, said),
    }


def resolver_header(graph: Graph, used: Sequence[Registration], first_header: str = "") -> str:
    """model_resolver.h: what registers the operators. `first_header` is included before all."""
    return render(
        "model_resolver.h.j2",
        graph,
        first_header=first_header,
        headers=sorted({r.header for r in used if r.header}),
        operators=[{"method": r.method, "registration": r.call} for r in used],
    )


def glue_files(
    graph: Graph,
    used: Sequence[Registration],
    arena_bytes: int,
    measured_on: Board | None = None,
) -> dict[str, str]:
    """What makes td_model.h of the array, the resolver and an interpreter; see `model_files`."""
    position = {r.name: i for i, r in enumerate(used)}
    tensors = graph.tensors
    model = render(
        "model.cc.j2",
        graph,
        arena_bytes=arena_bytes,
        operators=[r.name for r in used],
        layers=[
            {"operation": position[n.op], "output_bytes": tensors[n.outputs[0]].bytes}
            for n in graph.nodes
        ],
        sha256=bytes_text(bytes.fromhex(graph.sha256)),
        inputs=len(graph.inputs),
        outputs=len(graph.outputs),
        measuring=measured_on is not None,
        null_is_memory=measured_on is not None and _null_is_memory(measured_on),
    )
    return {"model.cc": model, **_shipped(_GLUE)}


def _null_is_memory(board: Board) -> bool:
    """Whether a write to the null pointer is no fault in the emulator that runs the board."""
    assert board.mcu is not None
    return not board.unicorn or any(memory.origin == 0 for memory in board.mcu.memories)


def _shipped(names: Sequence[str]) -> dict[str, str]:
    return {name: (paths.data(TEMPLATES) / name).read_text("utf-8") for name in names}


def render(template: str, graph: Graph, **values: object) -> str:
    """One of the templates in firmware_templates/tflm."""
    found = environment(paths.data(TEMPLATES)).get_template(template)
    return found.render(generated=generated(graph), **values)


def _plan(
    graph: Graph,
    target: Target,
    content: bytes,
    used: Sequence[Registration],
    arena_bytes: int,
) -> Plan:
    """The interpreter's plan, as far as it is decided here: one call an operator, one constant."""
    by_name = {r.name: r for r in used}
    macs = {call.layer: call.macs for call in make_plan(graph, target).calls}
    file = Constant("model", np.frombuffer(content, np.uint8), 16)
    calls = tuple(
        KernelCall(
            layer=node.index,
            op=node.op,
            kernel=Kernel(by_name[node.op].kernel, target.isas[-1]),
            struct="",
            header="",
            fields={"model": file},
            inputs=tuple(t for t in node.inputs if t >= 0 and not graph.tensors[t].is_constant),
            outputs=node.outputs,
            macs=macs.get(node.index, 0),
        )
        for node in graph.nodes
    )
    none = (None,) * len(calls)
    return Plan(graph, target, calls, {}, none, none, arena_bytes, arena_bytes)
