"""Labels of several targets: each column of the training table is read as a task of its own.

A label in our tables has one part per target, separated by "|": "dress|12.5". An empty part means
that the image has no label of that target.
"""

import pandas as pd

from podium.competition.text.names import NameIndex
from podium.config.prepare import Prepare
from podium.core.errors import UserError, counted, examples
from podium.dataset import class_list, labels, submission_file
from podium.dataset.rows import LABEL, Location
from podium.dataset.spelling import SampleNames
from podium.scoring.task import LABEL_SEPARATOR, Task

Labels = tuple[list[str], Task, list[str]]  # the label of each image [N], the task, and warnings


def clear_missing(table: pd.DataFrame, layout: Prepare) -> tuple[pd.DataFrame, list[str]]:
    """Empty the cells whose values `prepare.no_label` lists. Returns warnings about values that are
    not in the column.
    """
    warnings = list[str]()
    for column, values in layout.no_label.items():
        cells = table[LABEL + column]
        known = NameIndex(cells.unique())
        found = {value: known.find(value) for value in values}
        if unknown := [value for value, cell in found.items() if cell is None]:
            warnings.append(f"prepare.no_label: {column} does not contain {examples(unknown)}")
        is_missing = cells.isin([cell for cell in found.values() if cell is not None])
        table = table.assign(**{LABEL + column: cells.mask(is_missing, "")})
    return table, warnings


def read(
    columns: pd.DataFrame, layout: Prepare, location: Location, sample: pd.DataFrame | None
) -> Labels:
    """Read the labels from `columns`, text [N, columns], of which all rows have at least one.

    The targets are in the order of the sample submission's columns, if these are the targets, else
    in that of `label_column`.

    Raises:
        UserError: if no row has a label of a target; and as `labels.read`.
    """
    tasks = layout.target_tasks
    names = [*tasks]
    submitted = [] if sample is None else submission_file.targets_of(map(str, sample.columns[1:]))
    if order := NameIndex(names).find_all(submitted):
        names = order if sorted(order) == sorted(names) else names
    texts, targets, warnings = dict[str, list[str]](), dict[str, Task](), list[str]()
    empty = columns.apply(lambda column: column.str.strip()) == ""
    if rows := empty.all(axis=1).to_numpy().nonzero()[0].tolist():
        raise UserError(
            f"{location.name}: {counted(len(rows), 'row', 'has')} no label of any target: "
            f"{location.describe(rows)}. Add one, or set prepare.unlabeled: drop."
        )
    for name in names:
        labeled = (~empty[name]).to_numpy().nonzero()[0].tolist()
        if not labeled:
            raise UserError(f"{location.name}: no row has a label of {name}. Remove the target.")
        if missing := len(columns) - len(labeled):
            warnings.append(f"{counted(missing, 'row', 'has', of=len(columns))} no label of {name}")
        own = columns[[name]].iloc[labeled].reset_index(drop=True)
        names_of_sample = SampleNames(_own_columns(sample, name))
        found, classes = labels.read(
            own,
            layout.model_copy(update={"label_column": name}),
            tasks[name],
            location.part(labeled),
            names_of_sample,
        )
        if tasks[name] == "multiclass" and {*classes} < {*names_of_sample.columns}:
            classes = names_of_sample.columns  # also those without images
        if wrong := [label for label in classes if LABEL_SEPARATOR in label]:
            raise UserError(
                f"{location.name}: {counted(len(wrong), 'label')} of {name} with "
                f"{LABEL_SEPARATOR!r}, "
                f"which separates labels in Podium's own tables: {examples(wrong)}. Rename them."
            )
        cells = [""] * len(columns)
        for row, text in zip(labeled, found, strict=True):
            cells[row] = text
        texts[name], targets[name] = cells, Task(tasks[name], classes)
    rows_of_texts = zip(*texts.values(), strict=True)
    return [LABEL_SEPARATOR.join(row) for row in rows_of_texts], Task.join(targets), warnings


def check(texts: pd.Series, task: Task, name: str, fix: str | None = None) -> None:
    """Check that the labels `texts` of the table `name` differ, for each target. `fix`: see
    `class_list.check`.

    Raises:
        UserError: as `class_list.check`.
    """
    parts = texts.str.split(LABEL_SEPARATOR, regex=False, expand=True)
    for part in task.parts:
        own = parts[part.position]
        title = f"{name}, target {part.name}"
        class_list.check(own[own != ""], part.task.classes, part.task.name, title, fix)


def describe(task: Task) -> str:
    """The targets in a line: kids (2 classes), price (a number)."""

    def kind(own: Task) -> str:
        return "a number" if own.name == "regression" else f"{len(own.classes)} classes"

    return examples([f"{part.name} ({kind(part.task)})" for part in task.parts])


def _own_columns(sample: pd.DataFrame | None, name: str) -> pd.DataFrame | None:
    """The ids and the columns of a target in the sample submission."""
    own = None if sample is None else submission_file.columns_of(sample, name)
    return None if own is None or own.shape[1] == 1 else own
