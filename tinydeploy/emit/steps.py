"""The tables of model.c that say what runs when, and where in the arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..plan.plan import KernelCall, Part, Plan


def parameter_names(plan: Plan) -> Mapping[int, str]:
    """The C name of each struct, by the identity of its fields: parts that are alike share one."""
    found: dict[int, str] = {}
    count: dict[int, int] = {}
    for call in plan.kernel_calls:
        if call.fields and id(call.fields) not in found:
            number = count[call.layer] = count.get(call.layer, -1) + 1
            found[id(call.fields)] = f"layer_{call.layer}_params" + (f"_{number}" if number else "")
    return found


@dataclass(frozen=True)
class _Row:
    """A row of a table of steps.

    Attributes:
        call: None where rows are moved down.
        moved: Its input is, before it runs.
        places: Offsets of outputs, inputs and scratch; of an input before it is moved, its bytes.
    """

    call: KernelCall | None
    params: str
    layer: int
    output_bytes: int
    places: tuple[int, ...]
    moved: bool = False

    @property
    def runner(self) -> str:
        """The function that calls its kernel: one for all calls of a shape."""
        call = self.call
        if call is None:
            return "run_td_copy"
        shape = f"{len(call.inputs)}_{len(call.outputs)}"
        shape += ("_scratch" if call.scratch_bytes else "") + ("_moved" if self.moved else "")
        return f"run_{call.kernel.name}_{shape}"

    def text(self, numbers: Mapping[str, int]) -> str:
        """C; `numbers` are those of runners."""
        places = ", ".join(map(str, self.places))
        runner = numbers[self.runner]
        return (
            f"    {{{self.params}, {self.layer}, {runner}, {self.output_bytes}, {{{places}}}}},\n"
        )


def steps(plan: Plan) -> str:
    """Each call as a row of a table; where it reads and writes are offsets in the arena."""
    parameters = parameter_names(plan)
    rows: list[_Row] = []
    parts: list[_Row] = []
    runs = ""
    for position, call in enumerate(plan.calls):
        params = f"&{parameters[id(call.fields)]}" if call.fields else "NULL"
        if call.parts:
            params = f"&layer_{call.layer}_strips"
            first, count = len(parts), len(call.parts)
            runs += f"static const td_strips layer_{call.layer}_strips = {{{first}, {count}}};\n"
            parts += [_part(plan, position, part, parameters) for part in call.parts]
        rows.append(_row(plan, position, params))
    every = [*rows, *parts]
    runners = {row.runner: _run(row) for row in every}  # in the order of td_runners
    numbers = {name: i for i, name in enumerate(runners)}
    most = max((len(row.places) for row in every), default=1)
    largest = max([len(runners), *(row.layer for row in every)])
    return f"""\
typedef {_unsigned(plan.arena_bytes)} td_offset;

typedef struct {{
  const void *params;
  {_unsigned(largest)} layer, runner;
  td_offset output_bytes;
  td_offset places[{most}]; /* of outputs, inputs and scratch; of an input before it is moved, and
                         * its bytes */
}} td_step;

static void *td_at(const td_step *s, uint32_t i) {{ return td_arena + s->places[i]; }}

{_STRIPS if parts else ""}{"".join(runners.values())}
static void (*const td_runners[])(const td_step *) = {{{", ".join(runners)}}};

{_parts(parts, runs, numbers) if parts else ""}\
static const td_step td_steps[{max(len(rows), 1)}] = {{
{"".join(row.text(numbers) for row in rows)}}};
"""


_STRIPS = """\
/* Rows of td_parts: layers that are computed a few rows at a time. */
typedef struct {
  uint32_t first, count;
} td_strips;

static void td_run_strips(const td_strips *strips);

"""


def _parts(parts: Sequence[_Row], runs: str, numbers: Mapping[str, int]) -> str:
    return f"""\
static const td_step td_parts[{len(parts)}] = {{
{"".join(part.text(numbers) for part in parts)}}};

{runs}
static void td_run_strips(const td_strips *strips) {{
  const td_step *s = td_parts + strips->first;
  for (uint32_t i = 0; i < strips->count; ++i, ++s) td_runners[s->runner](s);
}}

"""


def _unsigned(largest: int) -> str:
    return f"uint{8 if largest < 1 << 8 else 16 if largest < 1 << 16 else 32}_t"


def _row(plan: Plan, position: int, params: str) -> _Row:
    call, scratch, moved = plan.calls[position], plan.scratch[position], plan.moved[position]
    outputs = [plan.placements[t].offset for t in call.outputs]
    inputs = [plan.placements[t].offset for t in call.inputs]
    behind = [] if scratch is None else [scratch.offset]
    places = [*outputs, *inputs, *behind]
    if moved:
        places = [*outputs, moved.offset, *behind, *inputs, moved.bytes]
    size = plan.graph.tensors[call.outputs[0]].bytes
    return _Row(call, params, call.layer, size, tuple(places), moved is not None)


def _part(plan: Plan, position: int, part: Part, parameters: Mapping[int, str]) -> _Row:
    run, scratch, moved = plan.calls[position], plan.scratch[position], plan.moved[position]
    source = moved or plan.placements[run.inputs[0]]
    within = scratch.offset if scratch else 0
    starts = {0: source.offset, -1: plan.placements[run.outputs[0]].offset}
    places = [
        starts.get(part.output, within) + part.output_at,
        starts.get(part.input, within) + part.input_at,
    ]
    if part.call is None:
        return _Row(None, "NULL", run.layer, part.output_bytes, tuple(places))
    if part.call.scratch_bytes:
        places.append(within + part.scratch_at)
    params = f"&{parameters[id(part.call.fields)]}"
    return _Row(part.call, params, part.call.layer, part.output_bytes, tuple(places))


def _run(row: _Row) -> str:
    call = row.call
    if call is None:
        body = "  td_copy(td_at(s, 0), td_at(s, 1), s->output_bytes);\n"
        return f"static void {row.runner}(const td_step *s) {{\n{body}}}\n\n"
    behind = len(call.outputs)
    outputs = [f"td_at(s, {i})" for i in range(behind)]
    inputs = [f"td_at(s, {behind + i})" for i in range(len(call.inputs))]
    scratch = f"td_at(s, {behind + len(inputs)})" if call.scratch_bytes else "NULL"
    before = ""
    if call.variadic:
        before = f"  const void *const inputs[] = {{{', '.join(inputs)}}};\n"
        inputs = ["inputs"]
    if row.moved:
        old = behind + len(inputs) + bool(call.scratch_bytes)
        before = f"  td_move({inputs[0]}, td_at(s, {old}), s->places[{old + 1}]);\n"
    arguments = ", ".join(["s->params", *inputs, *outputs, scratch])
    run = "td_run_strips(s->params)" if call.parts else f"{call.kernel.name}({arguments})"
    return f"static void {row.runner}(const td_step *s) {{\n{before}  {run};\n}}\n\n"
