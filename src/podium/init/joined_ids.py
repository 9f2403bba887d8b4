"""Recognize images whose paths are made of several columns: HEPG2-01/Plate1/B02_s1_w1.png."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from podium.competition.text.names import nfc
from podium.config import images_pattern
from podium.core.errors import UserError, examples, listed
from podium.init.id_patterns import IdPattern
from podium.init.matching import is_unnamed

TESTED_ROWS = 20
MAX_TESTED_COLUMNS = 12
MAX_PATTERNS = 64
COLUMN = images_pattern.COLUMN
WORD = re.compile(r"(?<=[/_\-. ])[A-Za-z0-9]+(?=[/_\-. ])")


def find(
    rows: pd.DataFrame, images: Sequence[str], others: Sequence[pd.DataFrame]
) -> IdPattern | None:
    """The pattern of a table whose images are named after several columns: its rows have different
    values of these, and images. The column of the ids is a further one, which one of the `others`
    has, too. Of several patterns, the one for which rows have the most images; None if only some of
    these have the same words between the columns.
    """

    def is_shared(column: str) -> bool:
        tables = (other for other in others if column in other.columns)
        return any(other[column].is_unique for other in tables) and not is_unnamed(column)

    ids = [name for name in map(str, rows.columns) if rows[name].is_unique and is_shared(name)]
    joined, of_rows = _joined(rows, images) if ids else ([], [])
    columns = [name for name in ids if name not in joined]
    if not (joined and columns):
        return None
    found, few = list[tuple[int, bool, str]](), _sample(rows)
    for names in _sufficient(joined, rows):
        own = of_rows if names == joined else _images_of(few[names], images)
        cells = [dict(zip(names, row, strict=True)) for row in few[names].to_numpy().tolist()]
        for pattern in _patterns(cells[0], own[0][0]) if all(own) else ():
            counts = _counts(cells, own, pattern)
            of_any_word = _counts(cells, own, pattern, any_word=True)
            if all(counts):
                found.append((sum(of_any_word), counts == of_any_word, pattern))
    total, is_complete, pattern = max(found, default=(0, False, ""))
    return IdPattern(columns[0], pattern, 1.0, total / len(few)) if is_complete else None


def names_of(tables: Iterable[pd.DataFrame], ids: str, pattern: str) -> dict[str, str]:
    """What the columns in `pattern` name together, by id, from all tables that have them."""
    columns = images_pattern.columns(pattern)
    template, names = images_pattern.split(pattern)[0], dict[str, str]()
    for rows in tables:
        if columns and {ids, *columns} <= {*rows.columns}:
            cells = rows[columns].apply(lambda column: column.map(nfc).str.strip())
            records = cells.assign(id=rows[ids]).to_dict("records")
            names |= {row["id"]: images_pattern.fill(template, row) for row in records}
    return names


def check_test(found: IdPattern, train: str, test: Sequence[str] | None) -> None:
    """Check that the test table, which has the columns `test`, has those that name the images, and
    the ids.

    Raises:
        UserError: if not, or if there is none.
    """
    columns = images_pattern.columns(found.pattern)
    missing = [c for c in (found.column, *columns) if test is None or c not in test]
    if columns and missing:
        has = "there is no test table" if test is None else f"the test table has no {missing[0]}"
        raise UserError(
            f"{train}: the images are named after {listed(columns)}, but {has}. Add a table of the "
            f"test images with the columns {listed([found.column, *columns])}."
        )


def check(rows: pd.DataFrame, name: str, images: Sequence[str]) -> None:
    """Check that several columns of the table called `name` do not identify images only together,
    in a way that `find` does not describe.

    Raises:
        UserError: if they do.
    """
    joined, of_rows = _joined(rows, images)
    if not joined:
        return
    first, example = rows.iloc[0], of_rows[0][0]
    ids = next((str(column) for column in rows.columns if rows[column].is_unique), None)
    image, suffix = first[ids] if ids else "_".join(first[joined]), example.rpartition(".")[2]
    raise UserError(
        f"{name}: no column identifies image files, but {examples(joined)} do so together: "
        f"{', '.join(first[joined])} is in {example}. Rename the images after one column, such as "
        f"{image}.{suffix}, or {image}_1.{suffix}, {image}_2.{suffix}, … for several per row; or "
        "add a column of different ids to all tables, also to the sample submission."
    )


def _joined(rows: pd.DataFrame, images: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The columns whose values are in the paths of images together, and these images for each of
    the tested rows; none if rows have the same values.
    """
    few, joined = _sample(rows), list[str]()
    columns = [*map(str, rows.columns[:MAX_TESTED_COLUMNS])]
    columns = [name for name in columns if few[name].str.contains("[A-Za-z0-9]").all()]
    # Those with the most values leave the fewest images.
    columns.sort(key=lambda column: -rows[column].nunique())
    of_rows = [[*images]] * len(few)
    for column in columns:
        if (left := _narrow(few[column], of_rows)) is not None:
            of_rows, joined = left, [*joined, column]
    if len(joined) < 2 or rows[joined].duplicated().any():
        return [], []
    return [name for name in map(str, rows.columns) if name in joined], of_rows


