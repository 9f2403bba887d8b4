"""Training tables with one row per image and label: `ID_7_epidural,1`."""

import pandas as pd

from podium.config.prepare import Prepare
from podium.dataset import submission_file
from podium.dataset.rows import LABEL
from podium.dataset.spelling import SampleNames


def widen(table: pd.DataFrame, layout: Prepare, names: SampleNames) -> pd.DataFrame:
    """Reshape to one row per image and one column per label if the ids of `table` end with
    `id_label_separator` and a label of the sample submission (`names`); else return it unchanged.

    Raises:
        UserError: if an image lacks a label, or has several values for one.
    """
    separator, columns = layout.id_label_separator, layout.label_columns
    if separator is None or len(columns) > 1:
        return table
    known = {*names.columns}
    ids = table["id"].tolist()
    if any(submission_file.split(image, known, separator) is None for image in ids):
        return table
    about = submission_file.split_rows(ids, separator, names.columns, name="id")
    submission_file.check_complete(about, names.columns)
    values = table[LABEL + columns[0]]
    wide = submission_file.pivot(about, values, names.columns, name="id")
    others = table.drop(columns=[LABEL + columns[0]]).assign(id=about["id"])
    others = others.drop_duplicates("id").reset_index(drop=True)  # in the order of `wide`
    return others.join(wide.drop(columns="id").add_prefix(LABEL))
