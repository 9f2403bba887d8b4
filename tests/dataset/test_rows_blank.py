"""Rows whose image cell is empty."""

import pandas as pd

from podium.dataset import rows


def test_a_row_without_an_image_is_not_the_file_of_that_name() -> None:
    named = rows.name_blank(pd.Series(["", "8.jpg"]), pd.Series(["7", "8"]), "test.csv")
    assert named.tolist() == ["7 (no image)", "8.jpg"]
