"""Training a Keras 2 model on a `Dataset`: batches, loss, seeds. One seed, one result."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...errors import InputError, RequestError
from ...graph import Array
from ..data import Dataset, Sample, arranger, batches, subset
from ..frameworks import first_line, out_of_memory, tensorflow, tf_keras
from .recipe import Recipe, Step

Kind = Literal["crossentropy", "binary_crossentropy", "mse"]


@dataclass(frozen=True)
class Task:
    """What the network is trained for.

    Attributes:
        kind: Classes, yes or no, or values.
        from_logits: Whether the network ends before its softmax or sigmoid.
        shape: Of the output, without the batch.
        reconstructs: The label is the input itself.
    """

    kind: Kind
    from_logits: bool
    shape: tuple[int, ...]
    reconstructs: bool = False

    @property
    def metric(self) -> str:
        return "mse" if self.kind == "mse" else "accuracy"


@dataclass(frozen=True, eq=False)
class Training:
    """How one step trains."""

    data: Dataset
    task: Task
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    decay: str
    shuffle: int
    seed: int
    progress: Callable[[int, int], None] = lambda done, total: None

    @property
    def steps(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-len(self.data) // self.batch_size)


def settings(
    recipe: Recipe,
    step: Step,
    data: Dataset,
    task: Task,
    seed: int,
    progress: Callable[[int, int], None],
) -> Training:
    """The recipe's settings with the step's own in front."""
    return Training(
        data=data,
        task=task,
        epochs=recipe.epochs if step.epochs is None else step.epochs,
        batch_size=step.batch_size or recipe.batch_size,
        optimizer=step.optimizer or recipe.optimizer,
        learning_rate=step.learning_rate or recipe.learning_rate,
        decay=step.decay or recipe.decay,
        shuffle=recipe.shuffle,
        seed=seed,
        progress=progress,
    )


def seed_everything(seed: int) -> None:
    """Makes all that follows depend on `seed` alone."""
    tf = tensorflow()
    tf.config.experimental.enable_op_determinism()
    tf_keras().backend.clear_session()  # layer names begin anew
    tf_keras().utils.set_random_seed(seed)


def find_task(model: Any, data: Dataset, loss: str) -> Task:
    """What to train for, by the labels and the network's last layer.

    Raises:
        InputError: The labels do not fit the network's output.
    """
    if len(model.outputs) != 1:
        raise InputError(
            f"{model.name} has {len(model.outputs)} outputs; one can be trained here",
            "compress a model that ends in the output that matters",
        )
    shape = tuple(int(d) for d in model.outputs[0].shape[1:])
    size = int(np.prod(shape))
    first = next(iter(data))
    end = last_activation(model)
    kind = _kind(first, size, end) if loss == "auto" else loss
    if first.label is None and kind != "mse":  # of the recipe
        raise InputError(f"the data have no labels, and the loss is {kind}", "loss = 'mse'")
    if first.label is None and np.size(first.inputs[0]) != size:
        raise InputError(
            f"the data have no labels, and {model.name} does not give back its input: "
            f"{np.size(first.inputs[0])} values in, {size} out",
            "give labels: an array named 'labels' in the .npz",
        )
    logits = end not in ("softmax", "sigmoid")
    return Task(kind, logits, shape, first.label is None)  # type: ignore[arg-type]


def _kind(first: Sample, size: int, end: str) -> Kind:
    if first.label is None:
        return "mse"
    if np.size(first.label) == 1 and float(np.asarray(first.label).reshape(-1)[0]).is_integer():
        if size > 1:
            return "crossentropy"
        return "binary_crossentropy" if end == "sigmoid" else "mse"
    return {"softmax": "crossentropy", "sigmoid": "binary_crossentropy"}.get(end, "mse")  # type: ignore[return-value]


def last_activation(model: Any) -> str:
    """The name of the function that the output comes out of, "" where there is none."""
    layer = model.outputs[0]._keras_history.layer
    if type(layer).__name__ == "Softmax":
        return "softmax"
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def fit(model: Any, training: Training, callbacks: Sequence[Any] = ()) -> None:
    """Trains `model` in place; it may bring a `train_step` of its own.

    Raises:
        InputError: A sample does not fit the network, or the training diverged.
        RequestError: Memory ran out.
    """
    if training.epochs == 0:
        return
    keras2 = tf_keras()
    kind = training.task.kind
    if kind == "crossentropy":
        loss = keras2.losses.CategoricalCrossentropy(from_logits=training.task.from_logits)
    elif kind == "binary_crossentropy":
        loss = keras2.losses.BinaryCrossentropy(from_logits=training.task.from_logits)
    else:
        loss = keras2.losses.MeanSquaredError()
    model.compile(optimizer=_optimizer(training), loss=loss)
    total = training.epochs
    told = keras2.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: training.progress(epoch + 1, total)
    )
    watch = keras2.callbacks.TerminateOnNaN()
    refused: list[InputError] = []
    stream = _stream(model, training, refused)
    try:
        model.fit(
            stream,
            epochs=total,
            steps_per_epoch=training.steps,
            verbose=0,
            callbacks=[*callbacks, told, watch],
        )
    except Exception as error:
        if refused:  # TensorFlow wraps it in an error of its own
            raise refused[0] from error
        if out_of_memory(error):
            raise RequestError(
                f"memory ran out while training {model.name} with batches of {training.batch_size}",
                f"batch_size = {max(1, training.batch_size // 2)} in the recipe",
            ) from error
        raise RequestError(f"training {model.name} failed: {first_line(error)}") from error
    if not all(np.isfinite(np.asarray(w)).all() for w in model.trainable_weights):
        raise RequestError(
            f"training {model.name} diverged: weights became NaN",
            f"learning_rate = {training.learning_rate / 10:g} in the recipe",
        )


def predict(model: Any, data: Dataset, batch_size: int = 64) -> Iterator[tuple[Array, Sample]]:
    """The float model's answer to each sample, without the batch."""
    arrange = _arranger(model, data)
    waiting: list[Sample] = []

    def answers() -> Iterator[tuple[Array, Sample]]:
        columns = zip(*(arrange(s) for s in waiting), strict=True)
        values = [np.concatenate(column).astype(np.float32) for column in columns]
        outputs = model(values if len(values) > 1 else values[0], training=False)
        yield from zip(np.asarray(outputs), waiting, strict=True)

    for sample in data:
        waiting.append(sample)
        if len(waiting) == batch_size:
            yield from answers()
            waiting.clear()
    if waiting:
        yield from answers()