def _sample(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[:: max(1, len(rows) // TESTED_ROWS)][:TESTED_ROWS]


def _sufficient(columns: Sequence[str], rows: pd.DataFrame) -> Iterator[list[str]]:
    """The columns, and those of them whose values differ in all rows, too: another one may be in
    some of the paths by chance.
    """
    for size in range(len(columns), 1, -1):
        for names in itertools.combinations(columns, size):
            if size == len(columns) or not rows[[*names]].duplicated().any():
                yield [*names]


def _images_of(few: pd.DataFrame, images: Sequence[str]) -> list[list[str]]:
    of_rows = [[*images]] * len(few)
    for column in sorted(few.columns, key=lambda column: -few[column].nunique()):
        of_rows = _narrow(few[column], of_rows) or []
    return of_rows


def _narrow(cells: pd.Series, of_rows: Sequence[Sequence[str]]) -> list[list[str]] | None:
    """The images of each row with its cell in their paths; None if a row has none."""
    found = list[list[str]]()
    for cell, names in zip(cells.str.strip(), of_rows, strict=True):
        regex = _regex(cell)
        found.append([name for name in names if cell in name and regex.search(name)])
        if not found[-1]:
            return None
    return found


def _regex(cell: str) -> re.Pattern[str]:
    """`cell` as a part of a path between separators, perhaps after a word (1 in Plate1)."""
    return re.compile(rf"(?:^|(?<=[/_\-. ]))[A-Za-z]*?({re.escape(cell)})(?=[/_\-. ])")


def _patterns(cells: Mapping[str, str], path: str) -> Iterator[str]:
    """The patterns that an image's path may have, with its row's `cells` as columns."""
    stem = path.rpartition(".")[0]
    spans = [[m.span(1) for m in _regex(c.strip()).finditer(f"{stem}.")] for c in cells.values()]
    for chosen in itertools.islice(itertools.product(*spans), MAX_PATTERNS):
        places = sorted(zip(chosen, cells, strict=True))
        start, end = stem.rfind("/", 0, places[0][0][0]) + 1, places[-1][0][1]
        text, position = "", start
        for (first, last), name in places:
            text += f"{stem[position:first]}{{{name}}}"
            position = last if first >= position else len(stem) + 1  # they overlap
        after, *folders = stem[end:].split("/")
        tail = (f"{after[0]}*" if after else "") + "/*" * len(folders)
        if position <= len(stem) and text.count("{") == len(cells):
            yield text + tail


def _counts(
    rows: Sequence[Mapping[str, str]],
    of_rows: Sequence[Sequence[str]],
    pattern: str,
    *,
    any_word: bool = False,
) -> list[int]:
    """How many of each row's images match a pattern; with `any_word`, also with others in place of
    the words between columns, such as the number of a site, which only some of the images have.
    """
    literals, names = COLUMN.split(pattern)[::2], COLUMN.findall(pattern)
    if any_word:
        literals[1:-1] = [WORD.sub("\0", text) for text in literals[1:-1]]
    escaped = [
        re.escape(text).replace(r"\*", ".*").replace("\0", r"[^/_\-. ]+") for text in literals
    ]
    counts = list[int]()
    for row, paths in zip(rows, of_rows, strict=True):
        cells = (re.escape(row[name].strip()) for name in names)
        own = "".join(itertools.chain(*zip(escaped, [*cells, ""], strict=True)))
        regex = re.compile(f"(?:.*/)?{own}")
        counts.append(sum(bool(regex.fullmatch(path.rpartition(".")[0])) for path in paths))
    return counts
