"""Select columns of the training and test tables as further inputs, and read them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, canonical, nfc
from podium.config.prepare import Prepare
from podium.config.prepare_values import ColumnKind
from podium.core.errors import UserError, counted, examples
from podium.dataset import column_kinds, pixel_tables, table_columns
from podium.dataset.tables import Tables
from podium.metadata.table import is_numeric

MAX_UNSEEN = 0.5  # of the test cells of a column, without a warning


class Metadata(NamedTuple):
    """Columns by image id: float64 for numbers (NaN: missing), else text."""

    train: pd.DataFrame
    test: pd.DataFrame
    warnings: list[str]
    kinds: dict[str, ColumnKind]
    lines: list[str]  # what was selected


def read(archive: Archive, layout: Prepare, tables: Tables) -> Metadata:
    """Read the columns `layout.features` for the images in `tables`.

    Raises:
        UserError: if a table lacks a column or an image, or no column is usable.
    """
    if layout.features == "none":
        train, test = (pd.DataFrame(index=table["id"]) for table in (tables.train, tables.test))
        return Metadata(train, test, [], {}, [])
    assert layout.train_csv is not None
    kinds = layout.feature_kinds
    if layout.features == "auto":
        kinds = dict.fromkeys(shared_columns(archive, layout))
    texts = _read_texts(archive, layout, tables.train, "train_csv", [*kinds])
    found, left_out = dict[str, ColumnKind](), dict[str, str]()
    for name, kind in kinds.items():
        if layout.features == "auto" and (reason := column_kinds.why_not(texts[name])):
            left_out[name] = reason
        else:
            found[name] = kind or column_kinds.kind_of(texts[name])
    if not found:
        raise UserError(
            f"prepare.features: {layout.train_csv} and {layout.test_csv} have no usable columns in "
            f"common{_shown(left_out)}. Set features: none."
        )
    train, unreadable = convert(texts, found)
    warnings = _warn(unreadable, layout.train_csv)
    test, more = read_test(archive, layout, tables.test, found)
    lines = list[str]()
    if unclear := [name for name, why in left_out.items() if why == column_kinds.AMBIGUOUS]:
        warnings.append(f"prepare.features: skipped {examples(unclear)}: {column_kinds.AMBIGUOUS}")
    if layout.features == "auto":
        names = examples([f"{name} ({kind})" for name, kind in found.items()])
        lines.append(f"prepare.features: {names}{_shown(left_out)}")
    more += _warn_of_unseen(train, test, layout.test_csv)
    return Metadata(train, test, warnings + more, found, lines)


def read_test(
    archive: Archive, layout: Prepare, test: pd.DataFrame, kinds: Mapping[str, ColumnKind]
) -> tuple[pd.DataFrame, list[str]]:
    """Read the columns `kinds` for the test images (a table of id and, with several images per id,
    unit). Returns them and warnings.

    Raises:
        UserError: if the test table lacks a column or an image.
    """
    assert layout.test_csv is not None
    if test.empty:  # `prepare.hidden_test`
        texts = pd.DataFrame({name: [] for name in kinds}, dtype=str)
    else:
        texts = _read_texts(archive, layout, test, "test_csv", [*kinds])
    table, unreadable = convert(texts, kinds)
    return table, _warn(unreadable, layout.test_csv)


def shared_columns(archive: Archive, layout: Prepare) -> list[str]:
    """The columns of both tables that have no other use (ids, labels, groups, pixels)."""
    assert layout.train_csv is not None and layout.test_csv is not None
    train, test = (
        archive.header(table_columns.find(archive, name, key))
        for name, key in ((layout.train_csv, "train_csv"), (layout.test_csv, "test_csv"))
    )
    used = {layout.id_column, layout.test_id_column, layout.submission_id_column}
    used |= {layout.group_column, *layout.label_columns, *layout.unit_columns}
    if layout.pixel_columns is not None:
        used |= {*pixel_tables.columns(train, layout, layout.train_csv)}
    known = {nfc(name) for name in used if name is not None}
    of_test = {nfc(name) for name in test}
    return [name for name in train if nfc(name) in of_test - known]


def _read_texts(
    archive: Archive, layout: Prepare, images: pd.DataFrame, key: str, names: list[str]
) -> pd.DataFrame:
    """The columns `names` of a table as text, per image (id, and unit if `layout.images`)."""
    name = getattr(layout, key)
    table = table_columns.read_columns(
        archive, name, key, {f"feature {column}": column for column in names}, layout
    )
    wanted = images["unit" if layout.images is not None and "unit" in images else "id"]
    if key == "test_csv" and layout.id_column is None:
        table["id"] = images["id"].to_numpy()  # in the same order
    elif key == "test_csv":
        spelled = NameIndex(wanted, ignore_case=False)
        table["id"] = [spelled.find(image) or image for image in table["id"]]
    else:
        table["id"] = table["id"].map(nfc)
    if (separator := layout.id_label_separator) is not None:  # a row per label: ID_7_epidural
        known = {*wanted}
        of_rows = [i if i in known else i.rpartition(separator)[0] for i in table["id"]]
        table["id"] = of_rows
    table = table.drop_duplicates("id").set_index("id")
    if missing := sorted({*wanted} - {*table.index}):
        raise UserError(
            f"prepare.features: {name} has no row for {counted(len(missing), 'image')}: "
            f"{examples(missing)}. "
            "Add them, or set features: none."
        )
    rows = table.loc[wanted].set_axis(names, axis=1)
    return rows.set_axis(pd.Index(images["id"].tolist(), dtype=object), axis=0)


def convert(
    texts: pd.DataFrame, kinds: Mapping[str, ColumnKind]
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Convert the columns `kinds` to float64 (NaN: missing) or text (None: missing). Also returns
    cells that should be numbers but are not.
    """
    columns, unreadable = dict[str, pd.Series](), dict[str, pd.Series]()
    for name, kind in kinds.items():
        missing = column_kinds.is_missing(texts[name])
        stripped = texts[name].str.strip()
        if kind != "categorical":
            known = column_kinds.numbers_in(stripped[~missing], kind)
            columns[name] = pd.Series(np.nan, texts.index, np.float64)
            columns[name][~missing] = known[np.isfinite(known)]
            if known.isna().any():
                unreadable[name] = stripped[~missing][known.isna()]
        else:
            columns[name] = stripped.map(canonical).astype(object).mask(missing, None)
    return pd.DataFrame(columns, index=texts.index), unreadable


def _warn(unreadable: Mapping[str, pd.Series], name: str) -> list[str]:
    return [
        f"prepare.features: {counted(len(cells), 'cell')} of {column} in {name} without a number, "
        f"treated as missing: {examples(cells.drop_duplicates().tolist())}"
        for column, cells in unreadable.items()
    ]


def _warn_of_unseen(train: pd.DataFrame, test: pd.DataFrame, name: str | None) -> list[str]:
    """Warnings about columns of categories that most test images share with no training image."""
    warnings = []
    for column in train:
        known = test[column].dropna()
        if not is_numeric(train[column]) and len(known):
            unseen = ~known.isin(train[column].dropna())
            if unseen.mean() > MAX_UNSEEN:
                shown = examples(known[unseen].drop_duplicates().tolist())
                warnings.append(
                    f"prepare.features: {unseen.mean():.0%} of the values of {column} in {name} "
                    f"are in no training row: {shown}"
                )
    return warnings


def _shown(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    return f"; skipped: {examples([f'{name} ({why})' for name, why in left_out.items()], 12)}"