def first_batches(model: Any, training: Training, count: int) -> Iterator[Any]:
    """Inputs of at most `count` batches spread over the training data, as the model takes them."""
    arrange = _arranger(model, training.data)
    spread = subset(training.data, count * training.batch_size)
    for batch in batches(spread, training.batch_size):
        yield _stacked(batch, arrange, training.task)[0]


def target(sample: Sample, task: Task) -> Array:
    """What the network should answer: float32 of the output's shape."""
    if task.reconstructs:
        return np.asarray(sample.inputs[0], np.float32).reshape(task.shape)
    size = int(np.prod(task.shape))
    value = np.asarray(sample.label, np.float32)
    if task.kind == "crossentropy" and size > 1 == value.size:
        number = float(value.reshape(-1)[0])
        if number not in range(size):
            raise InputError(f"a label is {number:g}; the network has classes 0 to {size - 1}")
        found = np.zeros(size, np.float32)
        found[int(number)] = 1
        return found.reshape(task.shape)
    if value.size != size:
        raise InputError(f"a label has {value.size} values; the network's output has {size}")
    return value.reshape(task.shape)


def chosen(model: Any, step: Step, kinds: Sequence[str]) -> list[Any]:
    """The layers of these classes that a step changes: all, or those of its patterns.

    Raises:
        InputError: A pattern names no layer, or nothing is left to change.
    """
    suited = [layer for layer in model.layers if type(layer).__name__ in kinds]
    for key in ("layers", "skip"):
        for pattern in getattr(step, key) or ():
            if not any(fnmatch.fnmatch(layer.name, pattern) for layer in model.layers):
                raise InputError(
                    f"the {step.do} step's {key} names {pattern!r}, which is no layer of "
                    f"{model.name}",
                    f"those that it can change: {', '.join(layer.name for layer in suited)}",
                )
    for pattern in step.layers or ():
        named = [la for la in model.layers if la.name == pattern]
        if named and named[0] not in suited:
            raise InputError(
                f"the {step.do} step cannot change layer {pattern!r} ({type(named[0]).__name__})",
                f"it can change {', '.join(kinds)}",
            )
    found = [
        layer
        for layer in suited
        if any(fnmatch.fnmatch(layer.name, p) for p in step.layers or ("*",))
        and not any(fnmatch.fnmatch(layer.name, p) for p in step.skip or ())
    ]
    if not found:
        raise InputError(
            f"the {step.do} step has no layer of {model.name} to change",
            f"it can change {', '.join(kinds)}",
        )
    return found


