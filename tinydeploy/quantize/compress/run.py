"""A recipe from its first step to its last, going on where an earlier run was stopped.

Every stage is a folder of its own: made aside, renamed when it is whole, and named by a hash of
all that it depends on, so that what is there and still true is taken as it is.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ... import __version__, boards
from ...errors import RequestError
from ...files import write_whole
from ...report import compression as c
from ...report.report import Tool
from .. import calibrate, keras, ptq
from ..data import Dataset, arranger, load, subset
from ..finish import finish
from ..frameworks import native_silence, tf_keras
from ..provenance import provenance
from ..subject import open_subject
from . import cluster, distill, figures, filters, prune, qat, recipe
from .recipe import Recipe, Step
from .replay import to_keras2
from .store import digest, hash_of, parameters, plain, read_json
from .training import (
    Task,
    Training,
    find_task,
    fit,
    keeps_zeros,
    seed_everything,
    settings,
)

JSON = "compress.json"
_STAGE = "stage.json"
_FIGURES = "figures.json"
_MODEL = "model.h5"
_INT8 = "model_int8.tflite"
_PACKAGES = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "ai-edge-quantizer")


@dataclass(frozen=True)
class CompressRequest:
    """What a user asks for.

    Attributes:
        recipe: The file.
        out: Where to write; None for the recipe's, or build/<recipe's stem>.
        board: In place of the recipe's; None for that.
        device: Build and run every stage; None for what the recipe says.
        fresh: Forget what earlier runs did.
        board_folders: Of the user's own boards.
    """

    recipe: Path
    out: Path | None = None
    board: str | None = None
    device: bool | None = None
    fresh: bool = False
    board_folders: tuple[Path, ...] = ()


def run(
    request: CompressRequest, say: Callable[[str], None] = lambda text: None
) -> tuple[c.Compression, Path]:
    """Does every step that is not done yet.

    Args:
        request: What to do.
        say: Told what is going on, in short lines.

    Returns:
        All figures, and the folder where they and the files are.

    Raises:
        InputError: The recipe, the model or the data were rejected.
        RequestError: A package is missing, a training failed, memory ran out.
    """
    found = recipe.read(request.recipe)
    named = Path(found.out) if found.out else Path("build") / request.recipe.stem
    folder = request.out or (request.recipe.parent / named if found.out else named)
    tf_keras()  # what is missing is said before anything is written
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        with lock:
            for left in folder.glob(".*.tmp"):
                shutil.rmtree(left, ignore_errors=True)
            return _Run(request, found, folder, say).all(), folder
    except Timeout as error:
        raise RequestError(
            f"another tinydeploy compress works in {folder}", "wait for it, or give --out DIR"
        ) from error
    except OSError as error:
        raise RequestError(
            f"cannot write {folder}: {error.strerror or error}", "choose another folder: --out DIR"
        ) from error
    except MemoryError as error:
        raise RequestError("memory ran out", "a smaller batch_size in the recipe") from error


class _Run:
    """One recipe in one folder."""

    def __init__(
        self, request: CompressRequest, found: Recipe, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._request, self._recipe, self._folder, self._say = request, found, folder, say
        self._home = request.recipe.parent
        name = request.board or found.board
        self._board = boards.load(name, request.board_folders) if name else None
        self._device = found.device if request.device is None else request.device
        custom = found.custom_objects
        self._custom = str(self._home / custom) if custom else None
        self._classes: Mapping[str, Any] = {}
        self._data = self._load(found.data)
        self._eval = self._load(found.eval)
        ranges = self._load(found.calibration) if found.calibration else self._data
        self._ranges = subset(ranges, found.calibration_samples)
        self._base = self._base_key()

    def all(self) -> c.Compression:
        if self._custom:
            self._classes = keras.read_custom_objects(self._custom)
        with tf_keras().utils.custom_object_scope(dict(self._classes)):
            stages: list[c.Stage] = []
            names = ["original", *recipe.labels(self._recipe.step)]
            key, before = self._base, None
            for i, (name, step) in enumerate(zip(names, [None, *self._recipe.step], strict=True)):
                key = hash_of({"before": key, "step": self._step_key(step)})
                folder, reused = self._stage(i, name, step, key, before)
                stages.append(self._measured(i, folder, before, name, key, reused=reused))
                self._publish(stages)
                before = folder
            assert before is not None
            write_whole(self._folder / self._result, (before / _INT8).read_bytes())
            return self._publish(stages)

    # ---- One stage --------------------------------------------------------------------------

    def _stage(
        self, i: int, name: str, step: Step | None, key: str, before: Path | None
    ) -> tuple[Path, bool]:
        """The stage's folder, and whether it was there."""
        folder = self._folder / f"{i}-{step.do if step else 'original'}"
        stored = read_json(folder / _STAGE)
        if stored.get("key") == key and not self._request.fresh:
            return folder, True
        started = time.monotonic()
        aside = self._folder / f".{folder.name}.tmp"
        aside.mkdir()
        seed_everything(self._recipe.seed + i)
        self._say(name)
        notes: list[str] = []
        if step is None or before is None:
            model = self._original()
        else:
            model, notes = self._apply(step, i, name, before)
        task = self._task(before or aside, model)
        with native_silence():
            model.save(aside / _MODEL, include_optimizer=False, save_format="h5")
        write_whole(aside / _INT8, self._to_int8(model, name, i))
        facts = {
            "key": key,
            "task": dataclasses.asdict(task),
            "notes": notes,
            "parameters": parameters(model),
            "float_score": figures.float_score(model, self._eval, task),
            "eval": self._eval_key(),
            "duration_s": round(time.monotonic() - started, 3),
        }
        write_whole(aside / _STAGE, json.dumps(facts, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
        return folder, False

    def _original(self) -> Any:
        path = self._home / self._recipe.model
        return to_keras2(keras.load(path, self._custom), self._classes)

    def _apply(self, step: Step, i: int, name: str, before: Path) -> tuple[Any, list[str]]:
        """What a step makes of the model of the stage before it, and notes."""
        model = _load_float(before)
        sparse, clustered = self._kept(i)
        task = self._task(before, model)
        training = settings(
            self._recipe,
            step,
            self._data,
            task,
            self._recipe.seed + i,
            lambda done, total: self._say(f"{name}: epoch {done} of {total}"),
        )
        if step.do == "filters":
            return filters.run(model, step, training)
        if step.do == "prune":
            return prune.run(model, step, training)
        if step.do == "cluster":
            return cluster.run(model, step, training, sparse=sparse)
        if step.do == "qat":
            return qat.run(model, training, sparse=sparse, clustered=clustered)
        if step.do == "distill":
            return self._distill(step, training, model, sparse=sparse, clustered=clustered)
        fit(model, training, [keeps_zeros(model)] if sparse else [])
        return model, []

    def _distill(
        self, step: Step, training: Training, model: Any, *, sparse: bool, clustered: bool
    ) -> tuple[Any, list[str]]:
        assert step.teacher is not None
        path = self._home / step.teacher
        teacher = to_keras2(keras.load(path, self._custom), self._classes)
        callbacks = []
        if step.quantizes:
            model = qat.quantized(model, sparse=sparse, clustered=clustered)
            qat.settle(model, training)
        elif sparse:
            callbacks = [keeps_zeros(model)]
        return model, distill.run(model, teacher, step, training, callbacks)

    def _kept(self, i: int) -> tuple[bool, bool]:
        """Whether steps before step `i` have zeroed weights, and let them share values."""
        did = {earlier.do for earlier in self._recipe.step[: i - 1]}
        return "prune" in did, "cluster" in did

    def _task(self, folder: Path, model: Any) -> Task:
        """As it was found for the original: quantisers hide the last layer."""
        stored = read_json(folder / _STAGE).get("task")
        if stored:
            return Task(**{**stored, "shape": tuple(stored["shape"])})
        return find_task(model, self._data, self._recipe.loss)

    # ---- int8 -------------------------------------------------------------------------------

    def _to_int8(self, model: Any, name: str, i: int) -> bytes:
        """The finished `.tflite`: by what was learned, or quantised after training."""
        steps = self._recipe.step[:i]
        found = self._recipe
        metadata = provenance(
            " > ".join(recipe.labels(found.step)[:i]) or "original",
            digest(self._home / found.model),
            data=str(self._home / (found.calibration or found.data)),
            transform=found.transform,
            labels=self._data.label_names,
            packages=_PACKAGES,
        )
        if steps and steps[-1].quantizes:
            return finish(qat.to_int8(model, name, _Samples(self, model)), metadata, label=name)
        content = keras.to_tflite(model, name)
        ranges = calibrate.calibrate(content, self._ranges)
        # A scale for each channel would tear the shared values apart.
        clustered = any(step.do == "cluster" for step in steps)
        made = ptq.quantize(content, ranges, ptq.Scheme(per_channel=not clustered))
        return finish(made, metadata, label=name)

    def calibration(self, model: Any) -> Iterator[list[Any]]:
        """Inputs with batch 1, as TensorFlow's converter wants them."""
        names = [str(n) for n in model.input_names]
        arrange = arranger(self._ranges, names, [(1, *t.shape[1:]) for t in model.inputs])
        for sample in self._ranges:
            yield [value.astype("float32") for value in arrange(sample)]

    # ---- Figures ----------------------------------------------------------------------------

    def _measured(
        self, i: int, folder: Path, before: Path | None, name: str, key: str, *, reused: bool
    ) -> c.Stage:
        """The stage with its figures; measured again where board or evaluation data changed."""
        step = self._recipe.step[i - 1] if i else None
        facts = read_json(folder / _STAGE)
        board = self._board.name if self._board else None
        wanted = hash_of({"key": key, "eval": self._eval_key(), "board": board, "on": self._device})
        stored = read_json(folder / _FIGURES)
        path = folder / _INT8
        if stored.get("key") != wanted:
            self._say(f"{name}: measuring")
            if facts["eval"] != self._eval_key():
                facts["float_score"] = self._score_again(i, folder, before)
            stored = {"key": wanted, "figures": self._figures(facts, path, name)}
            write_whole(folder / _FIGURES, json.dumps(stored, indent=1))
        values = {**stored["figures"], "notes": tuple(stored["figures"]["notes"])}
        return c.Stage(
            name=name,
            do=step.do if step else "",
            tflite=path.relative_to(self._folder).as_posix(),
            sha256=digest(path),
            duration_s=facts["duration_s"],
            reused=reused,
            figures=c.Figures(**values),
        )

    def _score_again(self, i: int, folder: Path, before: Path | None) -> float:
        """The network's score on evaluation data that its stage has not seen."""
        if before is not None and self._recipe.step[i - 1].quantizes:
            # Its file does not load by itself: the quantisers are put on again.
            sparse, clustered = self._kept(i)
            model = qat.quantized(_load_float(before), sparse=sparse, clustered=clustered)
            model.load_weights(folder / _MODEL)
        else:
            model = _load_float(folder)
        return figures.float_score(model, self._eval, self._task(folder, model))

    def _figures(self, facts: Mapping[str, Any], path: Path, name: str) -> dict[str, Any]:
        task = Task(**{**facts["task"], "shape": tuple(facts["task"]["shape"])})
        costs = figures.costs(
            path,
            self._board,
            self._request.board_folders,
            device=self._device,
            line=lambda text: self._say(f"{name}: {text}"),
        )
        costs["notes"] = [*facts["notes"], *costs["notes"]]
        subject = open_subject(path)
        return {
            "float_score": facts["float_score"],
            "int8_score": figures.int8_score(subject, self._eval, task),
            "parameters": facts["parameters"],
            **costs,
        }

    def _publish(self, stages: Sequence[c.Stage]) -> c.Compression:
        task = read_json(self._folder / stages[0].tflite.partition("/")[0] / _STAGE)["task"]
        subject = open_subject(self._folder / stages[-1].tflite)
        made = c.Compression(
            tool=Tool("tinydeploy", __version__),
            recipe=str(self._request.recipe),
            model=self._recipe.model,
            metric="mse" if task["kind"] == "mse" else "accuracy",
            samples=len(self._eval),
            oracle=subject.engine,
            board=self._board.name if self._board else None,
            core=figures.core_of(self._board).name,
            result=self._result,
            complete=len(stages) == len(self._recipe.step) + 1,
            stages=tuple(stages),
        )
        c.write(made, self._folder / JSON)
        return made

    @property
    def _result(self) -> str:
        return f"{Path(self._recipe.model).stem}_int8.tflite"

    # ---- What a stage depends on ------------------------------------------------------------

    def _load(self, spec: str) -> Dataset:
        path = str(self._home / spec)
        r = self._recipe
        return load(path, transform=r.transform, label=r.label, columns=r.columns)

    def _base_key(self) -> str:
        r = self._recipe
        files = [r.model, r.data, r.calibration or r.data]
        files += [r.custom_objects] if r.custom_objects else []
        return hash_of(
            {
                "files": [digest(self._home / f) for f in files],
                "reading": [r.transform, r.label, r.columns, r.calibration_samples],
                "versions": [__version__, *map(importlib.metadata.version, _PACKAGES)],
            }
        )

    def _step_key(self, step: Step | None) -> Any:
        if step is None:
            return None
        r = self._recipe
        general = (r.seed, r.epochs, r.batch_size, r.optimizer, r.learning_rate, r.decay, r.loss)
        own = {k: v for k, v in plain(step).items() if k != "name" and v is not None}
        teacher = digest(self._home / step.teacher) if step.teacher else None
        return [general, r.shuffle, own, teacher]

    def _eval_key(self) -> str:
        r = self._recipe
        return hash_of([digest(self._home / r.eval), r.transform, r.label, r.columns])


class _Samples:
    """Calibration samples that can be gone through again."""

    def __init__(self, run_: _Run, model: Any) -> None:
        self._run, self._model = run_, model

    def __iter__(self) -> Iterator[list[Any]]:
        return self._run.calibration(self._model)


def _load_float(folder: Path) -> Any:
    """A stage's model, where it is a float one."""
    return tf_keras().models.load_model(folder / _MODEL, compile=False)
