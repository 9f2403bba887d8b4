"""Guess which columns of the training table contain the labels."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, get_args

import pandas as pd

from podium.competition.text.names import NUMBER, NameIndex, canonical
from podium.config.tasks import TargetTask
from podium.core.errors import UserError, examples
from podium.dataset import affixes
from podium.dataset.labels import flags
from podium.init import words
from podium.init.guesses import Confidence, Guess, one_of, some_of
from podium.init.matching import is_unnamed
from podium.init.roles import Roles
from podium.init.sample import Sample, are_numbers
from podium.init.survey import Survey, Table
from podium.init.words import has_part, name_parts

CLASS_NAMES = (
    "label", "labels", "class", "target", "category", "diagnosis", "species", "breed", "y",
    "class_id", "label_id", "category_id", "class_name", "individual_id", "individual", "tags",
    "attribute_ids",
)  # fmt: skip
LABEL_NAMES = (
    *CLASS_NAMES, "level", "grade", "score", "rating", "severity", "stage", "quality", "age",
    "count", "price", "value", "boneage",
)  # fmt: skip
ATTRIBUTES = (  # words in the names of columns that describe an image, and seldom are the label
    "sex", "gender", "male", "female", "ethnicity", "date", "time", "year", "month", "day", "width",
    "height", "path", "url", "source", "license", "author", "camera", "location", "site", "lat",
    "latitude", "lon", "longitude", "split", "fold", "title", "caption", "description", "comment",
)  # fmt: skip
CENTERS = ("mean", "avg", "average", "median", "value")  # of several columns per target, the label
FEWEST_MENTIONED = 4  # letters of a name that files are named after
MAX_CODES = 20  # distinct values of a column, to compare those of another table with each


def guess_labels(table: Table, id_column: str | None, tables: Roles, survey: Survey) -> Guess:
    """The label column of the training table, or a list with one column per class. The names of the
    table and of the archive may contain that of the label.

    Raises:
        UserError: if no column can contain labels.
    """
    sample, test = tables.targets, tables.test
    candidates = table.rows[[column for column in table.columns if column != id_column]]
    varied = candidates[
        [column for column in candidates.columns if candidates[column].nunique() > 1]
    ]
    inferred = None if sample is None else _from_sample(sample, candidates, varied, test)
    if inferred is None and varied.empty:
        names = examples([str(column) for column in candidates.columns])
        why = f"{names}: the same value in all rows" if names else f"{id_column} is its only column"
        raise UserError(f"{table.name}: no column can contain labels ({why}). Add one.")
    value, confidence, reason = inferred or _from_table(
        varied, test, sample, (table.name, survey.path.stem)
    )
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
    sample: Sample, candidates: pd.DataFrame, varied: pd.DataFrame, test: Table | None
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
    if column := _column_with_values_of(sample, varied):
        return column, "likely", "contains labels from the sample submission"
    given = _given(varied, test)
    return _with_affixes(targets, [str(c) for c in varied.columns if c not in given])


def _with_affixes(targets: Sequence[str], names: Sequence[str]) -> Inferred | None:
    """The columns whose names are longer or shorter than `targets` by a common prefix or suffix:
    X4_mean for X4. Of several, such as X4_mean and X4_sd, those of the mean.
    """
    ways = affixes.pairings(targets, names)
    means = [way for way in ways if name_parts(way[targets[0]])[-1:] == ["mean"]]
    means = means or [way for way in ways if {*name_parts(way[targets[0]])} & {*CENTERS}]
    if not ways or (len(ways) > 1 and len(means) != 1):
        return None
    found = [*(ways[0] if len(ways) == 1 else means[0]).values()]
    value = found if len(found) > 1 else found[0]
    shown = examples(targets, 2)
    if len(ways) == 1:
        return value, "likely", f"named like {shown} in the sample submission"
    others = examples([name for way in ways for name in way.values() if name not in found], 2)
    return value, "guess", f"named like {shown} in the sample submission, but so are {others}"


def _letters(name: str) -> str:
    """A name without case, spaces and punctuation; a name without letters or digits unchanged."""
    return re.sub(r"[\W_]", "", name.lower()) or name


def _from_table(
    varied: pd.DataFrame, test: Table | None, sample: Sample | None, sources: Sequence[str]
) -> Inferred:
    columns, given = [str(column) for column in varied.columns], _given(varied, test)
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
    if not _are_classes(varied[columns], sample) and (mentioned := _mentioned(columns, sources)):
        return mentioned, "likely", "the files are named after it"
    return _from_cells(varied[columns], sample)


def _are_classes(varied: pd.DataFrame, sample: Sample | None) -> bool:
    """Whether several columns contain 0 and 1, and the sample may have a column for each."""
    return len(_zero_one(varied)) > 1 and not (sample is not None and sample.has_fractions)


def _zero_one(varied: pd.DataFrame) -> list[str]:
    return [str(c) for c in varied.columns if not flags(varied[[c]]).isna().any(axis=None)]


def _from_cells(varied: pd.DataFrame, sample: Sample | None) -> Inferred:
    columns = [str(column) for column in varied.columns]
    if _are_classes(varied, sample):
        zero_one = _zero_one(varied)
        confidence: Confidence = "likely" if zero_one == columns else "guess"
        return zero_one, confidence, "contain only 0 and 1: one column per class"
    plausible = [c for c in columns if sample is None or _may_be(varied[c], sample)] or columns
    plausible = [column for column in plausible if not has_part(column, ATTRIBUTES)] or plausible
    if len(plausible) == 1:
        others = examples([column for column in columns if column not in plausible], 3)
        return plausible[0], "guess", f"more likely a label than {others}"
    fewest = min(plausible, key=lambda column: varied[column].nunique())
    return fewest, "guess", f"has the fewest distinct values ({varied[fewest].nunique()})"


def _given(varied: pd.DataFrame, test: Table | None) -> set[str]:
    """The columns that the test table also has, perhaps under another name: as another spelling
    (Sex, sex), or with texts that only one column of the training table has (gender: M and F).
    """
    if test is None:
        return set()
    names = {_letters(str(column)): str(column) for column in varied.columns}
    found, few = set[str](), [c for c in varied if varied[c].nunique() <= MAX_CODES]
    cells = {str(column): {*varied[column].str.strip().unique()} for column in few}
    for column in test.columns:
        values = {cell for cell in test.rows[column].str.strip().unique() if cell}
        if test.rows[column].nunique() < 2:
            continue  # a placeholder
        if (same := names.get(_letters(column))) is not None:
            found.add(same)
        elif len(values) > 1 and not any(NUMBER.fullmatch(value) for value in values):
            like = [column for column, known in cells.items() if values <= known]
            found.update(like if len(like) == 1 else [])
    return found


def _mentioned(columns: Sequence[str], sources: Sequence[str]) -> str | None:
    """The column that files are named after: boneage in boneage-training-dataset.csv."""
    parts = [name_parts(source) for source in sources]
    names = {
        "".join(of[begin:end])
        for of in parts
        for begin, end in itertools.combinations(range(len(of) + 1), 2)
    }
    found = [
        column
        for column in columns
        if len(name := _letters(column)) >= FEWEST_MENTIONED
        and not words.has_word(column, *words.FORMS)
        and name in names
    ]
    return max(found, key=len, default=None)


def _may_be(column: pd.Series, sample: Sample) -> bool:
    """Whether the sample submission's only column can be predictions of a `column`: numbers are
    labels, probabilities or class indices, if these are few.
    """
    cells = {canonical(cell) for cell in column.str.strip().unique() if cell}
    is_number = are_numbers([*cells])
    if not are_numbers(sample.values) or (is_number and len(cells) > MAX_CODES):
        return True
    largest = max(1, len(cells) - 1)
    return all(canonical(v) in cells or 0 <= float(v) <= largest for v in sample.values)


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
