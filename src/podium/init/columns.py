"""Guess which columns of a table contain the labels and the groups."""

import re
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, get_args

import pandas as pd

from podium.competition.text.names import NUMBER, NameIndex, canonical
from podium.config.tasks import TargetTask
from podium.core.errors import UserError, examples
from podium.dataset import spelling
from podium.dataset.labels import flags
from podium.init.guesses import Confidence, Guess, one_of, some_of
from podium.init.matching import is_unnamed
from podium.init.sample import Sample
from podium.init.survey import Table
from podium.init.words import name_parts

MIN_GROUPS = 5  # the default number of folds
MAX_CHANCE = 0.01  # probability that a random split has no value in common
CLASS_NAMES = (
    "label", "labels", "class", "target", "category", "diagnosis", "species", "breed", "y",
    "class_id", "label_id", "category_id", "class_name", "individual_id", "individual", "tags",
    "attribute_ids",
)  # fmt: skip
LABEL_NAMES = (
    *CLASS_NAMES, "level", "grade", "score", "rating", "severity", "stage", "quality", "age",
    "count", "price", "value",
)  # fmt: skip
GROUP_NAME = re.compile(  # "PatientID" and "the_patient", not "age_group"
    r"(?i)(.*[_ ])?(patient|subject|individual|scene)([_ ]?(id|number|name|code))?"
    r"|(group|session)([_ ]?(id|number|name|code))?"
)
FOREIGN_ID_NAME = re.compile(r".*([_ ][iI][dD]|[a-z]I[dD])")


def guess_labels(
    table: Table, id_column: str | None, sample: Sample | None, test: Table | None
) -> Guess:
    """The label column of the training table, or a list with one column per class.

    Raises:
        UserError: if no column can contain labels.
    """
    candidates = table.rows[[column for column in table.columns if column != id_column]]
    varied = candidates[
        [column for column in candidates.columns if candidates[column].nunique() > 1]
    ]
    inferred = None if sample is None else _from_sample(sample, candidates, varied, table.name)
    if inferred is None and varied.empty:
        names = examples([str(column) for column in candidates.columns])
        why = f"{names}: the same value in all rows" if names else f"{id_column} is its only column"
        raise UserError(f"{table.name}: no column can contain labels ({why}). Add one.")
    value, confidence, reason = inferred or _from_table(varied, test, sample)
    others = [str(c) for c in varied.columns if isinstance(value, str) and c != value]
    columns_of = some_of([str(c) for c in candidates.columns], what=f"column of {table.name}")

    def parse(answer: str) -> Any:
        tasks = None if answer in candidates else _parse_tasks(answer)
        return columns_of(answer) if tasks is None else tasks

    return Guess("prepare.label_column", value, confidence, reason, tuple(others), parse)


def _parse_tasks(answer: str) -> dict[str, str] | None:
    """The answer `label=multiclass,age=regression`; None if it is not one.

    Raises:
        UserError: if a task is unknown.
    """
    pairs = [part.rpartition("=") for part in answer.split(",")]
    if not all(name and task for name, _, task in pairs):
        return None
    kind = one_of(get_args(TargetTask), what="task of a target")
    return {name.strip(): kind(task.strip()) for name, _, task in pairs}


Inferred = tuple[str | list[str], Confidence, str]


def _from_sample(
    sample: Sample, candidates: pd.DataFrame, varied: pd.DataFrame, table: str
) -> Inferred | None:
    targets = sample.targets
    names = [str(column) for column in candidates.columns]
    found = NameIndex(names, ignore_case=len(targets) == 1).find_all(targets)
    if found is None and len(targets) == 1:  # ClassId and class_id
        found = [name for name in names if _letters(name) == _letters(targets[0])] or None
    if found:
        value = found if len(found) > 1 else found[0]
        return value, "certain", "also in the sample submission"
    expected = set(map(canonical, targets))
    for column in varied.columns if len(targets) > 1 else []:
        if set(map(canonical, candidates[column].str.strip().unique())) == expected:
            return column, "certain", "its values are the columns of the sample submission"
    longer = {t: [name for name in names if name.startswith(f"{t}_")] for t in targets}
    if len(targets) > 1 and all(longer.values()):
        raise UserError(
            f"the sample submission has the columns {examples(targets)}; {table}: not found, but "
            f"{examples([*chain(*longer.values())])}. Rename those to predict as in the sample."
        )
    if column := _column_with_values_of(sample, varied):
        return column, "likely", "contains labels from the sample submission"
    return None


def _letters(name: str) -> str:
    """A name without case, spaces and punctuation; a name without letters or digits unchanged."""
    return re.sub(r"[\W_]", "", name.lower()) or name


def _from_table(varied: pd.DataFrame, test: Table | None, sample: Sample | None) -> Inferred:
    columns = [str(column) for column in varied.columns]
    given = set() if test is None else {c for c in test.columns if test.rows[c].nunique() > 1}
    # What the test table also has is a feature, unless it is called "label"; an index is neither.
    features = [c for c in columns if c in given and c.lower() not in CLASS_NAMES]
    features += [c for c in columns if is_unnamed(c)]
    columns = [column for column in columns if column not in features] or columns
    if named := _named(columns):
        return named, "likely" if len(varied.columns) > 1 else "certain", "by its name"
    if len(columns) == 1:
        if test is not None and given.intersection(features):
            return columns[0], "likely", f"the only column that {test.name} does not have"
        return columns[0], "certain", "the only column that can contain labels"
    zero_one = [column for column in columns if not flags(varied[[column]]).isna().any(axis=None)]
    if len(zero_one) > 1 and not (sample is not None and sample.has_fractions):
        confidence: Confidence = "likely" if zero_one == columns else "guess"
        return zero_one, confidence, "contain only 0 and 1: one column per class"
    fewest = min(columns, key=lambda column: varied[column].nunique())
    return fewest, "guess", f"has the fewest distinct values ({varied[fewest].nunique()})"


