"""Which labels class folders stand for: by a table that lists the classes, or by their names."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from podium.competition.text.names import canonical, normalize
from podium.core.errors import UserError
from podium.dataset.class_list import in_order
from podium.init.goal import NEGATIVE_NAMES
from podium.init.guesses import Guess
from podium.init.path_labels import LabeledFolder
from podium.init.sample import Sample, are_numbers
from podium.init.survey import Table

KEY = "prepare.label_map"
ONE_NUMBER = "the submission has one number per image"
MAX_ROWS = 20_000  # of a list of classes
MAX_CELLS = 400_000  # that are read: more columns than these fill have no names of classes
Words = frozenset[str]


def lists_classes(table: Table, labeled: LabeledFolder) -> bool:
    """Whether a table has one row per class (see `_rows_of`), but classes have several images."""
    has_several = sum(labeled.counts.values()) > len(labeled.counts)
    return has_several and _rows_of(table, labeled.counts) is not None


def is_used(table: Table, label_map: dict[str, str] | None) -> bool:
    """Whether a table lists the folders of `prepare.label_map`."""
    return label_map is not None and _rows_of(table, label_map) is not None


def guess_map(
    labeled: LabeledFolder, sample: Sample | None, tables: Sequence[Table]
) -> Guess | None:
    """Which label each of several folders stands for: in one of `tables`, if the submission has the
    labels of another column; or if one number per image is submitted. None if the folders are the
    classes.
    """
    if sample is None:
        return None
    for table in tables:
        if (listed := _labels_in(table, labeled, sample)) is not None:
            column, labels = listed
            reason = f"the submission has {column} of {table.name}, which lists the classes"
            return Guess(KEY, labels, "likely", reason, (None,), _parser(labels))
    names = [*labeled.counts]
    if not sample.has_scores or are_numbers(names) or len(names) < 3:
        return None
    negative = [name for name in names if normalize(name) in NEGATIVE_NAMES]
    zero = negative[0] if len(negative) == 1 else names[0]
    value = {name: str(int(name != zero)) for name in names}
    if negative:
        reason = f"{ONE_NUMBER}: {zero} is 0 by its name, the others 1"
        reason += ". Answer none if each folder is a class"
        return Guess(KEY, value, "guess", reason, (None,), _parser(value))
    reason = f"{ONE_NUMBER}, but there are {len(names)} folders: if they are finer than the "
    reason += f"labels, answer such as {_shown(value)}"
    return Guess(KEY, None, "guess", reason, parse=_parser(value))


def check_numbers(
    train: Table, label_columns: Sequence[str], sample: Sample | None, tables: Sequence[Table]
) -> None:
    """Check that a list of the classes numbers them in their order, from 0, if the submission has
    numbers and the training table names: that is what it would be filled with.

    Raises:
        UserError: if not.
    """
    counts = train.rows[label_columns[0]].str.strip().value_counts()
    classes = LabeledFolder("", {str(name): n for name, n in counts.items() if name})
    if len(label_columns) > 1 or sample is None or not sample.has_integers_but([*classes.counts]):
        return
    for table in tables:
        if table is train or (listed := _labels_in(table, classes, sample)) is None:
            continue
        column, numbers = listed
        order = {name: str(n) for n, name in enumerate(in_order(classes.counts, []))}
        if wrong := [name for name in order if canonical(numbers[name]) != order[name]]:
            raise UserError(
                f"the sample submission has {column} of {table.name}, where {wrong[0]} is "
                f"{numbers[wrong[0]]}, but {train.name} has names. Add a column {column} to "
                f"{train.name}, and name it with --label-column."
            )


def _labels_in(
    table: Table, labeled: LabeledFolder, sample: Sample
) -> tuple[str, dict[str, str]] | None:
    """The column of a list of classes with the labels of the sample submission, and the label of
    each folder; None if these are no others than the folders' names.
    """
    submitted = {canonical(x) for x in (sample.values or sample.targets)}
    if submitted <= {canonical(name) for name in labeled.counts}:
        return None
    if not submitted or (rows := _rows_of(table, labeled.counts)) is None:
        return None
    for column in table.columns:
        cells = table.rows[column].str.strip()
        if cells.is_unique and submitted <= {*map(canonical, cells)}:
            return column, {name: cells.iloc[row] for name, row in rows.items()}
    return None


def _rows_of(table: Table, classes: Collection[str]) -> dict[str, int] | None:
    """The row of each class, such as 1, Black_footed_Albatross for the folder
    001.Black_footed_Albatross; None unless each class is in one row.
    """
    if not len(classes) <= len(table.rows) <= MAX_ROWS:
        return None
    rows, by_word = _index(table)

    def is_named(row: Sequence[Words], words: Words) -> bool:
        return Words().union(*(cell for cell in row if cell <= words)) == words

    found = dict[str, int]()
    for name in classes:
        words = _words(name)
        candidates = set[int]().union(*(by_word.get(word, ()) for word in words))
        numbers = [number for number in candidates if is_named(rows[number], words)]
        if len(numbers) != 1:
            return None
        found[name] = numbers[0]
    return found


@lru_cache(maxsize=1)  # several folders in turn are compared with a table
def _index(table: Table) -> tuple[list[tuple[Words, ...]], dict[str, set[int]]]:
    """The words of the cells in each row, in the first columns of a wide table; and the numbers of
    the rows with each word.
    """
    columns = table.columns[: max(2, MAX_CELLS // len(table.rows))]
    cells = [
        [words[cell] for cell in table.rows[c]]
        for c in columns
        for words in [{cell: _words(cell) for cell in table.rows[c].unique()}]
    ]
    rows = [*zip(*cells, strict=True)]
    by_word = defaultdict[str, set[int]](set)
    for number, row in enumerate(rows):
        for word in Words().union(*row):
            by_word[word].add(number)
    return rows, by_word


def _words(text: str) -> Words:
    """The words and numbers in a name, numbers without leading zeros."""
    words = re.split(r"[\W_]+", normalize(text))
    return Words(word.lstrip("0") or word[:1] for word in words if word)


def _parser(example: dict[str, str]) -> Callable[[str], dict[str, str] | None]:
    """The parser of answers like `example`."""

    def parse(answer: str) -> dict[str, str] | None:
        if answer == "none":
            return None
        pairs = [pair.strip().rpartition("=") for pair in answer.split(",")]
        mapping = {folder.strip(): label.strip() for folder, _, label in pairs}
        if {*mapping} != {*example} or not all(mapping.values()):
            raise UserError(f"{answer!r} must give each folder a label: {_shown(example)}")
        return mapping

    return parse


def _shown(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={label}" for name, label in labels.items())
