"""Data of every kind: read lazily, the same each time, and refused with a sentence."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.support import REPOSITORY
from tinydeploy.errors import InputError
from tinydeploy.quantize import data, transform
from tinydeploy.quantize.data import Dataset, Sample
from tinydeploy.quantize.examine import examine, fit_of_range
from tinydeploy.quantize.loaders import arrays

RNG = np.random.default_rng(11)
IMAGES = RNG.random((40, 6, 6, 1)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)


def _same(dataset: Dataset, inputs: np.ndarray, labels: np.ndarray | None) -> None:
    for _ in range(2):  # a dataset can be gone through again
        samples = list(dataset)
        assert len(samples) == len(dataset) == len(inputs)
        for sample, value in zip(samples, inputs, strict=True):
            assert np.array_equal(sample.inputs[0], value)
        if labels is not None:
            assert [s.label for s in samples] == labels.tolist()
        else:
            assert all(s.label is None for s in samples)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: object) -> None:
    path = tmp_path / "d.npz"
    save(path, images=IMAGES, labels=LABELS, float_accuracy=0.98)  # type: ignore[operator]
    found = data.load(str(path))
    assert found.names == ("images",)
    _same(found, IMAGES, LABELS)


def test_npz_of_several_inputs_by_name(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    other = np.arange(40, dtype=np.float64).reshape(40, 1)
    np.savez(path, b=other, a=IMAGES, y=LABELS)
    found = data.load(str(path))
    assert found.names == ("b", "a")
    arrange = data.arranger(found, ["serving_default_a:0", "b"], [(1, 6, 6, 1), (1, 1)])
    first, second = arrange(next(iter(found)))
    assert first.shape == (1, 6, 6, 1)
    assert np.array_equal(first[0], IMAGES[0])
    assert second.shape == (1, 1)


def test_npz_with_chosen_arrays(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x_train=IMAGES[:7], y_train=LABELS[:7], x_test=IMAGES, y_test=LABELS)
    _same(data.load(str(path), columns=["x_test"], label="y_test"), IMAGES, LABELS)
    with pytest.raises(InputError, match="different numbers of samples"):
        data.load(str(path))
    with pytest.raises(InputError, match="no array 'z'"):
        data.load(str(path), label="z")


def test_labels_as_text_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=IMAGES[:3], labels=np.array(["no", "yes", "no"]))
    found = data.load(str(path))
    assert found.label_names == ("no", "yes")
    assert [s.label for s in found] == [0, 1, 0]
    found = data.load(str(path), label_names=["yes", "no"])
    assert [s.label for s in found] == [1, 0, 1]
    with pytest.raises(InputError, match="label 'no'"):
        list(data.load(str(path), label_names=["yes"]))


def test_npy_also_in_fortran_order(tmp_path: Path) -> None:
    for order in "CF":
        path = tmp_path / f"{order}.npy"
        np.save(path, np.asarray(IMAGES, order=order))  # type: ignore[call-overload]
        _same(data.load(str(path)), IMAGES, None)


def test_never_more_than_a_sample_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, x=IMAGES, y=LABELS)
    most = 0

    class Watched:
        def __init__(self, file: io.BufferedIOBase) -> None:
            self._file = file

        def __enter__(self) -> Watched:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def read(self, size: int = -1) -> bytes:
            nonlocal most
            assert size >= 0
            most = max(most, size)
            return self._file.read(size)

    opened = arrays._member
    monkeypatch.setattr(arrays, "_member", lambda p, n: Watched(opened(p, n)))  # type: ignore[arg-type]
    list(data.load(str(path)))
    assert most <= IMAGES[0].nbytes


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"PK\x03\x04 no", "cannot be read"), (b"\x93NUMPY", "cannot be")],
)
@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_damaged_arrays(tmp_path: Path, content: bytes, message: str, ending: str) -> None:
    path = tmp_path / f"d{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.load(str(path))


def test_a_file_that_is_cut_short_says_so(tmp_path: Path) -> None:
    path = tmp_path / "d.npy"
    np.save(path, IMAGES)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="ends too early"):
        list(data.load(str(path)))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match="not a regular file"):
        data.load(str(tmp_path / "pipe.npz"))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "d.npy"
    np.save(path, np.array([{}, []], object), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects"):
        data.load(str(path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [("no.npz", "there is no no"), ("f.py:g", "there is no f"), (__file__, "no kind of data")],
)
def test_what_is_no_data(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.load(spec)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("ax,ay,Label\n1,2.5,walk\n\n-3,4e1,sit\n0,0,walk\n")
    found = data.load(str(path))
    assert found.label_names == ("sit", "walk")
    samples = list(found)
    assert [s.inputs[0].tolist() for s in samples] == [[1, 2.5], [-3, 40], [0, 0]]
    assert [s.label for s in samples] == [1, 0, 1]
    one = data.load(str(path), columns=["ay"], label_names=["walk", "sit"])
    assert next(iter(one)).inputs[0].tolist() == [2.5]
    assert next(iter(one)).label == 0


def test_csv_without_names(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("1,2,0\n3,4,1\n")
    found = data.load(str(path), label="2")
    assert [s.label for s in found] == [0, 1]
    assert len(data.load(str(path))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,label\n", "no sample"),
        ("a,label\n1\n", "line 2 has 1 cells"),
        ("a,label\nx,1\n", "line 2: could not convert"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(data.load(str(path)))


def test_function(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n"
        "def pairs():\n    for i in range(3):\n        yield np.full((2,), i), i\n"
        "def named():\n    return [{'b': np.zeros(2), 'a': np.ones(3), 'label': 1}]\n"
        "def bad():\n    yield np.zeros(2)\n    raise KeyError('lost')\n"
        "def nothing():\n    return []\n"
    )
    found = data.load(f"{path}:pairs", transform="scale=2")
    assert [s.label for s in found] == [0, 1, 2]
    assert next(iter(data.subset(found, 1))).inputs[0].dtype == np.float32
    named = data.load(f"{path}:named")
    assert named.names == ("b", "a")
    assert next(iter(named)).label == 1
    for name, message in (("bad", "KeyError"), ("nothing", "no sample"), ("gone", "no function")):
        with pytest.raises(InputError, match=message):
            data.load(f"{path}:{name}")


def _wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def test_a_function_that_yields_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def texts():\n    yield 'text'\n")
    with pytest.raises(InputError, match="input is <U4, not real numbers"):
        data.load(f"{tmp_path / 'f.py'}:texts")


def test_a_sample_without_any_axis_does_not_fit() -> None:
    found = data.from_arrays(np.zeros(3, np.float32))
    with pytest.raises(InputError, match=r"is \[\], the model's input 'x'"):
        data.arranger(found, ["x"], [(1, 8)])(next(iter(found)))


def test_sounds(tmp_path: Path) -> None:
    tone = (np.sin(np.arange(4000) * 2 * np.pi * 1000 / 8000) * 16384).astype(np.int16)
    _wav(tmp_path / "tone" / "a.wav", tone)
    _wav(tmp_path / "silence" / "b.wav", np.zeros(3000))
    found = data.load(str(tmp_path), transform="rate=8000,length=4000,log-mel=256/128/20")
    assert found.label_names == ("silence", "tone")
    quiet, loud = list(found)
    assert (quiet.label, loud.label) == (0, 1)
    assert quiet.inputs[0].shape == loud.inputs[0].shape == (30, 20)
    band = loud.inputs[0].mean(axis=0).argmax()
    filters = transform.mel_filters(8000, 256, 20)
    assert filters[band, 32] == filters[:, 32].max()  # the band that holds 1000 Hz
    with pytest.raises(InputError, match="8000 samples a second, the transform wants 16000"):
        list(data.load(str(tmp_path), transform="rate=16000"))
    with pytest.raises(InputError, match=r"is \[4000\]"):
        list(data.load(str(tmp_path)))
    _wav(tmp_path / "tone" / "c.wav", tone, rate=16000)
    with pytest.raises(InputError, match="16000 samples a second"):
        list(data.load(str(tmp_path), transform="length=100"))


def test_sounds_of_every_width(tmp_path: Path) -> None:
    for width, raw in (
        (1, bytes([0, 128, 255])),
        (2, np.array([-32768, 0, 32512], "<i2").tobytes()),
        (3, b"\x00\x00\x80\x00\x00\x00\x00\x00\x7f"),
        (4, np.array([-(2**31), 0, 127 << 24], "<i4").tobytes()),
    ):
        folder = tmp_path / str(width)
        folder.mkdir()
        with wave.open(str(folder / "s.wav"), "wb") as file:
            file.setparams((1, width, 8000, 0, "NONE", ""))
            file.writeframes(raw)
        value = next(iter(data.load(str(folder)))).inputs[0]
        assert value == pytest.approx([-1, 0, 127 / 128])


def test_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for label in ("10", "9"):
        (tmp_path / label).mkdir()
        for i in range(2):
            pixels = np.full((8, 10, 3), 100 * i, np.uint8)
            image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    found = data.load(str(tmp_path), transform="crop=8x8,resize=4x4,gray,scale=1/255")
    assert found.label_names == ("9", "10")
    samples = list(found)
    assert [s.label for s in samples] == [0, 0, 1, 1]
    assert samples[1].inputs[0].shape == (4, 4, 1)
    assert samples[1].inputs[0] == pytest.approx(100 / 255)
    image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "9" / "2.png")
    with pytest.raises(InputError, match=r"2\.png is \[8, 8, 1\]") as caught:
        list(data.load(str(tmp_path)))
    assert "resize" in caught.value.hint
    (tmp_path / "9" / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="no image that can be read"):
        list(data.load(str(tmp_path)))
    with pytest.raises(InputError, match="'10', which is no label"):
        data.load(str(tmp_path), label_names=["9"])


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image and no wav"):
        data.load(str(tmp_path))


def test_a_subset_is_spread_over_the_whole() -> None:
    whole = data.from_arrays(np.arange(10.0)[:, None], np.arange(10))
    assert [s.label for s in data.subset(whole, 4)] == [0, 2, 5, 7]
    assert data.subset(whole, 99) is whole
    assert [len(batch) for batch in data.batches(whole, 4)] == [4, 4, 2]
    with pytest.raises(InputError, match="at least 1"):
        data.subset(whole, 0)


def test_shapes_that_do_not_fit() -> None:
    found = data.from_arrays(IMAGES)
    arrange = data.arranger(found, ["x"], [(1, 6, 6)])  # a channel too much is no harm
    assert arrange(next(iter(found)))[0].shape == (1, 6, 6)
    with pytest.raises(InputError, match=r"is \[6, 6, 1\], the model's input 'x' is \[1, 5\]"):
        data.arranger(found, ["x"], [(1, 5)])(next(iter(found)))
    with pytest.raises(InputError, match=r"1 inputs .* the model has 2"):
        data.arranger(found, ["a", "b"], [(1,), (1,)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resise=2x2", "unknown step 'resise'"),
        ("resize", "incomplete"),
        ("resize=0x4", "makes no sense"),
        ("scale=1/0", "makes no sense"),
        ("frames=4", "incomplete"),
        ("gray=1", "incomplete"),
    ],
)
def test_bad_transforms(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        transform.parse(text)


def test_a_transform_is_its_text() -> None:
    text = "image.resize=4x4,gray,scale=1/255,subtract=0.5;0.4,log-mel=480/320/40"
    assert str(transform.parse(text)) == text
    steps = transform.parse("a.scale=2,reshape=2x3")
    assert steps.apply(np.ones(6), "b").shape == (2, 3)
    assert steps.apply(np.ones(6), "a").max() == 2
    for step, value in (("crop=9x9", IMAGES[0]), ("reshape=5", IMAGES[0]), ("frames=9/1", IMAGES)):
        with pytest.raises(InputError):
            transform.parse(step).apply(value)


def test_resize_keeps_what_is_flat_and_the_mean() -> None:
    steps = transform.parse("resize=3x5")
    assert steps.apply(np.full((7, 4, 2), 9.0)) == pytest.approx(9.0)
    half = transform.parse("resize=8x8").apply(IMAGES[0].repeat(4, 0).repeat(4, 1))
    assert half.mean() == pytest.approx(IMAGES[0].mean(), rel=0.05)


def test_what_looks_odd() -> None:
    def told(values: np.ndarray, labels: np.ndarray | None = None) -> str:
        return "; ".join(examine(data.from_arrays(values, labels)))

    assert told(IMAGES, LABELS) == ""
    assert "only 4 samples" in told(IMAGES[:4])
    assert "like pixels that were not normalised" in told(IMAGES * 255)
    assert "was it normalised" in told(IMAGES * 1e5)
    assert "same in every sample" in told(np.repeat(IMAGES[:1], 40, 0))
    assert "one value only in 40 of 40" in told(np.arange(40.0)[:, None] * np.ones((1, 4)))
    assert "every sample has the label 2" in told(IMAGES, np.full(40, 2))
    broken = IMAGES.copy()
    broken[7, 0, 0] = np.nan
    with pytest.raises(InputError, match="sample 7 of 'input_0' holds NaN"):
        told(broken)


def test_how_a_range_fits_an_input() -> None:
    assert fit_of_range(0, 1, -0.01, 1.0) == ""
    assert "another normalisation" in fit_of_range(0, 255, 0, 1)
    assert "only" in fit_of_range(0, 1, 0, 255)


def test_samples_are_what_they_say() -> None:
    found = data.from_arrays({"a": IMAGES, "b": IMAGES}, LABELS)
    assert found.names == ("a", "b")
    sample = next(iter(found))
    assert isinstance(sample, Sample)
    assert isinstance(sample.label, int)
    with pytest.raises(InputError, match="different numbers"):
        data.from_arrays(IMAGES, LABELS[:3])


def test_every_step_is_documented() -> None:
    page = (REPOSITORY / "docs" / "evaluate.md").read_text()
    for name, use in transform._USE.items():
        assert f"| `{use.partition(',')[0].split(' ')[0]}" in page, name
    assert set(transform._USE) == set(transform.STEPS)
