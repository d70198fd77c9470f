"""Recipes: keys, values, sound orders. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinydeploy.errors import InputError
from tinydeploy.quantize.compress import recipe

_HEAD = 'model = "m.keras"\ndata = "a.npz"\neval = "b.npz"\n'


def _write(folder: Path, *steps: str, head: str = _HEAD) -> Path:
    path = folder / "recipe.toml"
    path.write_text(head + "".join(f"[[step]]\n{step}\n" for step in steps))
    return path


def test_every_key_of_every_step_is_read(tmp_path: Path) -> None:
    found = recipe.read(
        _write(
            tmp_path,
            'do = "filters"\nremove = 0.5\nnorm = "l2"\nscope = "global"\nmultiple_of = 4',
            'do = "distill"\nteacher = "t.keras"\nfeatures = { a = "b" }\ntemperature = 3',
            'do = "prune"\nsparsity = 0.8\nschedule = "polynomial"\nbegin = 0\nend = 0.5',
            'do = "cluster"\nclusters = 16\nskip = ["stem"]',
            'do = "qat"\nepochs = 2',
        )
    )
    assert [step.do for step in found.step] == ["filters", "distill", "prune", "cluster", "qat"]
    assert found.step[1].temperature == 3.0
    assert found.step[2].end == 0.5
    names = recipe.labels(found.step)
    assert names == ["filters -50%", "distill", "prune 80%", "cluster 16", "PCQAT"]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ('do = "prune"', "either sparsity or pattern"),
        ('do = "prune"\nsparsity = 0.5\npattern = "2:4"', "either sparsity or pattern"),
        ('do = "prune"\nsparsity = 1.0', "sparsity is 1, needs 0 to less than 1"),
        ('do = "prune"\nsparsity = nan', "sparsity is nan"),
        ('do = "prune"\npattern = "4:2"', "needs N:M with N below M"),
        ('do = "prune"\nsparsity = "half"', "must be a number"),
        ('do = "prune"\nsparsity = 0.5\nclusters = 4', "no key 'clusters'"),
        ('do = "prune"\nsparsity = 0.5\nbegin = 0.9\nend = 0.1', "it ends first"),
        ('do = "cluster"', "needs the key 'clusters'"),
        ('do = "cluster"\nclusters = 2', "needs 3 to 256"),
        ('do = "filters"', "needs the key 'remove'"),
        ('do = "distill"', "needs the key 'teacher'"),
        ('do = "qat"\nepochs = -1', "epochs is -1"),
        ('do = "qat"\nlearning_rate = 0', "learning_rate is 0"),
        ('do = "qat"\nlearning_rat = 0.1', "unknown key step[0].learning_rat"),
        ('do = "shrink"', "step[0].do must be one of"),
    ],
)
def test_a_wrong_step_is_refused(tmp_path: Path, step: str, told: str) -> None:
    path = _write(tmp_path, step)
    with pytest.raises(InputError) as error:
        recipe.read(path)
    assert told in error.value.message
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (_HEAD, "there is no [[step]]"),
        (_HEAD.replace("eval", "evil"), "unknown key evil"),
        (_HEAD + "seed = -1\n", "seed is -1"),
        (_HEAD + "batch_size = 0\n", "batch_size is 0"),
        (_HEAD + 'loss = "hinge"\n', "loss must be one of"),
    ],
)
def test_a_wrong_head_is_refused(tmp_path: Path, head: str, told: str) -> None:
    steps = () if "no [[step]]" in told else ('do = "qat"',)
    with pytest.raises(InputError, match=r"recipe\.toml") as error:
        recipe.read(_write(tmp_path, *steps, head=head))
    assert told in error.value.message


_PRUNE, _CLUSTER = 'do = "prune"\nsparsity = 0.5', 'do = "cluster"\nclusters = 8'
_FILTERS, _QAT, _TRAIN = 'do = "filters"\nremove = 0.5', 'do = "qat"', 'do = "train"'
_DISTILL = 'do = "distill"\nteacher = "t.keras"'


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((_QAT, _PRUNE), "ranges"),
        ((_QAT, _TRAIN), "ranges"),
        ((_QAT, _QAT), "quantised already"),
        ((_QAT, f"{_DISTILL}\nqat = true"), "quantised already"),
        ((_CLUSTER, _PRUNE), "shared values"),
        ((_CLUSTER, _CLUSTER), "clustered already"),
        ((_CLUSTER, _DISTILL), "shared values"),
        ((_CLUSTER, _TRAIN), "shared values"),
        ((_PRUNE, _FILTERS), "whole filters go first"),
        ((_PRUNE, _PRUNE), "second schedule"),
        ((_PRUNE, _CLUSTER, _TRAIN), "shared values"),
    ],
)
def test_an_order_that_undoes_is_refused(tmp_path: Path, steps: tuple[str, ...], why: str) -> None:
    with pytest.raises(InputError, match="cannot follow") as error:
        recipe.read(_write(tmp_path, *steps))
    assert why in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    "steps",
    [
        (_FILTERS, _TRAIN, _FILTERS, _PRUNE, _CLUSTER, _QAT),
        (_PRUNE, _TRAIN, _DISTILL, _CLUSTER, f"{_DISTILL}\nqat = true"),
        (_DISTILL, _PRUNE, _QAT),
        (_CLUSTER, _QAT),
    ],
)
def test_a_sound_order_is_taken(tmp_path: Path, steps: tuple[str, ...]) -> None:
    assert len(recipe.read(_write(tmp_path, *steps)).step) == len(steps)
