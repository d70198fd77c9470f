"""Small declared transforms: what happens to a sample on its way into the model.

A transform is text, so that it can stand in a command, a recipe and a model's metadata:
"resize=96x96,gray,scale=1/255" runs its steps from left to right.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..graph import Array

_HINT = "--transform resize=96x96,gray,scale=1/255"
_LEAST_POWER = 1e-6


@dataclass(frozen=True)
class Clip:
    """What a step works on.

    Attributes:
        value: The array so far.
        rate_hz: Samples a second, for sound; 0 for anything else.
    """

    value: Array
    rate_hz: int = 0


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: A key of STEPS.
        arguments: As they were written.
        target: The input it is for; "" for all.
    """

    name: str
    arguments: tuple[str, ...]
    target: str = ""

    def __str__(self) -> str:
        target = f"{self.target}." if self.target else ""
        return target + self.name + ("=" + "/".join(self.arguments) if self.arguments else "")


@dataclass(frozen=True)
class Transform:
    """Steps in order; as text it is what `parse()` reads."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))

    def apply(self, value: Array, name: str = "", rate_hz: int = 0) -> Array:
        """`value`, a sample of the input `name`, after all its steps.

        Raises:
            InputError: A step does not fit what it is given.
        """
        clip = Clip(value, rate_hz)
        for step in self.steps:
            if step.target in ("", name):
                clip = Clip(STEPS[step.name](clip, *step.arguments), rate_hz)
        return clip.value


def parse(text: str) -> Transform:
    """The transform that `text` declares.

    Args:
        text: Steps, separated by commas: "name", "name=argument" or "name=argument/argument";
            "input.name=…" is for that input only.

    Raises:
        InputError: A step is unknown, or its arguments are.
    """
    steps = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        head, _, arguments = part.partition("=")
        target, _, name = head.rpartition(".")
        if name not in STEPS:
            near = difflib.get_close_matches(name, STEPS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(STEPS)}"
            raise InputError(f"unknown step {name!r:.40} in the transform {text!r:.80}", hint)
        # "scale=1/255" is one number, not two arguments.
        given = [arguments] if name in _ONE_NUMBER else arguments.split("/")
        step = Step(name, tuple(filter(None, given)), target)
        _try(step, text)
        steps.append(step)
    return Transform(tuple(steps))


def _try(step: Step, text: str) -> None:
    """Whether the step can be called so: found out before the first sample is read."""
    least, most = _COUNTS[step.name]
    if not least <= len(step.arguments) <= most:
        raise InputError(f"{step} in the transform {text!r:.80} is incomplete", _USE[step.name])
    try:
        for argument in step.arguments:
            _PARSERS.get(step.name, _whole)(argument)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{step} in the transform {text!r:.80} makes no sense", _USE[step.name]
        ) from error


def _whole(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("must be positive")
    return number


def _size(text: str) -> tuple[int, int]:
    height, width = (_whole(part) for part in text.split("x"))
    return height, width


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_whole(part) for part in text.split("x"))


def _numbers(text: str) -> Array:
    """ "0.5", "1/255", or one a channel: "0.485;0.456;0.406"."""
    values = []
    for part in text.split(";"):
        above, _, below = part.partition("/")
        values.append(float(above) / (float(below) if below else 1.0))
    return np.array(values, np.float32)


def _image(value: Array, step: str) -> Array:
    if value.ndim == 2:
        value = value[..., np.newaxis]
    if value.ndim != 3:
        raise InputError(f"{step} works on images [H, W, C], the sample is {list(value.shape)}")
    return value


def _sound(clip: Clip, step: str) -> Array:
    value = clip.value.squeeze()
    if value.ndim != 1:
        raise InputError(f"{step} works on sound [n], the sample is {list(clip.value.shape)}")
    return value.astype(np.float32)


def _resize(clip: Clip, size: str) -> Array:
    """Bilinear, and where it shrinks each pixel is the weighted mean of all that it covers."""
    image = _image(clip.value, "resize")
    height, width = _size(size)
    rows, columns = _weights(image.shape[0], height), _weights(image.shape[1], width)
    found: Array = np.einsum("yh,hwc,xw->yxc", rows, image.astype(np.float32), columns)
    return found.astype(np.float32)


def _weights(before: int, after: int) -> Array:
    """Row i says how much of each old pixel goes into the new pixel i."""
    ratio = before / after
    reach = max(ratio, 1.0)
    middles = (np.arange(after) + 0.5) * ratio
    distance = np.abs(np.arange(before)[None, :] + 0.5 - middles[:, None]) / reach
    weights = np.maximum(0.0, 1.0 - distance)
    found: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def _crop(clip: Clip, size: str) -> Array:
    image = _image(clip.value, "crop")
    height, width = _size(size)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise InputError(
            f"crop={size} is larger than an image of {image.shape[0]}x{image.shape[1]}",
            "resize first",
        )
    return image[top : top + height, left : left + width]


def _gray(clip: Clip) -> Array:
    """ITU-R BT.601 luma."""
    image = _image(clip.value, "gray")
    if image.shape[2] == 1:
        return image
    luma: Array = image[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma[..., np.newaxis]


def _rgb(clip: Clip) -> Array:
    image = _image(clip.value, "rgb")
    return image if image.shape[2] == 3 else np.repeat(image[..., :1], 3, axis=2)


def _scale(clip: Clip, factor: str) -> Array:
    return clip.value.astype(np.float32) * _numbers(factor)


def _subtract(clip: Clip, mean: str) -> Array:
    return clip.value.astype(np.float32) - _numbers(mean)


def _divide(clip: Clip, deviation: str) -> Array:
    return clip.value.astype(np.float32) / _numbers(deviation)


def _reshape(clip: Clip, shape: str) -> Array:
    wanted = _shape(shape)
    if np.prod(wanted) != clip.value.size:
        raise InputError(f"reshape={shape} of a sample that is {list(clip.value.shape)}")
    return clip.value.reshape(wanted)


def _channels_last(clip: Clip) -> Array:
    return np.moveaxis(clip.value, 0, -1)


def _float(clip: Clip) -> Array:
    return clip.value.astype(np.float32)


def _rate(clip: Clip, hz: str) -> Array:
    if clip.rate_hz != int(hz):
        raise InputError(
            f"the sound has {clip.rate_hz} samples a second, the transform wants {hz}",
            f"resample it first, such as with: sox in.wav -r {hz} out.wav",
        )
    return clip.value


def _length(clip: Clip, samples: str) -> Array:
    """Cut at the end, or filled with silence."""
    value = _sound(clip, "length")[: int(samples)]
    return np.pad(value, (0, int(samples) - value.size))


def _frames(clip: Clip, size: str, hop: str) -> Array:
    """[frames, size]: windows that begin every `hop` samples."""
    value = _sound(clip, "frames")
    if value.size < int(size):
        raise InputError(
            f"a sound of {value.size} samples is shorter than a frame of {size}",
            "fill it: length=16000",
        )
    return np.lib.stride_tricks.sliding_window_view(value, int(size))[:: int(hop)]


def _log_mel(clip: Clip, size: str, hop: str, bands: str) -> Array:
    """[frames, bands]: natural logarithm of the power in mel bands, from 20 Hz to half the rate."""
    frames = _frames(clip, size, hop) * np.hanning(int(size)).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = power @ mel_filters(clip.rate_hz or 16_000, int(size), int(bands)).T
    found: Array = np.log(np.maximum(mel, _LEAST_POWER)).astype(np.float32)
    return found


def mel_filters(rate_hz: int, size: int, bands: int) -> Array:
    """Triangular filters, [bands, size // 2 + 1].

    Source:
        The HTK Book, 5.4 "Filterbank analysis": mel = 2595 log10(1 + f / 700).
    """
    low, high = 2595 * np.log10(1 + np.array([20.0, rate_hz / 2]) / 700)
    corners = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate_hz / size
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    found: Array = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return found


STEPS: Mapping[str, Callable[..., Array]] = {
    "resize": _resize,
    "crop": _crop,
    "gray": _gray,
    "rgb": _rgb,
    "scale": _scale,
    "subtract": _subtract,
    "divide": _divide,
    "reshape": _reshape,
    "channels-last": _channels_last,
    "float": _float,
    "rate": _rate,
    "length": _length,
    "frames": _frames,
    "log-mel": _log_mel,
}
_ONE_NUMBER = frozenset({"scale", "subtract", "divide"})
_COUNTS = dict.fromkeys(STEPS, (1, 1)) | {
    "gray": (0, 0), "rgb": (0, 0), "float": (0, 0), "channels-last": (0, 0), "frames": (2, 2),
    "log-mel": (3, 3),
}  # fmt: skip
_PARSERS: Mapping[str, Callable[[str], object]] = {
    "resize": _size,
    "crop": _size,
    "scale": _numbers,
    "subtract": _numbers,
    "divide": _numbers,
    "reshape": _shape,
}
_USE = {
    "resize": "resize=HEIGHTxWIDTH",
    "crop": "crop=HEIGHTxWIDTH",
    "gray": "gray",
    "rgb": "rgb",
    "scale": "scale=1/255",
    "subtract": "subtract=0.5, or one a channel: subtract=0.485;0.456;0.406",
    "divide": "divide=0.5, or one a channel: divide=0.229;0.224;0.225",
    "reshape": "reshape=49x10x1",
    "channels-last": "channels-last",
    "float": "float",
    "rate": "rate=16000",
    "length": "length=16000",
    "frames": "frames=SAMPLES/HOP",
    "log-mel": "log-mel=SAMPLES/HOP/BANDS, such as log-mel=480/320/40",
}
