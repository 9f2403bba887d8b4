"""Draw the validation images, or ids with several, with the worst predictions."""

import numpy as np
import pandas as pd

from podium.images import channels
from podium.images.sampling import SampleIndex
from podium.scoring import decisions
from podium.scoring.task import Task
from podium.training import loop
from podium.training.build import Components
from podium.training.epochs import Best
from podium.training.state import TrainState

MAX_IMAGES, COLUMNS = 16, 4
MAX_OF_UNIT = 4  # images, in a square
INCHES, MAX_TEXT = 2.4, 34  # per image: side, and characters of a line


def picture(run: Components, state: TrainState, best: Best) -> np.ndarray | None:
    """The images, or units, with the highest loss under the weights `best`, mistakes first, with
    label and prediction: uint8 [H, W, 3]; None without a held-out fold. Replaces the network's
    weights.
    """
    valid = run.loaders.valid
    if valid is None:
        return None
    state.evaluated_model.load_state_dict(best.weights)
    logits = loop.predict(run, state, valid).numpy()
    task, targets, names = run.codec.task, valid.dataset.targets.numpy(), valid.dataset.ids
    if run.units is not None:
        targets, logits = run.units.combine(task, targets, logits, run.codec.loss.averaging)
        names = run.units.images["unit"].tolist()
    rows = pd.Series(range(len(names))).groupby(names, sort=False).agg(list)
    lines, losses = captions(task, targets, task.probabilities(logits))
    worst = np.argsort(-losses, kind="stable")[:MAX_IMAGES].tolist()
    images = [
        _together([valid.dataset.square(SampleIndex(row)) for row in rows.iloc[unit][:MAX_OF_UNIT]])
        for unit in worst
    ]
    return _sheet(images, [f"{rows.index[unit]}\n{lines[unit]}" for unit in worst])


def _together(images: list[np.ndarray]) -> np.ndarray:
    """One image of one, or of two to four: [H, W, C]."""
    if len(images) == 1:
        return images[0]
    images += [np.full_like(images[0], 255)] * (MAX_OF_UNIT - len(images))
    return np.vstack([np.hstack(images[:2]), np.hstack(images[2:])])


def captions(
    task: Task, targets: np.ndarray, predicted: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Label and prediction of each image as text, and its loss [N], increased for mistakes so that
    they come first. `predicted`: probabilities [N, C], or values for regression.
    """
    if task.name == "multitarget":
        texts, losses = _captions_of_targets(task, targets, predicted)
    elif task.name == "regression":
        labels, texts = targets, decisions.to_texts(task, predicted)
        losses = ((predicted - targets) ** 2).mean(axis=1)
    else:
        labels = decisions.labels(task, predicted, decisions.default_rule(task, targets))
        texts = decisions.to_texts(task, labels)
        clipped = predicted.clip(1e-12, 1 - 1e-12)
        if task.name == "multilabel":
            right = np.where(targets > 0, clipped, 1 - clipped)
            losses, wrong = -np.log(right).mean(axis=1), (labels != targets).any(axis=1)
        else:
            rows = np.arange(len(targets))
            losses, wrong = -np.log(clipped[rows, targets]), labels != targets
            texts = [
                f"{text} {p:.2f}" for text, p in zip(texts, predicted[rows, labels], strict=True)
            ]
        losses = losses + 1e3 * wrong
    actual = decisions.to_texts(task, targets)
    lines = [
        f"actual {_short(label)}\npredicted {_short(text)}"
        for label, text in zip(actual, texts, strict=True)
    ]
    return lines, losses


def _captions_of_targets(
    task: Task, targets: np.ndarray, predicted: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """The predicted labels of each image, and the mean loss of those that it has, [N]: of numbers
    relative to their variance.
    """
    texts = decisions.to_texts(task, decisions.labels(task, predicted, decisions.DecisionRule()))
    losses = np.full((len(targets), len(task.parts)), np.nan)
    for part in task.parts:
        rows, own = part.labeled(targets), part.of_labeled(targets)
        _, values = captions(part.task, own, predicted[rows, part.columns])
        is_number = part.task.name == "regression"
        losses[rows, part.position] = values / max(own.var(), 1e-12) if is_number else values
    return texts, np.nanmean(losses, axis=1)


def _short(text: str) -> str:
    text = text or "(none)"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _sheet(images: list[np.ndarray], titles: list[str]) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(images) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * INCHES, rows * (INCHES + 0.5)), layout="constrained")
    for number, (pixels, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        axes.imshow(channels.as_rgb(pixels))
        axes.set_title(title, fontsize=8, parse_math=False)
        axes.axis("off")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
