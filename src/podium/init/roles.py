"""Which of an archive's tables is the training table, the test table, the sample submission."""

from dataclasses import dataclass

import pandas as pd

from podium.core.errors import UserError
from podium.init.columns import find_ids
from podium.init.guesses import Chooser, Guess, Sureness
from podium.init.matching import Names
from podium.init.survey import Survey, Table, says, suffix

ROLES = ("train", "label", "test", "sample", "submission")


@dataclass(frozen=True)
class Roles:
    """The tables of a competition; None for those that it lacks."""

    train: Table | None
    test: Table | None
    sample: Table | None


def find_roles(survey: Survey, names: Names, chooser: Chooser) -> Roles:
    """Tell the tables apart by their names, what their ids name, and what they have in common.

    Raises:
        UserError: if one that by its name should have a role cannot be read.
    """
    named = [
        problem
        for name, problem in survey.problems.items()
        if suffix(name) == ".csv" and says(name.rpartition("/")[2], *ROLES)
    ]
    if named:
        raise UserError("; ".join(named))
    by_name = {table.name: table for table in survey.tables}
    matched = {table.name: find_ids(table, names) for table in survey.tables}
    sample = _take("sample_submission", _samples(survey.tables), chooser)
    rest = [table for table in survey.tables if table.name != sample]
    targets = by_name[sample].columns[1:] if sample else []

    def is_usable(table: Table) -> bool:
        return table.pixels is not None or matched[table.name] is not None

    def rank(table: Table) -> tuple[bool, ...] | tuple[int, ...]:
        values = [set(table.rows[column]) for column in table.columns] if len(targets) > 1 else []
        fits = bool(targets) and (set(targets) <= set(table.columns) or set(targets) in values)
        return is_usable(table), fits, table.says("train"), table.says("label"), len(table.rows)

    labelled = [t for t in rest if (len(t.columns) > 1 or t.pixels) and _may_train(t)]
    labelled.sort(key=rank, reverse=True)
    usable = [table for table in labelled if is_usable(table)]
    train = _take("train_csv", usable or [t for t in labelled if t.says("train")], chooser)
    rest = [table for table in rest if table.name != train]
    test = None
    if train is not None:
        tests = _tests(rest, by_name[train], matched)
        test = _take("test_csv", tests, chooser)
    elif tests := [t for t in rest if t.says("test") and matched[t.name] is not None]:
        test = _take("test_csv", tests, chooser)
    else:
        chooser.choose(Guess("prepare.test_csv", None, "certain", "there is none"))
    return Roles(*(by_name.get(name) if name else None for name in (train, test, sample)))


def _may_train(table: Table) -> bool:
    return table.says("train") or not table.says("test", "valid")


def _samples(tables: list[Table]) -> list[Table]:
    """Those that can be sample submissions, the likeliest first."""
    named = [t for t in tables if t.says("sample", "submission") and t.pixels is None]
    if named:
        return sorted(named, key=lambda t: (not t.says("sample"), len(t.name), t.name))
    return [table for table in tables if len(tables) > 1 and _is_constant(table)]


def _is_constant(table: Table) -> bool:
    """Whether it has unique ids and the same targets in all rows, as sample submissions have."""
    rows = table.rows
    if table.says("train", "test", "label") or table.pixels or rows.shape[1] < 2 or len(rows) < 2:
        return False
    first, others = rows.iloc[:, 0], rows.iloc[:, 1:]
    return bool(first.is_unique and (others.nunique() == 1).all())


def _tests(
    tables: list[Table], train: Table, matched: dict[str, tuple[str, float] | None]
) -> list[Table]:
    """Those that can name the test images, the likeliest first."""
    if train.pixels is not None:
        same = [t for t in tables if t.pixels and t.pixels.columns == train.pixels.columns]
        return sorted(same, key=lambda table: not table.says("test"))
    named = [t for t in tables if t.says("test") and len(t.columns)]
    if named:
        return sorted(named, key=lambda table: (matched[table.name] is None, len(table.name)))
    known = matched[train.name]
    mine = set(train.rows[known[0]]) if known else set()
    others = []
    for table in tables:
        found = matched[table.name]
        if found is not None and mine.isdisjoint(table.rows[found[0]]):
            others.append(table)
    return others


def _take(name: str, tables: list[Table], chooser: Chooser) -> str | None:
    """Choose the first of `tables` as prepare's `name`, and say how it was told."""
    key = f"prepare.{name}"
    words = {"sample_submission": ("sample", "submission"), "test_csv": ("test",)}
    if not tables:
        chooser.choose(Guess(key, None, "certain", "there is none"))
        return None
    first, *others = tables
    by_name = first.says(*words.get(name, ("train", "label")))
    why = "by its name" if by_name else "by what it holds"
    alternatives = tuple(table.name for table in others)
    sure: Sureness = (
        "certain" if by_name and not others else "likely" if by_name or not others else "a guess"
    )
    guess = Guess(key, first.name, sure, why, alternatives)
    return str(chooser.choose(guess))


def sample_ids(roles: Roles) -> pd.Series | None:
    """The ids of the sample submission, if there is one."""
    return None if roles.sample is None else roles.sample.rows.iloc[:, 0]


def name_of(table: Table | None) -> str | None:
    """A table's name, None without one."""
    return None if table is None else table.name
