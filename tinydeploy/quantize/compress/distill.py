"""Knowledge distillation: a teacher's answers, and its features, train a smaller network.

Source:
    G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network (2015);
    A. Romero et al., FitNets: hints for thin deep nets (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from ..frameworks import tensorflow, tf_keras
from .recipe import Step
from .training import Task, Training, fit, last_activation

_SMALL = 1e-7


def run(
    student: Any, teacher: Any, step: Step, training: Training, callbacks: list[Any]
) -> list[str]:
    """Trains `student` in place (with quantisers or without); returns notes.

    Args:
        teacher: A Keras 2 model with the same inputs and the same classes.

    Raises:
        InputError: The two do not fit each other.
    """
    _check(student, teacher)
    features = dict(step.features or {})
    pairs = [
        (_output_of(student, mine, step), _output_of(teacher, theirs, step))
        for mine, theirs in features.items()
    ]
    projections = _projections(pairs, features)
    model = _distiller(student, teacher, step, training.task, pairs, projections)
    fit(model, training, callbacks)
    return [f"taught by {teacher.name}, {teacher.count_params():,} parameters"]


def _distiller(
    student: Any,
    teacher: Any,
    step: Step,
    task: Task,
    pairs: list[tuple[Any, Any]],
    projections: list[Any],
) -> Any:
    """A model whose training step compares the student with labels, teacher and features."""
    tf, keras2 = tensorflow(), tf_keras()
    temperature = step.temperature or 2.0
    share = 0.5 if step.weight is None else step.weight
    hint = 0.1 if step.feature_weight is None else step.feature_weight
    watched = keras2.Model(student.inputs, [student.output, *(mine for mine, _ in pairs)])
    shown = keras2.Model(teacher.inputs, [teacher.output, *(theirs for _, theirs in pairs)])
    shown.trainable = False
    taught_logits = last_activation(teacher) not in ("softmax", "sigmoid")

    class Distiller(keras2.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(inputs=student.inputs, outputs=student.outputs, name=student.name)
            self.projections = projections

        def train_step(self, data: Any) -> Any:
            values, labels = data
            taught, *their_features = _list(shown(values, training=False))
            with tf.GradientTape() as tape:
                answer, *my_features = _list(watched(values, training=True))
                loss = (1 - share) * self.compiled_loss(
                    labels, answer, regularization_losses=self.losses
                )
                loss += share * _softened(
                    answer, taught, task, temperature, taught_logits=taught_logits
                )
                for project, mine, theirs in zip(
                    projections, my_features, their_features, strict=True
                ):
                    loss += hint * tf.reduce_mean(tf.square(project(mine) - theirs))
            weights = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    return Distiller()


def _softened(
    answer: Any, taught: Any, task: Task, temperature: float, *, taught_logits: bool
) -> Any:
    """How far the student's softened answer is from the teacher's."""
    tf = tensorflow()
    if task.kind == "mse":
        return tf.reduce_mean(tf.square(answer - taught))
    if task.kind == "crossentropy":
        # Up to a constant that the softmax takes away, a probability's logarithm is its logit.
        mine = _log(answer, task.from_logits) / temperature
        theirs = tf.nn.softmax(_log(taught, taught_logits) / temperature)
        distance = tf.nn.softmax_cross_entropy_with_logits(theirs, mine)
    else:
        mine = _logit(answer, task.from_logits) / temperature
        theirs = tf.sigmoid(_logit(taught, taught_logits) / temperature)
        distance = tf.nn.sigmoid_cross_entropy_with_logits(theirs, mine)
    return tf.reduce_mean(distance) * temperature**2


def _log(value: Any, is_logit: bool) -> Any:
    tf = tensorflow()
    return value if is_logit else tf.math.log(tf.clip_by_value(value, _SMALL, 1.0))


def _logit(value: Any, is_logit: bool) -> Any:
    tf = tensorflow()
    if is_logit:
        return value
    clipped = tf.clip_by_value(value, _SMALL, 1 - _SMALL)
    return tf.math.log(clipped) - tf.math.log1p(-clipped)


def _projections(pairs: list[tuple[Any, Any]], features: Mapping[str, str]) -> list[Any]:
    """What makes each of the student's features as wide as the teacher's; thrown away later."""
    keras2 = tf_keras()
    made = []
    for (mine, theirs), (my_name, their_name) in zip(pairs, features.items(), strict=True):
        if tuple(mine.shape[1:-1]) != tuple(theirs.shape[1:-1]):
            raise InputError(
                f"features: {my_name!r} of the student is {list(mine.shape[1:])}, {their_name!r} "
                f"of the teacher {list(theirs.shape[1:])}; only the channels may differ",
                "choose layers at the same place of both networks",
            )
        layer = keras2.layers.Dense(int(theirs.shape[-1]), use_bias=False)
        layer.build(mine.shape)
        made.append(layer)
    return made


def _output_of(model: Any, name: str, step: Step) -> Any:
    """A layer's output; quantisers put "quant_" in front of its name."""
    layers = {layer.name: layer for layer in model.layers}
    layer = layers.get(name) or layers.get(f"quant_{name}")
    if layer is None:
        known = ", ".join(n.removeprefix("quant_") for n in layers)
        raise InputError(f"the {step.do} step's features name {name!r}, no layer of {model.name}",
                         f"its layers: {known[:300]}")  # fmt: skip
    return layer.output


def _check(student: Any, teacher: Any) -> None:
    for what in ("inputs", "outputs"):
        mine = [list(t.shape[1:]) for t in getattr(student, what)]
        theirs = [list(t.shape[1:]) for t in getattr(teacher, what)]
        if mine != theirs:
            raise InputError(
                f"the teacher's {what} are {theirs}, the student's {mine}",
                "a teacher knows the same classes from the same inputs",
            )


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
