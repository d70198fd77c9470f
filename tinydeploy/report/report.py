"""`report.json`: what was built, on what, how it went. One schema, one writer, one reader.

The dataclasses below are the schema; docs/report.schema.json and the tables of docs/report.md are
generated from them. Everything that is shown elsewhere (table, JUnit) is a view of a `Report`.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..files import write_whole

SCHEMA = 1

Outcome = Literal[
    "built",  # compiled, fits the board; not run
    "verified",  # ran, every output equals the oracle's
    "differs",  # ran, an output differs
    "does-not-fit",  # needs more RAM or flash than the board has
    "build-error",  # the compiler or linker failed
    "device-error",  # the device crashed, fell silent or holds another model
]
Counter = Literal["instructions", "cycles"]


@dataclass(frozen=True)
class Tool:
    """A program or package.

    Attributes:
        name: Such as "arm-gnu", "unicorn", "tflite-micro".
        version: As it says of itself.
    """

    name: str
    version: str


@dataclass(frozen=True)
class Model:
    """The network that was deployed.

    Attributes:
        path: Of the `.tflite` file, as it was given.
        sha256: Hex digest of its bytes.
        name: The file's stem.
    """

    path: str
    sha256: str
    name: str


@dataclass(frozen=True)
class Elf:
    """The firmware image.

    Attributes:
        path: Relative to the folder that the command ran in where it lies below it.
        sha256: Hex digest of its bytes; the same inputs give the same digest.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class Section:
    """A part of the firmware image.

    Attributes:
        name: The ELF's name for it, such as ".text".
        memory: Where its bytes count; initialised data count in both.
        bytes: Its size.
    """

    name: str
    memory: Literal["flash", "ram", "both"]
    bytes: int


