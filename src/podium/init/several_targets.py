"""Several targets: the task of each label column, the values that mean "no label", the metric."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from podium.competition.text.names import normalize
from podium.config.tasks import TargetTask, TaskName
from podium.core.errors import UserError, examples
from podium.dataset.labels import flags
from podium.init import columns, goal
from podium.init import sample as samples
from podium.init.guesses import Confidence, Guess, one_of, to_text
from podium.init.recorder import Recorder
from podium.init.sample import Sample, are_numbers
from podium.scoring import metrics, target_metrics

NO_LABEL_NAMES = {
    "?", "ambiguous", "missing", "n/a", "na", "nan", "no label", "not available", "not labeled",
    "not sure", "null", "skip", "skipped", "undefined", "unknown", "unlabeled", "unlabelled",
    "unsure",
}  # fmt: skip
MIN_IMAGES_PER_CLASS = 2  # on average, for integers to be classes

KINDS: dict[str, TargetTask] = {task: task for task in get_args(TargetTask)}
Tasks = dict[str, TargetTask]


def tasks_of(
    labels: pd.DataFrame, sample: Sample | None, given: str | None, columns: Any
) -> tuple[Tasks, Confidence] | None:
    """The task of each label column; None if the columns are not several targets of their own, but
    one per class, or numbers. `given`: the user's answer to what the task is; `columns`: the label
    columns, which the user may have given with their tasks.
    """
    if isinstance(columns, dict):
        return columns, "certain"
    if labels.shape[1] < 2 or (given is not None and given != "multitarget"):
        return None
    cells = {str(name): _values(labels[name]) for name in labels}
    has_text = any(not are_numbers(values) for values in cells.values())
    has_flags = flags(labels).notna()
    if given is None and (has_flags.all(axis=None) or (has_text and has_flags.any().all())):
        return None  # one column per class, perhaps with a few other cells
    if given is None and not has_text and not _are_indices(cells, len(labels), sample):
        return None
    tasks, is_sure = Tasks(), has_text
    for name in cells:
        own = None if sample is None else sample.of(name)
        task, confidence, _, _ = goal.from_labels(labels[name], own, from_paths=False, per_image=1)
        tasks[name] = KINDS.get(task, "multiclass")
        is_sure = is_sure and confidence == "certain"
    return tasks, "certain" if is_sure else "likely" if has_text else "guess"


def read(
    record: Recorder, labels: pd.DataFrame, sample: Sample | None, tasks: Tasks, sure: Confidence
) -> None:
    """Record the task, the task of each column, missing labels, the metric and the format."""
    shown = [f"{name} ({_describe(task, labels[name])})" for name, task in tasks.items()]
    reason = f"a target per column: {examples(shown)}"
    others = () if sure == "certain" else ("regression", "multilabel")
    parse = one_of(get_args(TaskName), what="task")
    record.take(Guess("task", "multitarget", sure, reason, others, parse))
    columns_guess = record.layout.guess("prepare.label_column")
    record.revise("prepare.label_column", tasks, columns_guess.reason, columns_guess.confidence)
    record.take(_guess_no_label(labels, tasks, sample))
    _read_variants(record, labels, tasks, sample)
    record.take(_guess_metric(tasks))
    record.take(_guess_format(labels, tasks, sample, record.layout.metric))


def clear_missing(labels: pd.DataFrame, prepare: Mapping[str, Any]) -> pd.DataFrame:
    """The label columns with empty cells for the values in `prepare.no_label`."""
    missing: Mapping[str, list[str]] = prepare.get("no_label", {})
    return labels.assign(
        **{
            name: labels[name].mask(labels[name].isin(values), "")
            for name, values in missing.items()
        }
    )


def _values(column: pd.Series) -> list[str]:
    return [cell for cell in column.str.strip().unique() if cell]


def _are_indices(cells: Mapping[str, Sequence[str]], count: int, sample: Sample | None) -> bool:
    """Whether columns of numbers are classes: whole numbers that recur."""
    for name, values in cells.items():
        own = None if sample is None else sample.of(name)
        is_whole = all(float(value).is_integer() for value in values)
        is_rare = MIN_IMAGES_PER_CLASS * len(values) > count
        if not is_whole or is_rare or (own is not None and own.has_fractions):
            return False
    return True


def _describe(task: TargetTask, column: pd.Series) -> str:
    return "a number" if task == "regression" else f"{len(_values(column))} classes"


def _guess_no_label(labels: pd.DataFrame, tasks: Tasks, sample: Sample | None) -> Guess:
    """The values that mean that an image has no label, by their names."""
    found = dict[str, list[str]]()
    for name, task in tasks.items():
        own = None if sample is None else sample.of(name)
        submitted = [] if own is None else own.values
        values = [v for v in _values(labels[name]) if normalize(v) in NO_LABEL_NAMES]
        if task != "regression" and (missing := [v for v in values if v not in submitted]):
            found[name] = missing
    reason = "no value looks like a missing label"
    if found:
        reason = "judging by their names, these are missing labels, not classes"

    def parse(answer: str) -> dict[str, list[str]]:
        return _parse_no_label(answer, labels)

    return Guess("prepare.no_label", found, "guess" if found else "certain", reason, (), parse)


def _parse_no_label(answer: str, labels: pd.DataFrame) -> dict[str, list[str]]:
    values = dict[str, list[str]]()
    for part in answer.split(",") if answer != "none" else []:
        name, _, value = part.strip().partition("=")
        if name not in labels or value not in {*labels[name]}:
            raise UserError(
                f"{part.strip()!r} is not a label column with one of its values. Write them as in "
                f"{labels.columns[0]!s}={labels.iloc[0, 0]!s}, separated by commas, or none."
            )
        values.setdefault(name, []).append(value)
    return values


def _read_variants(
    record: Recorder, labels: pd.DataFrame, tasks: Tasks, sample: Sample | None
) -> None:
    for name, task in tasks.items():
        own = None if sample is None else sample.of(name)
        guess = columns.guess_variants(_values(labels[name]), [] if own is None else own.values)
        if task != "regression" and guess is not None:
            record.take(guess)
            return


def _guess_metric(tasks: Tasks) -> Guess:
    used = {name: target_metrics.DEFAULTS[task] for name, task in tasks.items()}
    are_classes = {*used.values()} == {"accuracy"}
    default = "accuracy" if are_classes else target_metrics.MEAN
    each = f"{target_metrics.MEAN}({to_text(used)})"
    reason = f"the mean of the targets; {each} is the same, for other metrics or weights (2*r2)"

    def parse(answer: str) -> str:
        try:
            metrics.check_name(answer, "multitarget", tasks)
        except ValueError as error:
            raise UserError(str(error)) from None
        return answer

    others = ("balanced_accuracy", "macro_f1") if are_classes else ()
    reason += "; check the competition's evaluation page"
    return Guess("metric", default, "guess", reason, others, parse)


def _guess_format(labels: pd.DataFrame, tasks: Tasks, sample: Sample | None, metric: str) -> Guess:
    """`auto`, unless the sample submission has indices of classes with names."""
    formats = dict[str, Any]()
    scored = target_metrics.parse(metric)
    for name, task in tasks.items():
        used = target_metrics.of_target(scored, name)
        if task != "regression" and sample is not None and used is not None:
            own, classes = sample.of(name), _values(labels[name])
            guess = samples.guess_format(task, used.of(task), own, classes)
            if guess.value != "auto":
                formats[name] = guess.value
    if formats:
        reason = f"the sample submission has {to_text(formats)} in these columns"
        return Guess("submission.format", formats, "likely", reason)
    shown = "no sample submission" if sample is None else "like the sample submission"
    return Guess("submission.format", "auto", "certain", f"{shown}: a column per target")
