"""Further columns of both the training and the test table."""

import pandas as pd

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.dataset import pixel_tables


def read(archive: Archive, layout: Prepare) -> pd.DataFrame:
    """The rows of both tables as text: `part` (train or test) and the shared columns that are not
    ids, labels or pixels. Only the column `part` unless there are both tables.
    """
    if layout.train_csv is None or layout.test_csv is None:
        return pd.DataFrame({"part": []}, dtype=str)
    names = {"train": layout.train_csv, "test": layout.test_csv}
    found = {part: archive.find(name) for part, name in names.items()}
    headers = {part: archive.header(path) for part, path in found.items()}
    known = {layout.id_column, layout.test_id_column, layout.submission_id_column, "part"}
    known |= {*layout.label_columns, *layout.unit_columns}
    if layout.pixel_columns is not None:
        known |= set(pixel_tables.columns(headers["train"], layout, names["train"]))
    shared = [name for name in headers["train"] if name in headers["test"] and name not in known]
    if not shared:
        return pd.DataFrame({"part": []}, dtype=str)
    tables = {part: archive.read_csv(path, shared) for part, path in found.items()}
    parts = [table[shared].assign(part=part) for part, table in tables.items()]
    return pd.concat(parts, ignore_index=True)[["part", *shared]]
