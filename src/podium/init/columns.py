"""Which columns of a table hold the ids, the labels and the groups."""

import re

import pandas as pd

from podium.core.errors import UserError, examples
from podium.dataset.labels import NUMBER
from podium.init.guesses import Chooser, Guess, Sureness, one_of, some_of
from podium.init.matching import Names
from podium.init.survey import Table
from podium.init.targets import Sample

FEWEST_GROUPS = 5  # as many as there are folds
LEAST = 0.5  # of a column's values name images, if it is the ids
LABEL_NAMES = (
    "label", "labels", "class", "target", "category", "diagnosis", "species", "breed", "y",
    "class_id", "label_id", "category_id", "class_name", "individual_id", "individual", "tags",
    "attribute_ids", "level", "grade", "score", "rating", "severity", "stage", "quality", "age",
    "count", "price", "value",
)  # fmt: skip
GROUP = re.compile(  # "PatientID" and "the_patient", not "age_group"
    r"(?i)(.*[_ ])?(patient|subject|individual|scene)([_ ]?(id|number|name|code))?"
    r"|(group|session)([_ ]?(id|number|name|code))?"
)


def find_ids(table: Table, names: Names) -> tuple[str, float] | None:
    """The column whose values name images, and the share of them that does; the one with the
    fewest repetitions where there are several. None if there is none.
    """
    best: tuple[float, float, str] | None = None
    for column in table.columns:
        values = table.rows[column]
        share = names.share(values.tolist())
        if share >= LEAST:
            rank = share * values.nunique() / len(values)
            if best is None or rank > best[0] + 1e-9:
                best = rank, share, column
    return None if best is None else (best[2], best[1])


def choose_ids(table: Table, names: Names, chooser: Chooser) -> str:
    """The id column of the training table.

    Raises:
        UserError: if no column names images, or one is called like an image: the header is missing.
    """
    found = find_ids(table, names)
    if found is not None and _is_id(found[0], table, names):
        raise UserError(
            f"{table.name} seems to have no header: {found[0]!r} in its first line names an image. "
            "Write one above it, as id,label"
        )
    others = tuple(c for c in table.columns if found is None or c != found[0])
    read = one_of(table.columns, what=f"column of {table.name}")
    if found is None:
        if "prepare.id_column" in chooser.given:
            why, first = "", table.columns[0]
            return str(chooser.choose(Guess("prepare.id_column", first, "a guess", why, read=read)))
        shown = "; ".join(
            f"{column}: {examples(table.rows[column].tolist(), 2)}" for column in table.columns[:5]
        )
        raise UserError(
            f"no column of {table.name} names image files ({shown}); the images are "
            f"{examples(names.images, 3)}. --id-column names the column that should"
        )
    column, share = found
    how = "its values name" if share == 1 else f"{share:.0%} of its values name"
    sure: Sureness = "certain" if share == 1 else "likely"
    guess = Guess("prepare.id_column", column, sure, f"{how} images of the archive", others, read)
    return str(chooser.choose(guess))


def _is_id(column: str, table: Table, names: Names) -> bool:
    """Whether the name of a column of ids is one of them itself."""
    like = re.search(r"\d|\.", column)  # "image" may be a picture of the competition's page
    return bool(like and names.find(column)) and column not in set(table.rows[column])


def choose_unique(table: Table, chooser: Chooser) -> str | None:
    """The id column of a table of pixels: unique and named so, or None."""
    like = [
        column
        for column in table.columns
        if re.fullmatch(r"(?i)(.*[ _])?(id|name|file|filename|image)|.*I[dD]", column)
        and table.rows[column].is_unique
    ]
    why = "unique, and named so" if like else "no unique column is called so: the rows are counted"
    value = like[0] if like else None
    others = tuple(like[1:])
    read = one_of(table.columns, what=f"column of {table.name}", nullable=True)
    guess = Guess("prepare.id_column", value, "certain", why, others, read)
    return chooser.choose(guess)


def choose_labels(
    table: Table, ids: str | None, sample: Sample | None, chooser: Chooser
) -> str | list[str]:
    """The label column of the training table, or its columns, one a class.

    Raises:
        UserError: if no column can hold labels.
    """
    rest = table.rows[[column for column in table.columns if column != ids]]
    varied = rest[[column for column in rest.columns if rest[column].nunique() > 1]]
    told = _told_by_sample(sample, rest, varied) if sample is not None else None
    if told is None and varied.empty:
        columns = examples([str(column) for column in rest.columns])
        raise UserError(
            f"{table.name} has no column that could hold labels: "
            + (f"{columns} have one value each" if columns else f"{ids} is all that it has")
        )
    value, sure, why = told or _told_by_table(varied)
    one = isinstance(value, str)
    others = tuple(str(column) for column in varied.columns if one and column != value)
    read = some_of([str(column) for column in rest.columns], what=f"column of {table.name}")
    guess = Guess("prepare.label_column", value, sure, why, others, read)
    return chooser.choose(guess)


