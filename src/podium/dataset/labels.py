"""What a competition's training table says each image is: one text an image, by the task.

binary, multiclass: the class. multilabel: the classes in their order, joined by `JOINT`, "" for
none. ordinal: a whole number. regression: a finite number.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from podium.competition.archive import composed
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.dataset.rows import Source

JOINT = "|"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
YES, NO = {"1", "1.0"}, {"0", "0.0"}


@dataclass(frozen=True)
class Labels:
    """The label of each image, and what labels there are."""

    texts: list[str]  # [N]
    classes: list[str]


def read(
    columns: pd.DataFrame, layout: Prepare, task: TaskName, source: Source, *, targets: list[str]
) -> Labels:
    """The labels that stand in `columns`, those of `label_column`: text [N, columns].

    The classes are in the order of `targets`, the columns of the sample submission, where they are
    the classes, else sorted: the order of rows plays no part.

    Raises:
        UserError: for labels that are empty, differ in case or stray spaces only (unless
            `label_variants` allows it), or are not what the task takes; with the file, the rows,
            the ids and how many.
    """
    if columns.shape[1] > 1:
        return _of_columns(columns, task, source, targets)
    cells = columns.iloc[:, 0].tolist()
    if empty := [place for place, cell in enumerate(cells) if not cell.strip()]:
        none = "; label_column as a list, one a class, can say that an image has none"
        raise UserError(
            f"{source.name}: {len(empty)} rows have no label: {source.at(empty)}"
            f"{none if task == 'multilabel' else ''}"
        )
    if task == "multilabel":
        return _several(cells, layout, source, targets)
    if task in ("regression", "ordinal"):
        return _numbers(cells, layout, task, source)
    spelled = _spelling(cells, layout, source, targets)
    return Labels([spelled[cell] for cell in cells], in_order(set(spelled.values()), targets))


def union(texts: Iterable[str], classes: list[str]) -> str:
    """The label of an image whose rows name several: all of them, in the order of the classes."""
    named = {label for text in texts for label in text.split(JOINT) if label}
    return JOINT.join(label for label in classes if label in named)


def in_order(labels: Iterable[str], targets: list[str]) -> list[str]:
    """As `targets` has them, if it has the same; else sorted, as numbers where all are."""
    found = sorted(labels)
    if sorted(targets) == found:
        return targets
    if all(label.isascii() and label.isdigit() for label in found):
        return sorted(found, key=lambda label: (int(label), label))
    return found


def check(texts: pd.Series, classes: list[str], task: TaskName, name: str) -> None:
    """Whether there is something to learn.

    Raises:
        UserError: if all labels are the same, or a binary task has not two classes.
    """
    different = texts.unique().tolist()
    if len(different) < 2 or (
        task == "regression" and len({float(text) for text in different}) < 2
    ):
        raise UserError(f"{name}: all labels are {different[0]!r}: nothing to learn")
    if task == "binary" and len(classes) != 2:
        raise UserError(
            f"{name} has {len(classes)} classes: {examples(classes)}; task: binary has two: set "
            "task: multiclass"
        )


def _of_columns(
    columns: pd.DataFrame, task: TaskName, source: Source, targets: list[str]
) -> Labels:
    """One column a class, of 0 and 1."""
    names = [str(name) for name in columns.columns]
    if task in ("regression", "ordinal"):
        raise UserError(
            f"prepare.label_column names {len(names)} columns: task: {task} has one, of numbers"
        )
    table = columns.apply(lambda column: column.str.strip())
    wrong = ~table.isin(YES | NO)
    if wrong.to_numpy().any():
        counts = {name: int(wrong[name].sum()) for name in names if wrong[name].any()}
        first = next(iter(counts))
        places = wrong[first].to_numpy().nonzero()[0].tolist()
        raise UserError(
            f"{source.name}: {sum(counts.values())} values are neither 0 nor 1, in the columns "
            f"{examples([*counts])}; in {first}: {source.at(places, columns[first].tolist())}"
        )
    ones = table.isin(YES).to_numpy()  # [N, C]
    if task != "multilabel":
        odd = (ones.sum(axis=1) != 1).nonzero()[0].tolist()
        if odd:
            several = {
                place: ", ".join(n for n, one in zip(names, ones[place], strict=True) if one)
                for place in odd
            }
            raise UserError(
                f"{source.name}: {len(odd)} of {len(ones)} rows have not one class each: "
                f"{source.at(odd, several)}; if an image may have several, or none, set task: "
                "multilabel"
            )
        present = {name for name, some in zip(names, ones.any(axis=0), strict=True) if some}
        classes = in_order(names, targets)
        if (
            targets and classes != targets
        ):  # no column of the submission needs a class without images
            classes = in_order(present, targets)
        return Labels([names[place] for place in ones.argmax(axis=1)], classes)
    _check_joint(names, source)
    classes = in_order(names, targets)
    rows = ones[:, [names.index(name) for name in classes]]
    texts = [JOINT.join(n for n, one in zip(classes, row, strict=True) if one) for row in rows]
    return Labels(texts, classes)


def _several(cells: list[str], layout: Prepare, source: Source, targets: list[str]) -> Labels:
    """Several labels in one column."""
    split = {cell: _split(cell, layout.label_separator) for cell in set(cells)}
    if none := [place for place, cell in enumerate(cells) if not split[cell]]:
        raise UserError(f"{source.name}: {len(none)} rows have no label: {source.at(none)}")
    places = {label: place for place, cell in enumerate(cells) for label in split[cell]}
    counts = Counter(label for cell in cells for label in split[cell])
    spelled = _spelled(counts, places.__getitem__, layout, source, targets)
    classes = in_order(set(spelled.values()), targets)
    _check_joint(classes, source)
    texts = {
        cell: union((spelled[label] for label in found), classes) for cell, found in split.items()
    }
    return Labels([texts[cell] for cell in cells], classes)


def _split(cell: str, separator: str) -> list[str]:
    parts = (part if separator == " " else part.strip() for part in cell.split(separator))
    return list(dict.fromkeys(part for part in parts if part.strip()))


def _check_joint(names: list[str], source: Source) -> None:
    if wrong := [name for name in names if JOINT in name]:
        raise UserError(
            f"{source.name}: {len(wrong)} labels hold a {JOINT}, which separates labels in our own "
            f"tables: {examples(wrong)}; rename them, or set prepare.label_separator"
        )


def _numbers(cells: list[str], layout: Prepare, task: TaskName, source: Source) -> Labels:
    numbers = [float(cell) if NUMBER.fullmatch(cell.strip()) else math.nan for cell in cells]
    whole = task == "ordinal"
    wrong = [
        place
        for place, number in enumerate(numbers)
        if not math.isfinite(number) or (whole and not number.is_integer())
    ]
    if wrong:
        column = layout.label_columns[0]
        kind = "whole numbers" if whole else "finite numbers"
        other = "multiclass" if whole else "one of classes"
        raise UserError(
            f"{source.name}: {len(wrong)} of {len(cells)} values of {column} are not {kind}, which "
            f"task: {task} takes: {source.at(wrong, cells)}; mend them, or set task: {other}"
        )
    if not whole:
        return Labels([cell.strip() for cell in cells], layout.label_columns)
    texts = [str(int(number)) for number in numbers]
    return Labels(texts, sorted(set(texts), key=int))


def _spelling(
    cells: list[str], layout: Prepare, source: Source, targets: list[str]
) -> dict[str, str]:
    return _spelled(Counter(cells), cells.index, layout, source, targets)


def _spelled(
    counts: Counter[str],
    place: Callable[[str], int],
    layout: Prepare,
    source: Source,
    targets: list[str],
) -> dict[str, str]:
    """What each label is called: labels that differ in case or stray spaces only may be one, in
    the spelling of `targets`, else in the commonest.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        alike[_bare(label)].append(label)
    odd = [group for group in alike.values() if len(group) > 1 or group[0] != group[0].strip()]
    if layout.label_variants == "keep" or not odd:
        return {label: label for label in counts}
    if layout.label_variants == "error":
        raise UserError(_variants(odd, counts, place, source))
    known = {_bare(target): target for target in targets}
    names = {label: label for label in counts}
    for group in odd:
        stripped = Counter[str]()
        for label in group:
            stripped[label.strip()] += counts[label]
        common = max(sorted(stripped), key=stripped.__getitem__)
        names |= dict.fromkeys(group, known.get(_bare(common), common))
    return names


def _bare(label: str) -> str:
    """What is left of a label without case, stray spaces, and ways to write an accent."""
    return " ".join(composed(label).casefold().split())


def _variants(
    odd: list[list[str]], counts: Counter[str], place: Callable[[str], int], source: Source
) -> str:
    groups = []
    for group in odd:
        written = []
        for label in group:
            times = f"{counts[label]} image{'s' if counts[label] > 1 else ''}"
            written.append(f"{label!r} ({times}, as {source.at([place(label)])})")
        groups.append(" and ".join(written))
    return (
        f"{source.name}: {len(odd)} labels have stray spaces, or are written in several ways that "
        f"differ in case or spaces only: {examples(groups)}; to take each for one label: "
        "prepare.label_variants: merge; for different ones: keep"
    )
