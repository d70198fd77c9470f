"""Arrays for `--inputs` that are damaged on purpose: NumPy and zipfile raise of all kinds."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kernels.case import quantized
from tests.support import REPOSITORY, require
from tinydeploy import __version__, inputs
from tinydeploy.errors import InputError
from tinydeploy.graph import Graph
from tinydeploy.inputs import read_inputs
from tinydeploy.oracle import open_oracle
from tinydeploy.quantize import data
from tinydeploy.quantize.loaders import arrays
from tinydeploy.tflite.reader import load, loads
from tinydeploy.tflite.schema import DepthwiseConv2DOptions, TensorType
from tinydeploy.tflite.writer import Option, constant, int32, single_operator

DIGITS = REPOSITORY / "examples" / "digits" / "digits_int8.tflite"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load(DIGITS)


def _npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npz(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content_of in members.items():
            archive.writestr(name, content_of)
    return content.getvalue()


def _patched(offset_in_local: int, offset_in_central: int, value: int) -> bytes:
    """A .npz with a byte of its member's two headers changed."""
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros((1, 8, 8, 1), np.int8))
    data = bytearray(content.getvalue())
    data[offset_in_local] = value
    data[data.index(b"PK\x01\x02") + offset_in_central] = value
    return bytes(data)


def _damaged_stream() -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, a=np.arange(64, dtype=np.int8))
    data = bytearray(content.getvalue())
    data[60:90] = b"\xff" * 30
    return bytes(data)


