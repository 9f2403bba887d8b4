"""Blending: how the members' predictions become one.

To add a method, add an entry to `METHODS`.
"""

import inspect
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from podium.config.ensemble import Ensemble
from podium.core.errors import UserError
from podium.core.provenance import Averaging
from podium.core.validation import Problem
from podium.scoring import metrics
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import new_class
from podium.submission.methods import greedy, rank, stack, temperature
from podium.submission.methods.base import Blend, Examples, Fitted, Method
from podium.submission.methods.weighted import equal_weights, fit_weights

# Takes the members' logits [M, N, C], the targets as `Task.targets` returns them, and how the
# members are averaged. Returns weights [M], none negative, whose sum is 1.
FindWeights = Callable[[Task, np.ndarray, np.ndarray, Averaging], np.ndarray]

METHODS: dict[str, FindWeights | Method] = {
    "mean": equal_weights,
    "weighted": fit_weights,
    "rank": rank.METHOD,
    "greedy": greedy.METHOD,
    "stack": stack.LINEAR,
    "stack_lightgbm": stack.LIGHTGBM,
}


def problems(options: Ensemble, metric: Metric) -> Iterator[Problem]:
    """The settings that do not suit the metric: their keys, and why."""
    if text := _method(options.method).problem(metric):
        others = [name for name in METHODS if not _method(name).problem(metric)]
        yield (
            "ensemble.method",
            f"{options.method} {text} Choose from {', '.join(others)}, or another metric.",
        )
    if metric.targets is not None:
        yield from _problems_of_targets(options)
    if options.stack_metadata and not _method(options.method).takes_metadata:
        others = [name for name in METHODS if _method(name).takes_metadata]
        yield "ensemble.stack_metadata", f"requires method: {' or '.join(others)}."
    if options.temperature == "fitted" and _method(options.method).fits_scale:
        yield (
            "ensemble.temperature",
            f"none is what {options.method} needs: it fits the scale itself.",
        )
    user_defined = metric.sha256 is not None and metric.inputs == "probabilities"
    is_log_loss = metrics.family(metric.name) == "log_loss"
    fits_log_loss = is_log_loss or user_defined or metric.targets is not None  # see above
    if options.temperature == "fitted" and not fits_log_loss:
        yield (
            "ensemble.temperature",
            f"fitted minimizes the log loss, which {metric.name} does not measure. Use none, or "
            "the metric log_loss or a user-defined one of probabilities.",
        )


def _problems_of_targets(options: Ensemble) -> Iterator[Problem]:
    if not _method(options.method).takes_targets:
        others = [name for name in METHODS if _method(name).takes_targets]
        text = (
            f"{options.method} does not support several targets. Choose from {', '.join(others)}."
        )
        yield "ensemble.method", text
    if options.aggregate == "max":
        yield "ensemble.aggregate", "max does not support several targets. Use mean."
    if options.temperature == "fitted":
        yield "ensemble.temperature", "fitted does not support several targets. Use none."


def fit(method: str, examples: Examples) -> Blend:
    """Fit the blending method `method`.

    Raises:
        UserError: if the method does not take these arguments, or does not return one weight per
            member, non-negative, with the sum 1.
    """
    members = len(examples.logits)
    fitted = _method(method).fit(  # which may change its own
        examples._replace(logits=examples.logits.copy(), targets=examples.targets.copy())
    )
    weights = np.asarray(fitted.weights, np.float64)
    is_valid = weights.shape == (members,) and (weights >= 0).all()
    if not (is_valid and np.isclose(weights.sum(), 1)):
        raise UserError(
            f"ensemble.method: {method} returned the weights {weights.tolist()} for {members} "
            "members. Return one non-negative weight per member, with the sum 1."
        )
    arrays = {name: array.tolist() for name, array in fitted.arrays.items()}
    return Blend(method, examples.averaging, weights.tolist(), arrays)


def scale(blend: Blend, examples: Examples) -> Blend:
    """Add the temperature with the lowest log loss on the examples."""
    blended = apply(examples.task, blend, examples.logits, examples.metadata)
    return blend._replace(temperature=temperature.fit(examples, blended))


def unfitted(method: str, examples: Examples) -> Blend:
    """What `method` gives if no targets are known: a method that needs them, a plain mean."""
    return fit("mean" if _method(method).needs_targets else method, examples)


def apply(
    task: Task, blend: Blend, logits: np.ndarray, metadata: pd.DataFrame | None = None
) -> np.ndarray:
    """Blend the members' logits [M, N, C]: float32 [N, C], or [N, C + 1] with the new class.
    `task`: the members', without the new class. `metadata`: the images' rows, if the blend
    was fitted to metadata.
    """
    method = _method(blend.method)
    more = [metadata] if method.takes_metadata else []
    blended = method.apply(task, blend, logits, *more)
    if blend.temperature != 1:
        blended = (blended / blend.temperature).astype(np.float32)
    if blend.new_class_threshold is None:
        return blended
    return new_class.append(blended, blend.new_class_threshold)


def members_task(task: Task, blend: Blend) -> Task:
    """The members' task: without the new class, which `task` has if `blend` adds it."""
    if blend.new_class_threshold is None:
        return task
    return task._replace(classes=task.classes[:-1])


def _method(name: str) -> Method:
    """The entry of `METHODS`; a function that returns weights becomes a method."""
    entry = METHODS[name]
    return entry if isinstance(entry, Method) else _with_weights(name, entry)


def _with_weights(name: str, function: FindWeights) -> Method:
    def fit_function(examples: Examples) -> Fitted:
        arguments = (examples.task, examples.logits, examples.targets, examples.averaging)
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise UserError(
                f"ensemble.method: {name} cannot be called with task, logits, targets and "
                f"averaging ({error}). Give it these four parameters."
            ) from None
        return Fitted(function(*arguments), {})

    return Method(fit_function)
