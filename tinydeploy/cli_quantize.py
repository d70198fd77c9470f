"""`tinydeploy quantize`: a float model becomes an integer one."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .cli_evaluate import label_names
from .errors import InputError

if TYPE_CHECKING:
    from .quantize import QuantizeRequest, QuantizeResult
    from .quantize.ranges import Pin
    from .quantize.schemes import Override

_FILE = click.Path(path_type=Path)
_SCHEMES = ("int8", "int16x8", "dynamic", "float16")
_IO_TYPES = ("int8", "uint8", "int16", "float32")
# What is told of the steps of a job.
STEPS = {
    "calibrate": "calibrating, sample {done} of {of}",
    "quantise": "quantising, {done} of {of}",
    "compare": "comparing calibrations, {done} of {of}",
    "repair": "repairing, {done} of {of}",
    "sizes": "comparing sizes of calibration sets, {done} of {of}",
}
_DEFAULTS: Mapping[str, Any] = {
    "data": None,
    "eval": None,
    "transform": "",
    "scheme": "int8",
    "io": None,
    "calibration": "minmax",
    "repair": "",
    "samples": None,
    "per_tensor": False,
    "symmetric": False,
    "range": (),
    "scale": (),
    "override": (),
    "custom_objects": None,
    "input_shape": None,
    "labels": None,
}


@click.command(short_help="Quantise a float model for a microcontroller.")
@click.argument("model", type=_FILE)
@click.option("-o", "--out", type=_FILE, metavar="OUT.tflite", help="Default: MODEL_int8.tflite.")
@click.option("--data", metavar="DATA",
              help="Calibration samples: a .npz, .npy or .csv file, a folder of images or wav "
                   "files, or file.py:function.")  # fmt: skip
@click.option("--eval", metavar="DATA", help="Compare on these; labels are used.")
@click.option("--transform", default="", metavar="STEPS",
              help="What each sample goes through: resize=96x96,gray,scale=1/255.")  # fmt: skip
@click.option("--scheme", type=click.Choice(_SCHEMES), default="int8", show_default=True,
              help="dynamic and float16 are for comparison, not for firmware.")  # fmt: skip
@click.option("--io", type=click.Choice(_IO_TYPES),
              help="Of inputs and outputs; as the activations.")  # fmt: skip
@click.option("--calibration", default="minmax", show_default=True, metavar="METHOD",
              help="minmax, moving-average, percentile[:99.9], mse, kl, or the best of "
                   "all.")  # fmt: skip
@click.option("--repair", default="", metavar="NAMES",
              help="Of fold-bn, equalise, clip and bias-correction, a,b,c; or all.")  # fmt: skip
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Calibrate on N of them.")
@click.option("--per-tensor", is_flag=True, help="One scale for a layer's weights.")
@click.option("--symmetric", is_flag=True, help="int8 activations with a zero point of 0.")
@click.option("--range", multiple=True, metavar="PATTERN=MIN,MAX",
              help="The range of chosen tensors.")  # fmt: skip
@click.option("--scale", multiple=True, metavar="TENSOR=SCALE,ZERO",
              help="A tensor's own scale and zero point.")  # fmt: skip
@click.option("--override", multiple=True, metavar="PATTERN=HOW",
              help="Of layers by number, name or operator: int8, int16, float, per-tensor, "
                   "per-channel, symmetric, asymmetric; several with +.")  # fmt: skip
@click.option("--custom-objects", metavar="FILE.py:FUNCTION", help="A Keras model's own classes.")
@click.option("--input-shape", metavar="[NAME=]1,3,32,32",
              help="Of ONNX and PyTorch models that leave it open.")  # fmt: skip
@click.option("--labels", metavar="NAMES",
              help="Names of the classes, a,b,c or a file with one a line; kept in the "
                   "file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def quantize(model: Path, out: Path | None, as_json: bool, **options: Any) -> None:
    """Quantise MODEL for a microcontroller: a float .tflite, a Keras or an ONNX model, a PyTorch
    .pt2, or file.py:function, which returns a PyTorch module.

    The ranges of its activations come from the samples in --data. The answers of what comes out
    are compared with the float model's, computed as a device would.
    """
    from .quantize import run
    from .report.progress import Progress

    out = out or model.with_name(f"{model.stem}_{options['scheme']}.tflite")
    request = request_from(model, out, options)
    with Progress(silent=as_json) as status:
        result = run(
            request, lambda step, done, of: status.line(STEPS[step].format(done=done, of=of))
        )
    _show(result, as_json)


def request_from(model: Path, out: Path, options: Mapping[str, Any]) -> QuantizeRequest:
    """What the options ask for, those of the command line or of a SConstruct.

    Args:
        model: What to quantise.
        out: The file to write.
        options: By the names of the command line, underscores for dashes; what may be given more
            than once is a text or a list of texts. What is left out has its default.

    Raises:
        InputError: An option is unknown, or has a value that it cannot have.
    """
    from .quantize import QuantizeRequest
    from .quantize.repair import parse
    from .quantize.schemes import Scheme

    given = {**_DEFAULTS, **options}
    if unknown := sorted(set(given) - set(_DEFAULTS)):
        near = difflib.get_close_matches(unknown[0], _DEFAULTS, 1)
        hint = f"did you mean {near[0]}=?" if near else f"known: {', '.join(_DEFAULTS)}"
        raise InputError(f"unknown option {unknown[0]}=", hint)
    for name, known in (("scheme", _SCHEMES), ("io", (None, *_IO_TYPES))):
        if given[name] not in known:
            raise InputError(
                f"{name} is {given[name]!r}", f"known: {', '.join(filter(None, known))}"
            )
    pins = [*map(_range, _texts(given["range"])), *map(_scale, _texts(given["scale"]))]
    samples = given["samples"]
    if samples is not None and (not str(samples).isdecimal() or int(samples) < 1):
        raise InputError(f"samples is {samples!r}, needs a number from 1 on", "samples=200")
    return QuantizeRequest(
        model=model,
        out=out,
        data=given["data"],
        evaluation=given["eval"],
        transform=given["transform"],
        scheme=Scheme(given["scheme"], given["io"], not given["per_tensor"], given["symmetric"]),
        overrides=tuple(map(_override, _texts(given["override"]))),
        pins=tuple(pins),
        calibration=given["calibration"],
        repairs=parse(given["repair"]),
        samples=None if samples is None else int(samples),
        custom_objects=given["custom_objects"],
        input_shape=given["input_shape"],
        labels=label_names(given["labels"]),
    )


def _texts(given: str | Sequence[str]) -> Sequence[str]:
    return [given] if isinstance(given, str) else given


def _show(result: QuantizeResult, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    from .report.quantization import print_quantization
    from .report.terminal import console

    print_quantization(result, console())
    shown = os.path.relpath(result.out)
    click.echo(f"\nwrote {shown}")
    if result.verdict.engine == "aot":
        click.echo(f"next: tinydeploy verify {shlex.quote(shown)} --board nucleo_l4r5zi")


# ---- Options with a syntax of their own -----------------------------------------------------


def _range(text: str) -> Pin:
    from .quantize.ranges import Pin
    from .quantize.statistics import Range

    pattern, low, high = _pair(text, "--range", "PATTERN=MIN,MAX", float)
    if not low < high:
        raise InputError(f"--range {text!r}: {low:g} is not below {high:g}")
    if low > 0 or high < 0:
        raise InputError(
            f"--range {text!r} leaves 0 out, which padding and ReLU need exactly",
            f"--range '{pattern}={min(low, 0):g},{max(high, 0):g}'",
        )
    return Pin(pattern, Range(low, high))


def _scale(text: str) -> Pin:
    from .quantize.ranges import Pin

    pattern, scale, zero = _pair(text, "--scale", "TENSOR=SCALE,ZERO", float)
    if not (0 < scale < float("inf")) or zero != int(zero):
        raise InputError(
            f"--scale {text!r}: a scale is a positive number, a zero point a whole one",
            f"--scale '{pattern}=0.05,-128'",
        )
    return Pin(pattern, None, scale, int(zero))


def _pair(
    text: str, option: str, form: str, number: Callable[[str], float]
) -> tuple[str, float, float]:
    pattern, equals, values = text.rpartition("=")
    try:
        first, second = (number(value) for value in values.split(","))
        if not equals or not pattern or first != first or second != second:
            raise ValueError
        if abs(first) == float("inf") or abs(second) == float("inf"):
            raise ValueError
    except ValueError:
        raise InputError(f"{option} {text!r} is not {form}", f"{option} '{form}'") from None
    return pattern, first, second


def _override(text: str) -> Override:
    from .quantize.schemes import Override

    pattern, equals, how = text.rpartition("=")
    words = how.split("+")
    activations = [w for w in words if w in ("int8", "int16", "float")]
    channels = [w for w in words if w in ("per-tensor", "per-channel")]
    zeros = [w for w in words if w in ("symmetric", "asymmetric")]
    known = [*activations, *channels, *zeros]
    one_each = max(len(activations), len(channels), len(zeros)) <= 1
    if not equals or not pattern or sorted(known) != sorted(words) or not one_each:
        raise InputError(
            f"--override {text!r} is not PATTERN=HOW",
            "--override 'CONV_2D=per-tensor' or '3=int16', several with +",
        )
    return Override(
        pattern=pattern,
        activations=activations[0] if activations else None,  # type: ignore[arg-type]
        per_channel=channels[0] == "per-channel" if channels else None,
        symmetric=zeros[0] == "symmetric" if zeros else None,
    )