SHAPE = "{'descr': '|i1', 'fortran_order': False, 'shape': (%s, 8, 8, 1)}"
FILES = {
    "empty": b"",
    "magic": b"\x93NUMPY",
    "no array of 10 TB": _npy(SHAPE % 10**12),
    "a shape beyond 64 bits": _npy(SHAPE % 10**24),
    "a header that does not end": _npy("'''"),
    "brackets": _npy("(" * 2000),
    "keys of two kinds": _npy("{'descr': '|i1', 'fortran_order': False, 'shape': (1,), 3: 4}"),
    "a text in a zip": _npz(**{"a.txt": b"hello"}),
    "a text called .npy": _npz(**{"a.npy": b"hello"}),
    "a damaged stream": _damaged_stream(),
    "another compression": _patched(8, 10, 99),
    "encrypted": _patched(6, 8, 1),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_rejected(graph: Graph, tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(FILES[name])
    with pytest.raises(InputError):
        read_inputs(str(path), graph)


def test_a_pipe_a_folder_and_a_huge_file_are_rejected(graph: Graph, tmp_path: Path) -> None:
    pipe, huge = tmp_path / "pipe", tmp_path / "huge.npy"
    os.mkfifo(pipe)
    huge.write_bytes(_npy(SHAPE % 10**10))
    os.truncate(huge, 10**11)
    for path, words in ((pipe, "no regular file"), (tmp_path, "regular file"), (huge, "at most")):
        with pytest.raises(InputError, match=words):
            read_inputs(str(path), graph)


def test_an_archive_that_swells_is_rejected(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(_npy(SHAPE % 10**12))
    data = path.read_bytes()
    # The sizes that the archive claims: 2 GiB where there are some bytes.
    at = data.index(b"PK\x01\x02") + 24
    path.write_bytes(data[:at] + struct.pack("<I", 1 << 31) + data[at + 4 :])
    with pytest.raises(InputError):
        read_inputs(str(path), graph)


def _peak_bytes(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _zeros(shape: str, size_bytes: int, *, descr: str = "|i1", fortran: bool = False) -> bytes:
    return (
        _npy(f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape},)}}")
        + bytes(size_bytes)
    )  # fmt: skip


BIG = 1 << 25
SWELLING = {
    "no samples": {"a": _zeros(str(BIG), BIG)},
    "one of two": {"a": _zeros(str(BIG), BIG), "b": _zeros(f"{BIG >> 6}, 8, 8, 1", BIG)},
    "a header": {"a": b"\x93NUMPY\x02\x00" + struct.pack("<I", BIG) + b" " * BIG},
}


@pytest.mark.parametrize("name", SWELLING)
def test_what_swells_is_refused_before_it_takes_memory(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(inputs, "_MOST_BYTES", BIG >> 1)
    path = tmp_path / "bomb.npz"
    path.write_bytes(_npz(**{f"{k}.npy": v for k, v in SWELLING[name].items()}))
    assert path.stat().st_size < BIG >> 8
    assert _peak_bytes(lambda: read_inputs(str(path), graph)) < BIG >> 3


def test_too_many_samples_are_refused(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_MOST_INPUTS", 3)
    path = tmp_path / "x.npz"
    path.write_bytes(_npz(**{"a.npy": _zeros("4, 8, 8, 1", 256)}))
    with pytest.raises(InputError, match="holds 4 samples, at most 3"):
        read_inputs(str(path), graph)


# Arrays in Fortran's order, and texts, are read whole.
SWELLING_DATA = {
    "a sample": {"x": _zeros(f"1, {BIG}", BIG)},
    "more samples than there are": {"x": _zeros(f"{10**9}, 8", 8)},
    "columns": {"x": _zeros(f"{BIG >> 3}, 8", BIG, fortran=True)},
    "texts": {"x": _zeros("8", 8), "y": _zeros("8", BIG, descr=f"|S{BIG >> 3}")},
}


@pytest.mark.parametrize("name", SWELLING_DATA)
def test_data_that_swell_are_refused_before_they_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(arrays, "_MOST_BYTES", BIG >> 2)
    path = tmp_path / "bomb.npz"
    path.write_bytes(_npz(**{f"{k}.npy": v for k, v in SWELLING_DATA[name].items()}))
    assert _peak_bytes(lambda: next(iter(data.load(str(path))))) < BIG >> 3


@pytest.mark.parametrize("count", ["", "0", "-1", "1e3", "٣", "9" * 5000, "1000000000"])
def test_a_number_of_inputs_that_is_none_is_rejected(graph: Graph, count: str) -> None:
    with pytest.raises(InputError, match="asks for no number"):
        read_inputs(f"random:{count}", graph)


def test_an_oracle_that_does_not_exist_is_rejected(graph: Graph) -> None:
    with pytest.raises(InputError, match="unknown oracle 'x'"):
        open_oracle(graph, DIGITS.read_bytes(), "x")


def test_the_reference_is_an_oracle_with_a_name_and_a_version(graph: Graph) -> None:
    assert open_oracle(graph, DIGITS.read_bytes(), "reference").name == f"reference {__version__}"


def without_bias() -> bytes:
    """A depthwise convolution whose bias is -1 instead of left out."""
    image, result = (quantized((1, 3, 3, 2), 1.0, 0, TensorType.INT8) for _ in range(2))
    filters = constant(np.ones((1, 2, 2, 2), np.int8), (1.0,))
    options: dict[int, Option] = {
        DepthwiseConv2DOptions.STRIDE_W: int32(1),
        DepthwiseConv2DOptions.STRIDE_H: int32(1),
        DepthwiseConv2DOptions.DEPTH_MULTIPLIER: int32(1),
    }
    return single_operator("DEPTHWISE_CONV_2D", [image, filters, None], [result], options)


def test_a_model_that_crashes_tflite_micro_is_left_to_the_reference() -> None:
    content = without_bias()
    assert open_oracle(loads(content, "m"), content).name.startswith("reference")
    require("oracle")
    with pytest.raises(InputError, match="would crash: the bias of DEPTHWISE_CONV_2D, layer 0"):
        open_oracle(loads(content, "m"), content, "tflite-micro")


def test_what_only_tflite_micro_reads_of_a_damaged_file_is_refused_in_one_sentence() -> None:
    """It reads all of a file: names, metadata and signatures too, which the loader leaves alone."""
    require("oracle")
    content = DIGITS.read_bytes()
    told = []
    for at in range(0, 512, 4):
        damaged = content[:at] + struct.pack("<i", 1 << 30) + content[at + 4 :]
        try:
            graph = loads(damaged, "m")
        except InputError:
            continue
        try:
            open_oracle(graph, damaged, "tflite-micro")
        except InputError as error:
            told.append(error.message)
    assert told
    assert all(message.startswith("TFLite Micro refuses m.tflite: ") for message in told)
