"""Further columns of both the training tables and the test table."""

import pandas as pd

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.dataset import pixel_tables


def read(archive: Archive, layout: Prepare) -> pd.DataFrame:
    """The rows of the training tables and the test table as text: `part` (train or test) and the
    columns of all of them that are not ids, labels or pixels. Only the column `part` unless there
    are both.
    """
    if layout.train_csv is None or layout.test_csv is None:
        return pd.DataFrame({"part": []}, dtype=str)
    of_train = [layout.train_csv, *layout.more_train_csv]
    parts = ["train"] * len(of_train) + ["test"]
    found = [archive.find(name) for name in (*of_train, layout.test_csv)]
    headers = [archive.header(path) for path in found]
    known = {layout.id_column, layout.test_id_column, layout.submission_id_column, "part"}
    known |= {*layout.label_columns, *layout.unit_columns}
    if layout.pixel_columns is not None:
        known |= set(pixel_tables.columns(headers[0], layout, layout.train_csv))
    in_all = set.intersection(*map(set, headers)) - known
    shared = [name for name in headers[0] if name in in_all]
    if not shared:
        return pd.DataFrame({"part": []}, dtype=str)
    tables = [
        archive.read_csv(path, shared)[shared].assign(part=part)
        for part, path in zip(parts, found, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)[["part", *shared]]
