"""`recipe.toml`: what to do to a model, in which order, and which orders are sound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ...errors import InputError
from ...tomldata import read as read_toml

Do = Literal["train", "filters", "prune", "cluster", "distill", "qat"]
Optimizer = Literal["adam", "sgd", "rmsprop"]
Loss = Literal["auto", "crossentropy", "binary_crossentropy", "mse"]

_TRAINING = ("do", "name", "epochs", "batch_size", "optimizer", "learning_rate", "decay")
_CHOICE = ("layers", "skip")
# The keys that each kind of step takes.
KEYS: Mapping[str, tuple[str, ...]] = {
    "train": _TRAINING,
    "filters": (*_TRAINING, *_CHOICE, "remove", "norm", "scope", "multiple_of", "rounds"),
    "prune": (
        *_TRAINING,
        *_CHOICE,
        *("sparsity", "pattern", "schedule", "initial_sparsity", "begin", "end", "power"),
        "frequency",
    ),
    "cluster": (*_TRAINING, *_CHOICE, "clusters", "init"),
    "distill": (
        *_TRAINING,
        *("teacher", "temperature", "weight", "features", "feature_weight", "qat"),
    ),
    "qat": _TRAINING,
}
_NEEDS = {"filters": ("remove",), "cluster": ("clusters",), "distill": ("teacher",)}


@dataclass(frozen=True)
class Step:
    """One `[[step]]`; what is None takes the recipe's value or the step's own default."""

    do: Annotated[Do, "train, filters, prune, cluster, distill or qat"]
    name: Annotated[str | None, "what the table calls it"] = None
    epochs: Annotated[int | None, "passes over the data"] = None
    batch_size: Annotated[int | None, "samples a step of the optimizer"] = None
    optimizer: Annotated[Optimizer | None, "adam, sgd or rmsprop"] = None
    learning_rate: Annotated[float | None, "the optimizer's"] = None
    decay: Annotated[Literal["cosine", "constant"] | None, "of the learning rate"] = None
    layers: Annotated[tuple[str, ...] | None, "patterns of the layers to change"] = None
    skip: Annotated[tuple[str, ...] | None, "patterns of layers to leave alone"] = None
    sparsity: Annotated[float | None, "the share of weights that become zero"] = None
    pattern: Annotated[str | None, "N:M: N zeros among every M weights"] = None
    schedule: Annotated[Literal["polynomial", "constant"] | None, "of the sparsity"] = None
    initial_sparsity: Annotated[float | None, "where the polynomial schedule starts"] = None
    begin: Annotated[float | None, "share of the training after which pruning starts"] = None
    end: Annotated[float | None, "share of the training after which sparsity stays"] = None
    power: Annotated[float | None, "exponent of the polynomial schedule"] = None
    frequency: Annotated[int | None, "optimizer steps between two updates of the masks"] = None
    remove: Annotated[float | None, "the share of filters that goes"] = None
    norm: Annotated[Literal["l1", "l2"] | None, "what makes a filter important"] = None
    scope: Annotated[Literal["layer", "global"] | None, "rank filters by layer, or all"] = None
    multiple_of: Annotated[int | None, "filters that are left, a layer"] = None
    rounds: Annotated[int | None, "remove in so many rounds, training after each"] = None
    clusters: Annotated[int | None, "different weights a layer"] = None
    init: Annotated[Literal["kmeans++", "density", "linear", "random"] | None, "centroids"] = None
    teacher: Annotated[str | None, "a Keras model with the same inputs and classes"] = None
    temperature: Annotated[float | None, "that softens both models' answers"] = None
    weight: Annotated[float | None, "of the teacher against the labels, 0 to 1"] = None
    features: Annotated[Mapping[str, str] | None, "student's layer -> teacher's layer"] = None
    feature_weight: Annotated[float | None, "of the features' difference"] = None
    qat: Annotated[bool | None, "with quantisation-aware training"] = None

    def __post_init__(self) -> None:
        for key in self.__dataclass_fields__:
            if getattr(self, key) is not None and key not in KEYS[self.do]:
                allowed = ", ".join(KEYS[self.do][1:])
                raise ValueError(
                    f"a step that does {self.do!r} has no key {key!r}; it has {allowed}"
                )
        for key in _NEEDS.get(self.do, ()):
            if getattr(self, key) is None:
                raise ValueError(f"a {self.do} step needs the key {key!r}")
        _check_training(self)
        for key in ("sparsity", "remove", "initial_sparsity"):
            _within(key, getattr(self, key), 0.0, 1.0, open_end=True)
        for key in ("begin", "end", "weight"):
            _within(key, getattr(self, key), 0.0, 1.0)
        for key in ("power", "temperature"):
            _above(key, getattr(self, key), 0)
        _within("feature_weight", self.feature_weight, 0.0, 1e6)
        for key in ("frequency", "multiple_of", "rounds"):
            _above(key, getattr(self, key), 0)
        if self.clusters is not None and not 3 <= self.clusters <= 256:
            raise ValueError(f"clusters is {self.clusters}, needs 3 to 256")
        if self.do == "prune":
            self._check_prune()

    def _check_prune(self) -> None:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError("a prune step needs either sparsity or pattern")
        if self.pattern is not None:
            match = re.fullmatch(r"([1-9]\d?):([1-9]\d?)", self.pattern)
            if match is None or int(match[1]) >= int(match[2]):
                raise ValueError(f"pattern is {self.pattern!r}, needs N:M with N below M, as 2:4")
            for key in ("schedule", "initial_sparsity", "power"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is for sparsity; a pattern holds from its begin on")
        if self.begin is not None and self.end is not None and self.begin > self.end:
            raise ValueError(f"begin is {self.begin:g} and end {self.end:g}: it ends first")
        if self.schedule == "constant" and (self.initial_sparsity or self.power):
            raise ValueError("initial_sparsity and power are for the polynomial schedule")

    @property
    def zeros_of(self) -> tuple[int, int] | None:
        """(2, 4) of the pattern "2:4"."""
        if self.pattern is None:
            return None
        zeros, _, among = self.pattern.partition(":")
        return int(zeros), int(among)

    @property
    def quantizes(self) -> bool:
        """Whether its result is int8 by training."""
        return self.do == "qat" or bool(self.qat)


@dataclass(frozen=True)
class Recipe:
    """The whole file. Paths are relative to it."""

    model: Annotated[str, "a Keras model: .keras, .h5 or a SavedModel's folder"]
    data: Annotated[str, "what to train on, as `--data` takes it"]
    eval: Annotated[str, "what to judge by; nothing is trained on it"]
    transform: Annotated[str, "what each sample goes through, as `--transform`"] = ""
    label: Annotated[str | None, "the array or column that is the label"] = None
    columns: Annotated[tuple[str, ...], "the arrays or columns that are inputs"] = ()
    calibration: Annotated[str | None, "what gives the int8 ranges; the data if not given"] = None
    calibration_samples: Annotated[int, "at most so many samples of it"] = 200
    out: Annotated[str | None, "the folder to write to"] = None
    seed: Annotated[int, "of everything random"] = 1
    epochs: Annotated[int, "passes over the data, a step"] = 5
    batch_size: Annotated[int, "samples a step of the optimizer"] = 32
    optimizer: Annotated[Optimizer, "adam, sgd or rmsprop"] = "adam"
    learning_rate: Annotated[float, "the optimizer's"] = 1e-3
    decay: Annotated[Literal["cosine", "constant"], "of the learning rate"] = "cosine"
    loss: Annotated[Loss, "auto: by the labels and the network's last layer"] = "auto"
    shuffle: Annotated[int, "samples that shuffling holds in memory"] = 1024
    board: Annotated[str | None, "whose flash, RAM and instructions are reported"] = None
    device: Annotated[bool, "build and run every stage on the board's emulator"] = True
    custom_objects: Annotated[str | None, "file.py:function, the model's own classes"] = None
    step: Annotated[tuple[Step, ...], "what to do, in this order"] = field(default=())

    def __post_init__(self) -> None:
        _check_training(self)
        _above("shuffle", self.shuffle, 0)
        _above("calibration_samples", self.calibration_samples, 0)
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}, needs 0 to {2**31 - 1}")
        if not self.step:
            raise ValueError("there is no [[step]]: nothing to do")


def read(path: Path) -> Recipe:
    """Reads and checks a recipe, the order of its steps included.

    Raises:
        InputError: A key or value is wrong, or the order is not sound; names file, line and key.
    """
    recipe = read_toml(Recipe, path)
    check_order(recipe.step, str(path))
    return recipe


def labels(steps: Sequence[Step]) -> list[str]:
    """What the table calls each step: its own name, or what it does, numbered where doubled."""
    names = [step.name or _title(step, steps[:i]) for i, step in enumerate(steps)]
    return [
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def check_order(steps: Sequence[Step], where: str) -> None:
    """Refuses orders in which a step undoes what an earlier one did.

    Raises:
        InputError: With both steps and the reason.
    """
    for i, step in enumerate(steps):
        for k, before in enumerate(steps[:i]):
            reason = _conflict(before, step)
            if reason:
                raise InputError(
                    f"{where}: step {i + 1} ({step.do}) cannot follow step {k + 1} ({before.do}): "
                    f"{reason[0]}",
                    reason[1],
                )


def _conflict(before: Step, step: Step) -> tuple[str, str] | None:
    """(why `step` must not follow `before`, what to do instead)."""
    if before.quantizes:
        if step.quantizes:
            return (
                "the network is quantised already",
                "put distillation and qat in one step: qat = true",
            )
        return (
            "what it changes would leave the ranges that quantisation-aware training has learned",
            f"put the {step.do} step before it",
        )
    if step.quantizes:
        return None
    if before.do == "cluster":
        if step.do == "prune":
            return (
                "zeroing weights afterwards trains the rest away from the shared values",
                "prune first: clustering keeps the zeros",
            )
        if step.do == "cluster":
            return "the weights are clustered already", "give one step with the smaller number"
        return (
            "training moves every weight away from the shared values",
            f"put the {step.do} step before it"
            + (", or give it qat = true" if step.do == "distill" else ""),
        )
    if before.do == "prune":
        if step.do == "filters":
            return (
                "whole filters go first: what is left after zeroing says little about them",
                "put the filters step before it",
            )
        if step.do == "prune":
            return (
                "a second schedule would start from the zeros of the first",
                "give one step with schedule = 'polynomial' and the final sparsity",
            )
    return None


def _title(step: Step, before: Sequence[Step]) -> str:
    if step.do == "prune":
        return f"prune {step.pattern or f'{step.sparsity:.0%}'}"
    if step.do == "filters":
        return f"filters -{step.remove:.0%}"
    if step.do == "cluster":
        return f"cluster {step.clusters}"
    did = {earlier.do for earlier in before}
    kept = ("P" if "prune" in did else "") + ("C" if "cluster" in did else "")
    name = f"{kept}QAT" if step.quantizes else step.do
    return f"distill, {name}" if step.do == "distill" and step.quantizes else name


def _check_training(table: Step | Recipe) -> None:
    if table.epochs is not None and not 0 <= table.epochs <= 100_000:
        raise ValueError(f"epochs is {table.epochs}, needs 0 to 100000")
    _above("batch_size", table.batch_size, 0)
    _above("learning_rate", table.learning_rate, 0)


def _above(key: str, value: float | None, least: float) -> None:
    if value is not None and not least < value < float("inf"):
        raise ValueError(f"{key} is {value:g}, needs more than {least:g}")


def _within(
    key: str, value: float | None, least: float, most: float, *, open_end: bool = False
) -> None:
    if value is None:
        return
    if not least <= value <= most or (open_end and value == most):
        end = f"less than {most:g}" if open_end else f"{most:g}"
        raise ValueError(f"{key} is {value:g}, needs {least:g} to {end}")
