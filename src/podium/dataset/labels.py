"""Read each image's label from the training table: one text per image, depending on the task.

binary, multiclass: the class. multilabel: the classes in order, separated by "|"; "" for none.
ordinal: a whole number. regression: a finite number, or several, separated by "|".
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import compress

import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.names import NUMBER, normalize
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, counted, examples
from podium.dataset import spelling
from podium.dataset.class_list import in_order, union
from podium.dataset.rows import Location
from podium.dataset.spelling import SampleNames
from podium.scoring.task import LABEL_SEPARATOR

OBJECT = re.compile(r"""\s*\{\s*('[^']*'|"[^"]*")\s*:.*\}\s*""", re.DOTALL)  # {"a": 1, "b": 0}
FLAGS = {"1": 1.0, "true": 1.0, "0": 0.0, "false": 0.0}  # normalized


Labels = tuple[list[str], list[str]]  # the label of each image, [N], and the classes


def read(
    columns: pd.DataFrame, layout: Prepare, task: TaskName, location: Location, sample: SampleNames
) -> Labels:
    """Read the labels from `columns`, the columns in `label_column`: text [N, columns].

    The classes are in the order of the sample submission's columns if these are the classes, else
    sorted. The order of rows has no effect.

    Raises:
        UserError: for labels that are empty, that differ in case or whitespace only (unless
            `label_variants` allows it), or that the task does not support.
    """
    if columns.shape[1] > 1 and task == "regression":
        return _read_several_numbers(columns, location, sample)
    if columns.shape[1] > 1:
        return _read_columns(columns, task, location, sample)
    cells = columns.iloc[:, 0].tolist()
    if empty := [row for row, cell in enumerate(cells) if not cell.strip()]:
        raise _no_label(empty, task, location, has_lists=cell_lists.are_bracketed(cells))
    if task not in ("regression", "ordinal"):
        _check_lists(cells, location)
    if task == "multilabel":
        return _read_lists(cells, layout, location, sample)
    if task in ("regression", "ordinal"):
        return _read_numbers(cells, layout, task, location)
    names = _spell(Counter(cells), cells.index, layout, location, sample)
    return [names[cell] for cell in cells], in_order(set(names.values()), sample.columns)


def _no_label(
    empty: list[int], task: TaskName, location: Location, *, has_lists: bool = False
) -> UserError:
    hint = "Add one, or set prepare.unlabeled: drop"
    if task == "multilabel" and has_lists:
        hint = "Write [] where there is none"
    elif task == "multilabel":
        hint += ", or set prepare.label_column to one column per class (then there may be none)"
    return UserError(
        f"{location.name}: {counted(len(empty), 'row', 'has')} no label: "
        f"{location.describe(empty)}. {hint}."
    )


def _check_lists(cells: list[str], location: Location) -> None:
    unlike = {*cell_lists.unlike_lists(dict.fromkeys(cells))}
    if rows := [row for row, cell in enumerate(cells) if cell in unlike]:
        raise UserError(
            f"{location.name}: {counted(len(rows), 'label', 'is', of=len(cells))} not in "
            f"brackets, as others are: {location.describe(rows, cells)}. Write lists."
        )
    if rows := [row for row, cell in enumerate(cells) if OBJECT.fullmatch(cell)]:
        raise UserError(
            f"{location.name}: {counted(len(rows), 'label', 'is', of=len(cells))} in braces: "
            f"{location.describe(rows, cells)}. Write the labels as lists, such as ['a', 'b']."
        )


def _read_columns(
    columns: pd.DataFrame, task: TaskName, location: Location, sample: SampleNames
) -> Labels:
    """Read one column of 0 and 1 per class."""
    names = sample.spell_columns([str(name) for name in columns.columns])
    if task == "ordinal":
        raise UserError(
            f"prepare.label_column lists {len(names)} columns, but task: {task} requires one. "
            "Keep one, or set task."
        )
    ones = _are_ones(columns.set_axis(names, axis=1), location)  # [N, C]
    classes = in_order(names, sample.columns)
    if task == "multilabel":
        _check_joint(names, location)
        rows = ones[classes].to_numpy()
        return [LABEL_SEPARATOR.join(compress(classes, row)) for row in rows], classes
    wrong = (ones.sum(axis=1) != 1).to_numpy().nonzero()[0].tolist()
    if wrong:
        present = {row: ", ".join(ones.columns[ones.iloc[row].to_numpy()]) for row in wrong}
        raise UserError(
            f"{location.name}: {counted(len(wrong), 'row', 'does', of=len(ones))} not have exactly "
            f"one class: {location.describe(wrong, present)}. Fix them, or set task: multilabel."
        )
    if sample.columns and classes != sample.columns:
        # Classes without images are kept only if the sample submission has a column for them.
        classes = in_order([name for name in names if ones[name].any()], sample.columns)
    return [names[column] for column in ones.to_numpy().argmax(axis=1)], classes


def _are_ones(columns: pd.DataFrame, location: Location) -> pd.DataFrame:
    table = flags(columns)
    wrong = table.isna()
    if wrong.to_numpy().any():
        counts = {name: int(wrong[name].sum()) for name in table if wrong[name].any()}
        first = next(iter(counts))
        rows = wrong[first].to_numpy().nonzero()[0].tolist()
        raise UserError(
            f"{location.name}: {sum(counts.values())} values are neither 0 nor 1, in the columns "
            f"{examples([*counts])}. In {first}: "
            f"{location.describe(rows, columns[first].tolist())}. Fix them."
        )
    return table == 1


def flags(columns: pd.DataFrame) -> pd.DataFrame:
    """Columns of text as 0 and 1, also where they are spelled 1.0 or True; NaN for all else.

    Returns float64 [rows, columns].
    """

    def read_flags(column: pd.Series) -> pd.Series:
        return column.map({cell: FLAGS.get(normalize(cell)) for cell in column.unique()})

    return columns.apply(read_flags).astype(float)


def _read_lists(
    cells: list[str], layout: Prepare, location: Location, sample: SampleNames
) -> Labels:
    """Read several labels per cell; none in a cell like "[]"."""
    lists = cell_lists.split(cells, layout.label_separator)
    parts = {cell: list(dict.fromkeys(labels)) for cell, labels in lists.items()}
    empty = [row for row, cell in enumerate(cells) if not parts[cell]]
    if empty and not cell_lists.are_bracketed(parts):
        raise _no_label(empty, "multilabel", location)
    rows = {label: row for row, cell in enumerate(cells) for label in parts[cell]}
    counts = Counter(label for cell in cells for label in parts[cell])
    names = _spell(counts, rows.__getitem__, layout, location, sample)
    classes = in_order(set(names.values()), sample.columns)
    _check_joint(classes, location)
    texts = {cell: union((names[label] for label in parts[cell]), classes) for cell in parts}
    return [texts[cell] for cell in cells], classes


def _check_joint(names: list[str], location: Location) -> None:
    if wrong := [name for name in names if LABEL_SEPARATOR in name]:
        raise UserError(
            f"{location.name}: {counted(len(wrong), 'label', 'contains')} "
            f"{LABEL_SEPARATOR!r}, which separates "
            f"labels in Podium's own tables: {examples(wrong)}. Rename them, or set "
            "prepare.label_separator."
        )


def _read_numbers(cells: list[str], layout: Prepare, task: TaskName, location: Location) -> Labels:
    numbers = [float(cell) if NUMBER.fullmatch(cell.strip()) else math.nan for cell in cells]
    is_whole = task == "ordinal"
    wrong = [
        row
        for row, number in enumerate(numbers)
        if not math.isfinite(number) or (is_whole and not number.is_integer())
    ]
    if wrong:
        raise UserError(
            f"{location.name}: {len(wrong)} of {len(cells)} values of {layout.label_columns[0]} "
            f"cannot be read as a {'whole' if is_whole else 'finite'} number: "
            f"{location.describe(wrong, cells)}. Fix them, or set task: multiclass."
        )
    if not is_whole:
        return [cell.strip() for cell in cells], layout.label_columns
    texts = [str(int(number)) for number in numbers]
    return texts, sorted(set(texts), key=int)


def _read_several_numbers(columns: pd.DataFrame, location: Location, sample: SampleNames) -> Labels:
    """Read one column per target: the numbers in the order of the sample submission's columns, if
    these are the targets, else in that of `label_column`.
    """
    names = sample.spell_columns([str(name) for name in columns.columns])
    columns = columns.set_axis(names, axis=1)
    targets = sample.columns if sorted(sample.columns) == sorted(names) else names
    for name in targets:
        cells = columns[name].tolist()
        if wrong := [row for row, cell in enumerate(cells) if not _is_finite(cell)]:
            raise UserError(
                f"{location.name}: {len(wrong)} of {len(cells)} values of {name} cannot be read as "
                f"a finite number: {location.describe(wrong, cells)}. Fix or remove these rows, or "
                f"remove {name} from prepare.label_column."
            )
    rows = zip(*(columns[name].str.strip() for name in targets), strict=True)
    return [LABEL_SEPARATOR.join(row) for row in rows], targets


def _is_finite(cell: str) -> bool:
    return NUMBER.fullmatch(cell.strip()) is not None and math.isfinite(float(cell))


def _spell(
    counts: Counter[str],
    row_of: Callable[[str], int],
    layout: Prepare,
    location: Location,
    sample: SampleNames,
) -> dict[str, str]:
    """Map each label to the name of its class."""
    names = spelling.unify(counts, sample)
    if layout.label_variants == "keep":
        return names
    unified = Counter[str]()
    for label, count in counts.items():
        unified[names[label]] += count
    if layout.label_variants == "merge":
        merged = spelling.merge(unified, sample)
        return {label: merged[name] for label, name in names.items()}
    if variants := spelling.variants(unified):
        rows = {names[label]: row_of(label) for label in counts}
        groups = [
            " and ".join(
                f"{label!r} ({unified[label]}x, such as {location.describe([rows[label]])})"
                for label in group
            )
            for group in variants
        ]
        raise UserError(
            f"{location.name}: {counted(len(groups), 'label', 'has')} stray whitespace, "
            "or spellings that "
            f"differ in case or whitespace only: {examples(groups)}. Set prepare.label_variants: "
            "merge to treat them as one label, or keep to keep them separate."
        )
    return names