def guess_groups(table: Table, used: Collection[str | None], test: Table | None = None) -> Guess:
    """Guess the column whose groups must stay in one fold, except those in `used`. If the tables
    have no values of a column in common, such as locations, the test set was split by it.
    """
    candidates = [column for column in table.columns if column not in used]
    repeated = [
        column
        for column in candidates
        if 1 < table.rows[column].nunique() < len(table.rows)
        and table.rows[column].str.strip().all()  # none is empty
    ]
    groups = [
        column
        for column in repeated
        if GROUP_NAME.fullmatch(column) and table.rows[column].nunique() >= MIN_GROUPS
    ]
    ids = [c for c in repeated if c not in groups and FOREIGN_ID_NAME.fullmatch(c)]
    apart = [c for c in repeated if test is not None and _is_apart(table.rows[c], test, c)]
    apart.sort(key=lambda column: table.rows[column].nunique())  # the coarsest first
    confidence: Confidence = "likely"
    value: str | None = None
    if apart and test is not None:
        value = apart[0]
        groups = [*dict.fromkeys((*apart, *groups))]
        ids = [column for column in ids if column not in groups]
        count = spelling.unify_groups(table.rows[value]).nunique()
        reason = f"{count} groups, each kept within one fold: {test.name} has none of these values"
    elif groups:
        value = groups[0]
        count = spelling.unify_groups(table.rows[value]).nunique()
        reason = f"{count} groups, each kept within one fold"
    elif ids:
        reason = f"{examples(ids)} has repeated values; choose it if they mark related images"
    else:
        confidence, reason = "certain", "no column looks like groups of related images"
    others = tuple(choice for choice in (*groups, *ids, None) if choice != value)
    parse = one_of(candidates, what=f"column of {table.name}", nullable=True)
    return Guess("prepare.group_column", value, confidence, reason, others, parse)


def guess_unlabeled(rows: pd.DataFrame, *, all_empty: bool = False) -> Guess | None:
    """What to do with rows with an empty cell in a label column `rows`, or with `all_empty` in all
    of them; None if there are none.
    """
    is_empty = rows.apply(lambda column: column.str.strip()) == ""
    empty = int((is_empty.all(axis=1) if all_empty else is_empty.any(axis=1)).sum())
    if not empty:
        return None
    reason = f"{empty} of {len(rows)} rows have no label; drop: skip them"
    return Guess("prepare.unlabeled", "error", "guess", reason, ("drop",))


def _is_apart(values: pd.Series, test: Table, column: str) -> bool:
    """Whether the test set seems to be split by a column: the tables have no values in common,
    which is unlikely by chance because most values are repeated.
    """
    if column not in test.columns or values.nunique() < MIN_GROUPS:
        return False
    if test.rows[column].isin(values.unique()).any():
        return False
    if any(NUMBER.fullmatch(value) and "." in value for value in values.unique()):
        return False  # a measurement
    new = {*map(canonical, test.rows[column].unique())}
    if new & {*map(canonical, values.unique())}:
        return False
    singles = float((values.value_counts() == 1).sum()) / len(values)
    return singles ** len(new) < MAX_CHANCE


def guess_variants(labels: Sequence[str], targets: Sequence[str]) -> Guess | None:
    """What to do with labels that differ in case or whitespace only; None if there are none.

    They are merged, unless the sample submission (`targets`) distinguishes them, or all of them are
    single letters: handwritten "a" and "A" differ.
    """
    groups = spelling.variants(labels)
    if not groups:
        return None
    are_letters = all(len(label) == 1 for group in groups for label in group)
    is_submitted = all(set(group) <= set(targets) for group in groups)
    value = "keep" if are_letters or is_submitted else "merge"
    others = tuple(choice for choice in ("merge", "keep", "error") if choice != value)
    reason = f"labels differ in case or whitespace: {examples([*map(repr, groups[0])])}"
    return Guess("prepare.label_variants", value, "guess", reason, others)


def _column_with_values_of(sample: Sample, rows: pd.DataFrame) -> str:
    """The only column that contains the labels in the sample submission; "" if there is none."""
    if sample.value is None or NUMBER.fullmatch(sample.value):
        return ""
    labels = {canonical(sample.value)}, set(map(canonical, sample.value.split()))
    columns = []
    for column in rows.columns:
        values = set(map(canonical, rows[column].str.strip().unique()))
        if any(2 * len(names & values) >= len(names) for names in labels):
            columns.append(str(column))
    return columns[0] if len(columns) == 1 else ""


def _named(columns: Sequence[str]) -> str | None:
    """The column with a usual name for labels, else one with such a word in its name."""
    lower = {column.lower(): column for column in reversed(columns)}
    for name in LABEL_NAMES:
        if name in lower:
            return lower[name]
    for name in LABEL_NAMES:
        for column in columns:
            if name in name_parts(column):
                return column
    return None