def duplicate(model: Any) -> Any:
    """A copy with the same weights."""
    made = tf_keras().models.clone_model(model)
    made.set_weights(model.get_weights())
    return made


def keeps_zeros(model: Any) -> Any:
    """A callback that holds every kernel's zeros at zero."""
    keras2 = tf_keras()
    masks = [
        (v, np.asarray(v) != 0)
        for v in model.trainable_weights
        if len(v.shape) > 1 and (np.asarray(v) == 0).any()
    ]

    def restore(batch: int, logs: Any) -> None:  # noqa: ARG001
        for variable, mask in masks:
            variable.assign(variable * mask)

    return keras2.callbacks.LambdaCallback(on_train_batch_end=restore)


def _optimizer(training: Training) -> Any:
    keras2 = tf_keras()
    rate: Any = training.learning_rate
    if training.decay == "cosine":
        steps = max(1, training.steps * training.epochs)
        rate = keras2.optimizers.schedules.CosineDecay(rate, steps)
    kinds = {"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}
    options = {"momentum": 0.9} if training.optimizer == "sgd" else {}
    return getattr(keras2.optimizers, kinds[training.optimizer])(rate, **options)


def _arranger(model: Any, data: Dataset) -> Callable[[Sample], tuple[Array, ...]]:
    names = [str(n) for n in getattr(model, "input_names", None) or data.names]
    return arranger(data, names, [(1, *t.shape[1:]) for t in model.inputs])


def _stream(model: Any, training: Training, refused: list[InputError]) -> Any:
    """Shuffled batches without end, as tf.data; a sample that is wrong goes to `refused` too."""
    tf = tensorflow()
    arrange = _arranger(model, training.data)
    task = training.task
    rng = np.random.default_rng(training.seed)

    def endless() -> Iterator[Any]:
        while True:
            batch: list[Sample] = []
            for sample in _shuffled(training.data, training.shuffle, rng):
                batch.append(sample)
                if len(batch) == training.batch_size:
                    yield _stacked(batch, arrange, task)
                    batch = []
            if batch:
                yield _stacked(batch, arrange, task)

    def generate() -> Iterator[Any]:
        try:
            yield from endless()
        except InputError as error:
            refused.append(error)
            raise

    inputs = tuple(tf.TensorSpec((None, *t.shape[1:]), tf.float32) for t in model.inputs)
    signature = (
        inputs if len(inputs) > 1 else inputs[0],
        tf.TensorSpec((None, *task.shape), tf.float32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def _stacked(
    batch: list[Sample], arrange: Callable[[Sample], tuple[Array, ...]], task: Task
) -> tuple[Any, Array]:
    columns = zip(*(arrange(sample) for sample in batch), strict=True)
    inputs = tuple(np.concatenate(column).astype(np.float32) for column in columns)
    targets = np.stack([target(sample, task) for sample in batch])
    if not all(np.isfinite(value).all() for value in (*inputs, targets)):
        raise InputError("the training data hold NaN or infinite numbers", "clean them first")
    return (inputs if len(inputs) > 1 else inputs[0]), targets


def _shuffled(data: Dataset, buffer: int, rng: np.random.Generator) -> Iterator[Sample]:
    """The samples in another order; no more than `buffer` are held."""
    pool: list[Sample] = []
    for sample in data:
        if len(pool) < buffer:
            pool.append(sample)
            continue
        place = int(rng.integers(buffer))
        yield pool[place]
        pool[place] = sample
    for i in rng.permutation(len(pool)):
        yield pool[i]