@dataclass(frozen=True)
class Memory:
    """What the firmware takes, from the linked ELF, beside what the board has.

    Attributes:
        arena_bytes: Activations and scratch together, as planned.
        ram_bytes: All of RAM that the image takes: arena, other data, stack. Null on the host.
        flash_bytes: All of flash: weights_bytes + code_bytes. Null on the host.
        weights_bytes: Constants that come from the model: packed weights, biases, requantisation
            parameters, tables.
        code_bytes: Flash beside weights_bytes: code, its constants, the vector table, initial
            values of data. Null on the host.
        arena_planned_bytes: What our planner takes for the same tensors, where the engine divides
            its arena at run time; null for engines whose plan is the arena.
        arena_used_bytes: What that engine says that it uses of the arena; null likewise.
        board_ram_bytes: What the board has for the image; null on the host.
        board_flash_bytes: What the board has for the image; null on the host.
        sections: The parts of the image, by address.
    """

    arena_bytes: int
    ram_bytes: int | None
    flash_bytes: int | None
    weights_bytes: int
    code_bytes: int | None
    board_ram_bytes: int | None = None
    board_flash_bytes: int | None = None
    arena_planned_bytes: int | None = None
    arena_used_bytes: int | None = None
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Channels that no output of the model depends on: they are not computed.

    Attributes:
        channels: How many, over all layers.
        of_channels: How many the layers of the model have.
        macs: Multiply-accumulates of an inference that the model has and the firmware has not.
        weights_bytes: Weights and biases, as they lie in the file, that the firmware has not.
    """

    channels: int
    of_channels: int
    macs: int
    weights_bytes: int


@dataclass(frozen=True)
class Instructions:
    """What it cost to run.

    Attributes:
        counter: What the numbers count: an emulator counts instructions, a device cycles.
        init: From reset until the model is ready; null when it was not measured.
        inference: One inference; the largest over all inputs. Null when it did not run.
    """

    counter: Counter = "instructions"
    init: int | None = None
    inference: int | None = None


@dataclass(frozen=True)
class Cost:
    """What a layer cost, from the instructions that it executed in an emulator.

    Attributes:
        cycles: Estimated, the flash's wait states included.
        cycles_least: What they cannot be less than: everything pipelined, no wait states.
        cycles_most: With the most that the core's table gives for each instruction.
        cycles_floor: What the multiply-accumulates alone take at the core's best rate.
        flash_stalls: Cycles spent waiting for the flash, of `cycles`.
        bytes_loaded: Read from memory, all of it.
        bytes_stored: Written.
    """

    cycles: int
    cycles_least: int
    cycles_most: int
    cycles_floor: int
    flash_stalls: int
    bytes_loaded: int
    bytes_stored: int


@dataclass(frozen=True)
class Timing:
    """How cycles were estimated, and their sums.

    Attributes:
        source: Where the time of each instruction comes from.
        bounds_only: Nothing is known between least and most: the core issues two at once.
        clock_hz: The core's clock, for seconds; null where nothing is known of the flash at it.
        wait_states: Of the flash at that clock.
        cycles: Of one inference.
        cycles_least: Of one inference.
        cycles_most: Of one inference.
        cycles_floor: Of one inference.
    """

    source: str
    bounds_only: bool
    clock_hz: int | None
    wait_states: int
    cycles: int
    cycles_least: int
    cycles_most: int
    cycles_floor: int


@dataclass(frozen=True)
class Layer:
    """One operator of the model.

    Attributes:
        index: Its number in the `.tflite` file.
        op: TFLite's operator name, such as "CONV_2D".
        name: The model's name for its output; any text.
        kernel: The C function that computes it; empty where nothing runs (a RESHAPE).
        macs: Multiply-accumulates; 0 for operators that have none.
        output_shape: Of its first output.
        instructions: Of this layer, or cycles, see `instructions.counter`; null when not measured.
        equal: Whether its output equals the oracle's, where layers were run one by one: on the
            first input, and on the first whose outputs differ. Null when not compared.
        cost: Estimated by `tinydeploy profile`; null otherwise.
    """

    index: int
    op: str
    name: str
    kernel: str
    macs: int
    output_shape: tuple[int, ...]
    instructions: int | None = None
    equal: bool | None = None
    cost: Cost | None = None


@dataclass(frozen=True)
class Block:
    """Something that lives in the arena for a while.

    Attributes:
        name: The model's name of the tensor, any text; empty for a kernel's working memory.
        kind: What it is.
        offset: Its first byte, from the arena's start. Blocks of one time may
            overlap: a layer may lie over its input, or move it out of the way first.
        bytes: Its size.
        first: The place in `layers` of the first layer during which it lives; -1 for an input.
        last: That of the last one; as many as there are layers for an output.
    """

    name: str
    kind: Literal["activation", "scratch"]
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Difference:
    """Where the device and the oracle part.

    Attributes:
        input: The number of the input, from 0.
        layer: The first layer whose output differs; null when layers were not compared.
        op: That layer's operator; null with it.
        tensor: The model's name of the tensor that differs; any text.
        elements_differing: How many of its elements differ.
        elements: How many it has.
        max_abs_difference: The largest difference, in the tensor's own units.
        first_index: The first differing element's place in the tensor.
        expected: What the oracle has there.
        got: What the device has there.
    """

    input: int
    layer: int | None
    op: str | None
    tensor: str
    elements_differing: int
    elements: int
    max_abs_difference: float
    first_index: tuple[int, ...]
    expected: float
    got: float


@dataclass(frozen=True)
class Verify:
    """The comparison with the oracle.

    Attributes:
        oracle: What computed the expected outputs: "tflite-micro", or tinydeploy's own
            "reference" on machines that have no build of it.
        inputs: How many inputs were run.
        inputs_equal: On how many of them every output was equal, bit for bit.
        equal: Whether that is all of them.
        retries: Frames that had to be sent again on the wire.
        first_difference: The first one found; null when there is none.
    """

    oracle: Tool
    inputs: int
    inputs_equal: int
    equal: bool
    retries: int = 0
    first_difference: Difference | None = None


@dataclass(frozen=True)
class Accuracy:
    """How often the answer was the label.

    Attributes:
        inputs: How many labelled inputs were run.
        correct: On how many the device's largest output is the label's.
        float_correct: On how many the float model's is, from which this one was quantised; null
            when it is not known.
        host_correct: On how many the quantised model's is, run on the host; null when it was not.
    """

    inputs: int
    correct: int
    float_correct: int | None = None
    host_correct: int | None = None


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
        outcome: How it ended.
        error: What the user was told, when it failed; null otherwise.
        tool: tinydeploy and its version.
        model: The network.
        board: The board's name.
        core: Its processor core, such as "cortex-m4".
        engine: What turned the model into C.
        optimize: What bytes were spent on.
        toolchain: The compiler; null when nothing was compiled.
        runner: What ran the firmware; null when nothing ran.
        elf: The firmware; null when it was not linked.
        memory: Sizes; null when they are not known.
        instructions: Cost of a run.
        timing: How cycles were estimated; null when they were not.
        layers: In execution order.
        left_out: Dead channels; null when there are none.
        arena: The RAM plan: what lives where, and when.
        verify: The comparison; null when nothing ran.
        accuracy: Over a labelled set; null when none was given.
        versions: Of the packages that had a part in it, by name.
        duration_s: Wall-clock time of the command, in seconds.
        schema: The schema's number. It grows when a reader of the old one could be misled;
            fields may be added without that.
    """

    outcome: Outcome
    tool: Tool
    model: Model
    board: str
    core: str
    engine: str
    optimize: Literal["speed", "size", "ram"] = "speed"
    error: str | None = None
    toolchain: Tool | None = None
    runner: Tool | None = None
    elf: Elf | None = None
    memory: Memory | None = None
    instructions: Instructions = Instructions()
    timing: Timing | None = None
    layers: tuple[Layer, ...] = ()
    left_out: LeftOut | None = None
    arena: tuple[Block, ...] = ()
    verify: Verify | None = None
    accuracy: Accuracy | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    duration_s: float = 0.0
    schema: int = SCHEMA


