"""Several targets: the task of each label column, the values that mean "no label", the metric."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from podium.config.tasks import TargetTask, TaskName
from podium.core.errors import UserError, examples
from podium.dataset.labels import flags
from podium.init import columns, goal, missing_labels
from podium.init import sample as samples
from podium.init.guesses import Confidence, Guess, one_of, to_text
from podium.init.missing_labels import distinct
from podium.init.recorder import Recorder
from podium.init.sample import Sample, are_numbers
from podium.scoring import metrics, target_metrics

MIN_IMAGES_PER_CLASS = 2  # on average, for integers to be classes
MAX_SHOWN = 4  # targets
MAX_PARTLY_EMPTY = 0.1  # of the rows, to drop if all columns are numbers: `multitarget` drops none

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
    labels = missing_labels.without_names(labels, sample)
    cells = {str(name): distinct(labels[name]) for name in labels}
    has_text = any(not are_numbers(values) for values in cells.values())
    if sample is not None and sample.classes:
        return dict.fromkeys(cells, "multiclass"), "certain"
    has_flags = flags(labels).notna()
    if given is None and (has_flags.all(axis=None) or (has_text and has_flags.any().all())):
        return None  # one column per class, perhaps with a few other cells
    if given is None and not has_text and not _are_indices(cells, len(labels), sample):
        return _with_missing(labels)
    tasks, is_sure = Tasks(), has_text
    for name in cells:
        own = None if sample is None else sample.of(name)
        task, confidence, _, _ = goal.from_labels(labels[name], own, from_paths=False, per_image=1)
        tasks[name] = KINDS.get(task, "multiclass")
        is_sure = is_sure and confidence == "certain"
    return tasks, "certain" if is_sure else "likely" if has_text else "guess"


def _with_missing(labels: pd.DataFrame) -> tuple[Tasks, Confidence] | None:
    """The tasks of columns of numbers if many rows lack some of them."""
    is_empty = labels == ""
    if (is_empty.any(axis=1) & ~is_empty.all(axis=1)).mean() <= MAX_PARTLY_EMPTY:
        return None
    are_flags = (flags(labels).notna() | is_empty).all()
    kinds = Tasks()
    for name, is_flag in are_flags.items():
        kinds[str(name)] = "binary" if is_flag else "regression"
    return kinds, "guess" if are_flags.any() else "likely"


def read(
    record: Recorder, labels: pd.DataFrame, sample: Sample | None, tasks: Tasks, sure: Confidence
) -> None:
    """Record the task, the task of each column, missing labels, the metric and the format."""
    shown = [f"{name} ({_describe(task, labels[name])})" for name, task in tasks.items()]
    reason = f"a target per column: {examples(shown)}"
    if {*tasks.values()} == {"regression"}:
        known = missing_labels.without_names(labels[[*tasks]], sample)
        lacking = int((known == "").any(axis=1).sum())
        reason = f"{lacking} of {len(labels)} rows lack some of these numbers, but not all"
    others = () if sure == "certain" else ("regression", "multilabel")
    parse = one_of(get_args(TaskName), what="task")
    record.take(Guess("task", "multitarget", sure, reason, others, parse))
    columns_guess = record.layout.guess("prepare.label_column")
    record.revise("prepare.label_column", tasks, columns_guess.reason, columns_guess.confidence)
    record.take(missing_labels.guess(labels, tasks, sample))
    _read_variants(record, labels, tasks, sample)
    record.take(_guess_metric(tasks, sample))
    record.take(_guess_format(labels, tasks, sample, record.layout.metric))


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
    return "a number" if task == "regression" else f"{len(distinct(column))} classes"


def _read_variants(
    record: Recorder, labels: pd.DataFrame, tasks: Tasks, sample: Sample | None
) -> None:
    for name, task in tasks.items():
        own = None if sample is None else sample.of(name)
        guess = columns.guess_variants(distinct(labels[name]), [] if own is None else own.values)
        if task != "regression" and guess is not None:
            record.take(guess)
            return


def _guess_metric(tasks: Tasks, sample: Sample | None) -> Guess:
    submitted = () if sample is None else sample.classes
    has_fractions = sample is not None and any(sample.of(name).has_fractions for name in tasks)
    used = {name: target_metrics.DEFAULTS[task] for name, task in tasks.items()}
    are_classes = {*used.values()} == {"accuracy"}
    default = "accuracy" if are_classes else target_metrics.MEAN
    shown = to_text(dict([*used.items()][:MAX_SHOWN])) + ",…" * (len(used) > MAX_SHOWN)
    each = f"{target_metrics.MEAN}({shown})"
    reason = f"the mean of the targets; {each} is the same, for other metrics or weights (2*r2)"

    def parse(answer: str) -> str:
        try:
            metrics.check_name(answer, "multitarget", tasks)
        except ValueError as error:
            raise UserError(str(error)) from None
        return answer

    others: tuple[str, ...] = ("balanced_accuracy", "macro_f1") if are_classes else ()
    if are_classes and {*tasks.values()} == {"binary"} and has_fractions:
        default, others = "roc_auc", ("log_loss", "accuracy")
    if {*tasks.values()} == {"regression"}:
        others = ("pooled_rmse", "rmse", "mae")
        reason += "; pooled_rmse pools the values of all targets"
    if submitted:
        default, others = "log_loss", ("accuracy", "roc_auc")
        reason = f"the submission has a column for each class of a target: {examples(submitted, 3)}"
    reason += "; check the competition's evaluation page"
    return Guess("metric", default, "guess", reason, others, parse)


def _guess_format(labels: pd.DataFrame, tasks: Tasks, sample: Sample | None, metric: str) -> Guess:
    """`auto`, unless the sample submission has indices of classes with names."""
    formats = dict[str, Any]()
    scored = target_metrics.parse(metric)
    for name, task in tasks.items():
        used = target_metrics.of_target(scored, name)
        if task != "regression" and sample is not None and used is not None:
            own, classes = sample.of(name), distinct(labels[name])
            guess = samples.guess_format(task, used.of(task), own, classes)
            if guess.value != "auto":
                formats[name] = guess.value
    if formats:
        reason = f"the sample submission has {to_text(formats)} in these columns"
        return Guess("submission.format", formats, "likely", reason)
    shown = "no sample submission" if sample is None else "like the sample submission"
    columns = "a column per target" if sample is None or not sample.classes else "one per class"
    return Guess("submission.format", "auto", "certain", f"{shown}: {columns}")
