"""A folder of images or wav files; its folders are the classes."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...errors import InputError, RequestError
from ...graph import Array
from ..data import Dataset, Lazy, Sample
from ..transform import Transform

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff"})
SOUNDS = frozenset({".wav"})

# A file's array, and its samples a second (0 for an image).
Read = Callable[[Path], tuple[Array, int]]


def load(path: Path, transform: Transform, label_names: tuple[str, ...]) -> Dataset:
    """Files in folders that are named like their class, or, without labels, in the folder itself.

    Classes are numbered in sorted order (numbers by value), or as `label_names` has them.
    Images are uint8 [H, W, C]; sounds float32 [n], -1 to 1, channels mixed.
    """
    named = sorted((p for p in path.iterdir() if p.is_dir() and _is_shown(p)), key=_sorting)
    folders = named or [path]
    if label_names and named:
        unknown = [p.name for p in named if p.name not in label_names]
        if unknown:
            raise InputError(
                f"{path} has a folder {unknown[0]!r:.60}, which is no label",
                f"labels: {', '.join(label_names)[:200]}",
            )
    names = label_names or tuple(p.name for p in named)
    files: list[tuple[Path, int | None]] = []
    for folder in folders:
        label = names.index(folder.name) if named else None
        files += [(p, label) for p in sorted(folder.iterdir()) if _kind(p)]
    kinds = {_kind(p) for p, _ in files}
    if not kinds:
        raise InputError(
            f"{path} holds no image and no wav file",
            f"known: {', '.join(sorted(IMAGES | SOUNDS))}; a folder a class",
        )
    if len(kinds) > 1:
        raise InputError(f"{path} holds images and sounds", "put them into folders of their own")
    name = kinds.pop()
    read = _open_sound if name == "sound" else _image_reader()

    def start() -> Iterator[Sample]:
        first: tuple[Path, Array, int] | None = None
        for file, label in files:
            raw, rate_hz = read(file)
            if first is not None and rate_hz != first[2]:
                raise InputError(
                    f"{file} has {rate_hz} samples a second, {first[0]} has {first[2]}",
                    f"resample it first, such as with: sox in.wav -r {first[2]} out.wav",
                )
            value = transform.apply(raw, name, rate_hz)
            first = first or (file, value, rate_hz)
            _check_shape(file, value, first, name)
            yield Sample((value,), label)

    return Lazy((name,), start, len(files), names)


def _check_shape(file: Path, value: Array, first: tuple[Path, Array, int], name: str) -> None:
    if value.shape == first[1].shape:
        return
    if name == "sound":
        hint = "--transform length=16000"
    elif value.shape[:2] == first[1].shape[:2]:
        hint = "--transform gray, or rgb"
    else:
        hint = "--transform resize=96x96"
    raise InputError(
        f"{file} is {list(value.shape)}, {first[0]} is {list(first[1].shape)}",
        hint,
    )


def _is_shown(path: Path) -> bool:
    return not path.name.startswith((".", "__"))


def _kind(path: Path) -> str:
    if not _is_shown(path) or not path.is_file():
        return ""
    ending = path.suffix.lower()
    return "image" if ending in IMAGES else "sound" if ending in SOUNDS else ""


def _sorting(path: Path) -> tuple[int, str]:
    name = path.name
    return (int(name), "") if name.isdecimal() and name.isascii() else (1 << 62, name)


def _image_reader() -> Read:
    try:
        from PIL import Image
    except ImportError as error:
        raise RequestError(
            "images are read by Pillow, which is not installed", "pip install 'tinydeploy[data]'"
        ) from error

    def read(path: Path) -> tuple[Array, int]:
        try:
            with Image.open(path) as image:
                plain = image.convert("L" if image.mode in ("L", "1", "I;16", "LA") else "RGB")
                value = np.asarray(plain, np.uint8)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"{path} is no image that can be read: {error}") from error
        return (value[..., np.newaxis] if value.ndim == 2 else value), 0

    return read


def _open_sound(path: Path) -> tuple[Array, int]:
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise InputError(
            f"{path} is no PCM wav file: {error}", "sox in.wav -e signed -b 16 out.wav"
        ) from error
    content = content[: len(content) - len(content) % (width * channels)]
    return _samples(content, width).reshape(-1, channels).mean(axis=1, dtype=np.float32), rate_hz


def _samples(content: bytes, width: int) -> Array:
    """float32 from -1 to 1 of PCM of `width` bytes a sample."""
    if width == 1:  # the only unsigned one
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    padded = np.frombuffer(content, np.uint8).reshape(-1, width)
    whole = np.zeros((len(padded), 4), np.uint8)
    whole[:, 4 - width :] = padded
    return (whole.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
