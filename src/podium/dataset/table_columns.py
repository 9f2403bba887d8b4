"""Read columns of the archive's CSV files."""

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import nfc
from podium.config.prepare import Prepare
from podium.core.errors import UserError, examples
from podium.dataset import pixel_tables, rows
from podium.dataset.image_files import find_images, image_names

KEYS = {"id": "id_column", "group": "group_column"}  # of params.yaml, by the name in our tables
PREFIXES = {
    "unit": "unit_column",
    "feature": "features",
    "image": "images",
}  # by its first word; else label_column


def find(archive: Archive, name: str, key: str) -> str:
    """`archive.find(name)`. Raises: UserError: with the `key` of params.yaml that has `name`."""
    try:
        return archive.find(name)
    except UserError as error:
        raise UserError(f"prepare.{key}: {error}. Set it to another name, or to null.") from None


def read_columns(
    archive: Archive, name: str, key: str, columns: dict[str, str], layout: Prepare
) -> pd.DataFrame:
    """Read the ids and `columns` (new name -> name in the file) of a CSV: id, and the new names.
    The rows of `more_train_csv` follow those of `train_csv`.

    Raises:
        UserError: if a column is missing, an id contains a line break, or is empty although
            `on_bad_image` is error or nothing else identifies the row.
    """
    tables = [_read(archive, name, key, columns, layout)]
    more = layout.more_train_csv if key == "train_csv" else []
    for place, other in enumerate(more):
        table = _read(archive, other, "more_train_csv", columns, layout)
        if layout.more_train_images:
            table["id"] = as_paths(archive, table["id"], layout.more_train_images[place])
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if more else tables[0]


def as_paths(archive: Archive, ids: pd.Series, folder: str) -> pd.Series:
    """The paths of images in the archive: ids need not differ from those of other folders."""
    unique = ids.unique().tolist()
    files = find_images(image_names(archive), unique, folder=folder)
    paths = [file or f"{folder.strip('/')}/{i}" for i, file in zip(unique, files, strict=True)]
    return ids.map(dict(zip(unique, map(nfc, paths), strict=True)))


def _read(
    archive: Archive, name: str, key: str, columns: dict[str, str], layout: Prepare
) -> pd.DataFrame:
    is_test_id = key == "test_csv" and layout.test_id_column is not None
    if (ids := layout.test_id_column if is_test_id else layout.id_column) is not None:
        columns = {"id": ids, **columns}
    elif layout.pixel_columns is None:
        raise UserError(f"prepare.id_column is null. Set it to the id column of {name}.")
    path = find(archive, name, key)
    header = archive.header(path)
    spelled = {nfc(column): column for column in header}
    if missing := {old: new for new, old in columns.items() if nfc(old) not in spelled}:
        columns_shown = header if len(header) <= 50 else [*header[:20], f"… ({len(header)} in all)"]
        names = KEYS | {"id": "test_id_column"} if key == "test_csv" else KEYS
        names = names | {"unit": "submission_id_column"}
        keys = dict.fromkeys(
            names.get(new) or PREFIXES.get(new.partition(" ")[0], "label_column")
            for new in missing.values()
        )
        hint = "Are its fields separated by , ; | or a tab?"
        if len(header) > 1:
            hint = f"Fix {' and '.join(f'prepare.{setting}' for setting in keys)}."
        raise UserError(
            f"{name} has no column {examples([*missing])}; it has {', '.join(columns_shown)}. "
            f"{hint}"
        )
    columns = {new: spelled[nfc(old)] for new, old in columns.items()}
    needed = None
    if layout.pixel_columns is not None:
        pixel_tables.columns(header, layout, name)
        needed = [*columns.values()] or header[:1]
    table = archive.read_csv(path, needed)
    table = pd.DataFrame({new: table[old] for new, old in columns.items()}, index=table.index)
    if "id" not in table:
        table.insert(0, "id", [str(number) for number in range(1, len(table) + 1)])
    submitted = nfc(layout.submission_id_column or "")
    may_be_blank = layout.id_column is not None and (key != "test_csv" or submitted != "")
    if may_be_blank and layout.on_bad_image != "error" and not table.empty:
        of_rows = archive.read_csv(path, [spelled[submitted]]) if submitted in spelled else None
        row_ids = None if of_rows is None else of_rows.iloc[:, 0]
        table["id"] = rows.name_blank(table["id"], row_ids, name)
    hint = ", or set prepare.on_bad_image: skip if rows have no image" if may_be_blank else ""
    rows.check_ids(table, name, hint)
    return table