Told = tuple[str | list[str], Sureness, str]


def _told_by_sample(sample: Sample, rest: pd.DataFrame, varied: pd.DataFrame) -> Told | None:
    targets = sample.targets
    if targets and set(targets) <= set(rest.columns):
        value = targets if len(targets) > 1 else targets[0]
        return value, "certain", "as in the sample submission"
    for column in varied.columns if len(targets) > 1 else []:
        if set(rest[column].str.strip()) == set(targets):
            return column, "certain", "its values are the sample submission's columns"
    if same := _with_values_of(sample, varied):
        return same, "likely", "it has labels that the sample submission has"
    return None


def _told_by_table(varied: pd.DataFrame) -> Told:
    columns = [str(column) for column in varied.columns]
    if named := _named(columns):
        return named, "likely" if len(columns) > 1 else "certain", "by its name"
    if len(columns) == 1:
        return columns[0], "certain", "the only column that could hold labels"
    flags = [column for column in columns if varied[column].isin(["0", "1"]).all()]
    if len(flags) > 1:
        sure: Sureness = "likely" if flags == columns else "a guess"
        return flags, sure, "each holds 0 and 1: one column a class"
    least = min(columns, key=lambda column: varied[column].nunique())
    return least, "a guess", f"has the fewest different values, {varied[least].nunique()}"


def choose_groups(table: Table, taken: list[str | None], chooser: Chooser) -> str | None:
    """The column of the groups that the folds must not part, or None."""
    rest = [column for column in table.columns if column not in taken]
    repeated = [
        column
        for column in rest
        if 1 < table.rows[column].nunique() < len(table.rows) and not _has_gaps(table.rows[column])
    ]
    called = [c for c in repeated if GROUP.fullmatch(c)]
    named = [c for c in called if table.rows[c].nunique() >= FEWEST_GROUPS]
    ids = [
        c for c in repeated if c not in named and re.search(r"(?i)(_| )id$|[a-z]ID$|[a-z]Id$", c)
    ]
    read = one_of(rest, what=f"column of {table.name}", nullable=True)
    if not named and not ids and "prepare.group_column" not in chooser.given:
        return None
    value: str | None
    if named:
        value = named[0]
        counts = table.rows[value].nunique(), len(table.rows)
        why = f"{counts[0]} groups of {counts[1]} rows: each stays within one fold"
    else:
        value = None
        why = f"{examples(ids)} repeats: take it if its images resemble each other" if ids else ""
    others = tuple(c for c in (*named, *ids, None) if c != value)
    guess = Guess("prepare.group_column", value, "likely", why, others, read)
    return chooser.choose(guess)


def choose_variants(labels: list[str], targets: list[str], chooser: Chooser) -> str | None:
    """What to do with labels that differ in case or stray spaces only: they are one, if the sample
    submission's columns do not part them. None if there are none.
    """
    spellings: dict[str, set[str]] = {}
    for label in labels:
        spellings.setdefault(" ".join(label.casefold().split()), set()).add(label)
    odd = [
        sorted(group)
        for group in spellings.values()
        if len(group) > 1 or any(label != label.strip() for label in group)
    ]
    if not odd:
        return None
    value = "keep" if all(set(group) <= set(targets) for group in odd) else "merge"
    others = tuple(choice for choice in ("merge", "keep", "error") if choice != value)
    why = f"stray spaces or another case: {examples([*map(repr, odd[0])])}"
    return str(chooser.choose(Guess("prepare.label_variants", value, "a guess", why, others)))


def _with_values_of(sample: Sample, rows: pd.DataFrame) -> str:
    """The only column with the names that the sample submission's cells hold, one or several; "" if
    there is none.
    """
    if sample.value is None or NUMBER.fullmatch(sample.value):
        return ""
    wanted = {sample.value}, set(sample.value.split())
    found = []
    for column in rows.columns:
        known = set(rows[column].str.strip())
        if any(2 * len(names & known) >= len(names) for names in wanted):
            found.append(str(column))
    return found[0] if len(found) == 1 else ""


def _named(columns: list[str]) -> str | None:
    """The column called as labels are, else the one whose name has such a word in it."""
    lower = {column.lower(): column for column in reversed(columns)}
    for name in LABEL_NAMES:
        if name in lower:
            return lower[name]
    for name in LABEL_NAMES:
        for column in columns:
            if name in re.split(r"[ _\-.]+", column.lower()):
                return column
    return None


def _has_gaps(values: pd.Series) -> bool:
    return bool((values.str.strip() == "").any())
