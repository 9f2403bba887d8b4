"""Values of label columns that mean "no label", judging by their names."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from podium.competition.text.names import normalize
from podium.core.errors import UserError
from podium.init.guesses import Guess
from podium.init.sample import Sample, are_numbers

NOT_A_NUMBER = {"?", "missing", "n/a", "na", "nan", "not available", "null"}
NAMES = NOT_A_NUMBER | {
    "ambiguous", "no label", "not labeled", "not sure", "skip", "skipped", "undefined", "unknown",
    "unlabeled", "unlabelled", "unsure",
}  # fmt: skip


def distinct(column: pd.Series) -> list[str]:
    """The distinct values of a label column that are not empty."""
    return [cell for cell in column.str.strip().unique() if cell]


def find(column: pd.Series, sample: Sample | None) -> list[str]:
    """The values of a label column that look like missing labels and are not in the `sample`."""
    submitted = () if sample is None else sample.values
    values = [value for value in distinct(column) if normalize(value) in NAMES]
    return [value for value in values if value not in submitted]


def without_names(labels: pd.DataFrame, sample: Sample | None) -> pd.DataFrame:
    """The label columns, with empty cells for what `find` finds in those that else have numbers: in
    others it may be a class.
    """
    return labels.apply(lambda column: numbers(column, _of(sample, str(column.name))))


def numbers(column: pd.Series, sample: Sample | None) -> pd.Series:
    """A label column, with empty cells for what `find` finds if all others are numbers. Next to
    whole numbers, which may be classes, "unknown" may be a class.
    """
    missing = find(column, sample)
    is_missing = column.str.strip().isin(missing)
    others = distinct(column[~is_missing])
    if not are_numbers(others):
        return column
    is_whole = all(float(value).is_integer() for value in others)
    if is_whole and not {*map(normalize, missing)} <= NOT_A_NUMBER:
        return column
    return column.mask(is_missing, "")


def clear(labels: pd.DataFrame, prepare: Mapping[str, Any]) -> pd.DataFrame:
    """The label columns with empty cells for the values in `prepare.no_label`."""
    missing: Mapping[str, list[str]] = prepare.get("no_label", {})
    return labels.assign(
        **{
            name: labels[name].mask(labels[name].str.strip().isin(values), "")
            for name, values in missing.items()
        }
    )


def guess(labels: pd.DataFrame, names: Iterable[str], sample: Sample | None) -> Guess:
    """The values of the label columns `names` that mean that an image has no label."""
    values = {name: find(labels[name], _of(sample, name)) for name in names}
    found = {name: missing for name, missing in values.items() if missing}
    reason = "no value looks like a missing label"
    if found:
        reason = "judging by their names, these are missing labels, not classes"

    def parse(answer: str) -> dict[str, list[str]]:
        return _parse(answer, labels)

    return Guess("prepare.no_label", found, "guess" if found else "certain", reason, (), parse)


def _of(sample: Sample | None, name: str) -> Sample | None:
    return None if sample is None else sample.of(name)


def _parse(answer: str, labels: pd.DataFrame) -> dict[str, list[str]]:
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