def to_dict(report: Report) -> dict[str, Any]:
    """The report as JSON has it, `schema` first."""
    content = dataclasses.asdict(report)
    return {"schema": content.pop("schema"), **content}


def to_json(report: Report) -> str:
    """The report as text, ending in a newline."""
    return json.dumps(to_dict(report), indent=2, allow_nan=False) + "\n"


def write(report: Report, path: Path) -> None:
    """Writes `report` to `path`, whole or not at all."""
    write_whole(path, to_json(report))


def read(path: Path) -> Report:
    """The report in the file `path`.

    Raises:
        InputError: It cannot be read, is not a report, or has another schema's number.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    number = content.get("schema") if isinstance(content, dict) else None
    if number != SCHEMA:
        raise InputError(
            f"{path} has report schema {number}, this tinydeploy reads {SCHEMA}",
            "write it again with this version: tinydeploy build MODEL --board BOARD",
        )
    try:
        report: Report = parse(Report, content, "report")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is not a report: {error}") from error
    return report


# What JSON calls them.
_JSON = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def parse(kind: Any, content: Any, where: str) -> Any:
    """`content` from JSON as the type `kind`; unknown fields of objects are passed over."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _object(typing.cast(type, kind), content, where)
    if origin is types.UnionType:  # always `something | None`
        return None if content is None else parse(arguments[0], content, where)
    if origin is Literal:
        if content not in arguments:
            raise ValueError(f"{where} is {content!r}")
        return content
    if origin is tuple and isinstance(content, list):
        return tuple(parse(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(content))
    if origin is Mapping and isinstance(content, dict):
        return {k: parse(arguments[1], v, f"{where}.{k}") for k, v in content.items()}
    if kind is float and type(content) is int:
        return float(content)
    if type(content) is not kind:
        raise TypeError(f"{where} is {_JSON[type(content)]}")
    return content


def _object(kind: type, content: Any, where: str) -> Any:
    if not isinstance(content, dict):
        raise TypeError(f"{where} is {_JSON[type(content)]}, not an object")
    hints = typing.get_type_hints(kind)
    values = {k: parse(t, content[k], f"{where}.{k}") for k, t in hints.items() if k in content}
    for item in dataclasses.fields(kind):
        missing = item.default is item.default_factory is dataclasses.MISSING
        if missing and item.name not in values:
            raise TypeError(f"{where} has no {item.name}")
    return kind(**values)
