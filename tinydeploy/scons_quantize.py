"""`env.Quantize`: a quantised model that SCons makes again when what it is made of changed.

    model = env.Quantize("kws_int8.tflite", "kws.keras", data="calibration.npz")
    firmware = env.TinyFirmware(model=model, board="nucleo_l4r5zi")

The options are those of `tinydeploy quantize`, with underscores. A firmware is planned from its
model when the SConstruct is read, so what TinyFirmware is given is made then, as SCons's own
Configure makes what it tries; by itself a quantised model is a target as any other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SCons.Node
import SCons.Taskmaster
from SCons.Script import Action, Exit, GetOption

from . import __version__
from .errors import InputError, TinydeployError

if TYPE_CHECKING:
    from .quantize import QuantizeRequest

# SCons ships no types.
Environment = Any
Node = Any


def quantize(env: Environment, target: str, source: str, **options: Any) -> Node:
    """Declares a quantised model.

    Args:
        env: Any environment with this tool.
        target: The `.tflite` file to write.
        source: What `tinydeploy quantize` takes: a file, a SavedModel's folder, file.py:function.
        options: Those of `tinydeploy quantize`: data, eval, scheme, calibration, repair, samples…;
            override, range and scale may be lists; per_tensor and symmetric are true or false.

    Returns:
        The node of the file. It is made again when the model, a data file, any file of a data
        folder, an option or tinydeploy's version changed.
    """
    from .cli_quantize import request_from

    try:
        request = request_from(Path(str(env.subst(str(source)))), Path(target), options)
        inputs = [env.File(path) for path in _files(request)]
    except TinydeployError as error:
        tell(error)
        Exit(error.exit_code)
    told = env.Value(json.dumps([__version__, str(source), options], sort_keys=True, default=str))
    action = Action(_quantize, lambda target, source, env: f"QUANTIZE {target[0]}")
    node = env.Command(target.replace("$", "$$"), [*inputs, told], action)[0]
    node.attributes.td_quantize = request
    return node


def made_here(env: Environment, model: Any) -> Node | None:
    """The node of `model`, a node or a path, if `env.Quantize` declared it."""
    node = model if hasattr(model, "attributes") else env.File(str(model).replace("$", "$$"))
    return node if getattr(node.attributes, "td_quantize", None) else None


def settle(node: Node) -> bool:
    """Makes a quantised model now, unless it is current.

    Returns:
        Whether it is there: nothing is made where SCons only cleans.
    """
    if GetOption("clean"):
        return Path(node.abspath).exists()
    if node.get_state() == SCons.Node.no_state:
        _build_now(node)
    if node.get_state() not in (SCons.Node.executed, SCons.Node.up_to_date):
        Exit(getattr(node.attributes, "td_status", 1))
    return True


def _build_now(node: Node) -> None:
    """As SCons's serial job does, whose module's name differs between versions."""
    master = SCons.Taskmaster.Taskmaster([node], SCons.Taskmaster.OutOfDateTask)
    while (task := master.next_task()) is not None:
        try:
            task.prepare()
            if task.needs_execute():
                task.execute()
        except Exception:  # whatever it is, the node's state says that it failed
            task.exception_set()
            task.fail_stop()
        else:
            task.executed()
        task.postprocess()
    master.cleanup()


def _quantize(target: list[Node], source: list[Node], env: Environment) -> int:
    del source, env
    from .cli_quantize import STEPS
    from .quantize import run
    from .report.progress import Progress
    from .report.quantization import print_quantization
    from .report.terminal import console

    attributes = target[0].attributes
    try:
        with Progress(silent=False) as status:
            result = run(
                attributes.td_quantize,
                lambda step, done, of: status.line(STEPS[step].format(done=done, of=of)),
            )
    except TinydeployError as error:
        tell(error)
        attributes.td_status = error.exit_code
        return error.exit_code
    print_quantization(result, console())
    return 0


def _files(request: QuantizeRequest) -> Iterator[str]:
    """What the result depends on, without what a user's Python function reads."""
    named: Mapping[str, str | None] = {
        "model": str(request.model),
        "data": request.data,
        "evaluation data": request.evaluation,
        "custom objects": request.custom_objects,
    }
    for what, spec in named.items():
        if spec is None:
            continue
        path = Path(spec)
        file, colon, _ = spec.rpartition(":")
        if not path.exists() and colon and file.endswith(".py"):
            path = Path(file)
        if not path.exists():
            raise InputError(f"{what}: there is no {spec}")
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        yield from (str(p).replace("$", "$$") for p in found)


def tell(error: TinydeployError) -> None:
    """A failure, on standard error."""
    sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
    sys.stderr.flush()
