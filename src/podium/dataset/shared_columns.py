"""Further columns of both the training tables and the test table, by row."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, nfc
from podium.config.prepare import Prepare
from podium.config.prepare_values import ColumnKind
from podium.dataset import column_kinds, metadata_columns, pixel_tables, spelling, table_columns
from podium.dataset.tables import Tables

PREFIX = "column "  # of their names, which may be any


class SharedColumns(NamedTuple):
    """Columns that are not ids, labels, groups or pixels."""

    table: pd.DataFrame  # part ("train" or "test"), id, group ("": none), and "column <name>" each
    kinds: dict[str, ColumnKind]  # by name


class _Source(NamedTuple):
    """One of the tables."""

    path: str
    part: str  # train or test
    folder: str | None  # of its images, if their ids become paths


def read(archive: Archive, layout: Prepare, tables: Tables) -> SharedColumns:
    """Read the rows of the training tables and the test table, with the id of each row's image, or
    of the unit of its images, as in `tables`. There are no rows without columns that all have.
    """
    sources = _sources(archive, layout)
    headers = [archive.header(source.path) for source in sources]
    names = _names(layout, headers) if sources else []
    if not names:
        return SharedColumns(pd.DataFrame({"part": [], "id": [], "group": []}, dtype=str), {})
    known = {"train": _index(tables.train), "test": _index(tables.test)}
    rows = []
    for source, header in zip(sources, headers, strict=True):
        table = _read(archive, layout, source, header, names)
        if source.part == "test" and layout.id_column is None and len(table) == len(tables.test):
            table["id"] = tables.test["id"].to_numpy()  # in the same order
        else:
            table["id"] = [_identify(text, known[source.part], layout) for text in table["id"]]
        rows.append(table)
    merged = pd.concat(rows, ignore_index=True)
    texts = merged[[PREFIX + name for name in names]].set_axis(names, axis=1)
    trained = texts[merged["part"] == "train"]  # as `metadata_columns` infers kinds
    kinds: dict[str, ColumnKind] = {
        name: layout.feature_kinds.get(name) or column_kinds.kind_of(trained[name])
        for name in names
    }
    values, _ = metadata_columns.convert(texts, kinds)
    keys = merged[["part", "id"]].assign(group=spelling.unify_groups(merged["group"]).str.strip())
    return SharedColumns(pd.concat([keys, values.add_prefix(PREFIX)], axis=1), kinds)


def _sources(archive: Archive, layout: Prepare) -> list[_Source]:
    """The training tables and the test table; none unless there are both."""
    if layout.train_csv is None or layout.test_csv is None:
        return []
    folders: Sequence[str | None] = layout.more_train_images
    folders = folders or [None] * len(layout.more_train_csv)
    return [
        _Source(archive.find(layout.train_csv), "train", None),
        *(
            _Source(archive.find(name), "train", folder)
            for name, folder in zip(layout.more_train_csv, folders, strict=True)
        ),
        _Source(archive.find(layout.test_csv), "test", None),
    ]


def _names(layout: Prepare, headers: list[list[str]]) -> list[str]:
    """The columns that all tables have and that have no other use."""
    used = {layout.id_column, layout.test_id_column, layout.submission_id_column}
    used |= {layout.group_column, *layout.label_columns, *layout.unit_columns}
    if layout.pixel_columns is not None:
        used |= set(pixel_tables.columns(headers[0], layout, str(layout.train_csv)))
    known = {nfc(name) for name in used if name is not None}
    in_all = set.intersection(*map(set, headers))
    return [name for name in headers[0] if name in in_all and nfc(name) not in known]


def _read(
    archive: Archive, layout: Prepare, source: _Source, header: list[str], names: list[str]
) -> pd.DataFrame:
    """The rows of a table as text: part, id (without an id column: the row's number), group and the
    columns `names`.
    """
    spelled = {nfc(column): column for column in header}
    id_column = layout.id_column
    if source.part == "test" and layout.test_id_column is not None:
        id_column = layout.test_id_column
    ids = spelled.get(nfc(id_column or ""))
    group = spelled.get(nfc(layout.group_column or ""))
    read = [name for name in (ids, group) if name is not None]
    table = archive.read_csv(source.path, [*read, *names])
    rows = table[names].add_prefix(PREFIX).assign(part=source.part, group="")
    rows["id"] = [str(number) for number in range(1, len(table) + 1)]
    if ids is not None:  # rows without an id have nothing in common
        rows["id"] = table[ids].where(table[ids].str.strip() != "", "row " + rows["id"])
    if group is not None:
        rows["group"] = table[group]
    if source.folder is not None:
        rows["id"] = table_columns.as_paths(archive, rows["id"], source.folder)
    return rows


def _index(images: pd.DataFrame) -> NameIndex:
    """The ids of images and of their units."""
    units = images["unit"] if "unit" in images else images["id"]
    return NameIndex([*images["id"], *units], ignore_case=False)


def _identify(text: str, known: NameIndex, layout: Prepare) -> str:
    """A row's id as the images have it. With a row per label (ID_7_epidural), without the label."""
    found = known.find(text)
    if found is None and layout.id_label_separator is not None:
        text = text.rpartition(layout.id_label_separator)[0]
        found = known.find(text)
    return found or text
