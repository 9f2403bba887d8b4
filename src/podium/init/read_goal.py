"""What is predicted, from labels and sample submission: task, classes, metric and format."""

import pandas as pd

from podium.competition.text import cell_lists
from podium.init import columns, goal, missing_labels, several_targets
from podium.init import sample as samples
from podium.init.recorder import Recorder
from podium.init.sample import Sample


def read(
    record: Recorder,
    labels: pd.DataFrame,
    sample: Sample | None,
    *,
    from_paths: bool = False,
    per_image: float = 1,
) -> None:
    """Task, metric and format."""
    columns_ = record.prepare.get("label_column")
    found = several_targets.tasks_of(labels, sample, record.answers.get("task"), columns_)
    if found is not None:
        several_targets.read(record, labels, sample, *found)
        return
    is_one_column = labels.shape[1] == 1
    if is_one_column and columns_ == labels.columns[0] and not from_paths:
        labels = _clear_missing(record, labels, sample)
    guess = goal.guess_task(labels, sample, from_paths=from_paths, per_image=per_image)
    task = record.take(guess)
    has_lists = task == "multilabel" and is_one_column
    values = [value for value in labels.iloc[:, 0].unique() if value.strip()]
    if has_lists:
        values = _split_lists(record, values, sample, per_image)
    if is_one_column and task in ("binary", "multiclass", "multilabel"):
        targets = sample.targets if sample else []
        if (variants := columns.guess_variants(values, targets)) is not None:
            record.take(variants)
    classes = values if is_one_column else [*labels.columns]
    if task == "binary":
        _read_positive_class(record, classes, sample)
    if not has_lists and (doubt := samples.contradiction(task, sample, classes)) is not None:
        for key in ("prepare.label_column", "task"):
            record.doubt(key, doubt)
    metric = record.take(samples.guess_metric(task, sample, classes, has_lists=has_lists))
    record.take(samples.guess_format(task, metric, sample, classes))


def _clear_missing(record: Recorder, labels: pd.DataFrame, sample: Sample | None) -> pd.DataFrame:
    """The label column, without what means that there is no label in a column of numbers."""
    name = str(labels.columns[0])
    cleared = labels.apply(missing_labels.numbers, sample=sample)
    if "prepare.no_label" in record.answers or not cleared.equals(labels):
        record.take(missing_labels.guess(labels, [name], sample))
    return missing_labels.clear(labels, record.prepare)


def _read_positive_class(record: Recorder, labels: list[str], sample: Sample | None) -> None:
    keep = record.layout.prepare.get("label_variants") == "keep"
    classes = goal.distinct(label if keep else label.strip() for label in labels)
    if len(classes) == 2:  # else the stage prepare reports it
        record.take(goal.guess_positive_class(classes, sample))


def _split_lists(
    record: Recorder, values: list[str], sample: Sample | None, per_image: float
) -> list[str]:
    """The distinct labels in cells that list several."""
    separator = goal.separator(values, per_image, sample.values if sample else [])
    record.layout.prepare["label_separator"] = separator
    labels = cell_lists.distinct_labels(values, separator)
    if (submitted := samples.separator_in(sample, labels, separator)) != " ":
        record.layout.submission["separator"] = submitted
    return labels
