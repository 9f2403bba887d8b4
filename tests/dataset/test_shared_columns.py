"""Which image, unit and group each row of the tables is of, and what its columns contain."""

from pathlib import Path
from typing import Any

import competitions
import pandas as pd
from test_metadata_columns import TEST, TRAIN, columns

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.dataset import metadata_columns, shared_columns, tables
from podium.dataset.shared_columns import SharedColumns


def read(
    folder: Path, train: pd.DataFrame, test: pd.DataFrame, **layout: Any
) -> tuple[SharedColumns, tables.Tables, metadata_columns.Metadata]:
    files = competitions.competition(TRAIN, TEST)
    files |= {"train.csv": competitions.csv(train), "test.csv": competitions.csv(test)}
    options = Prepare.model_validate({"features": "auto"} | layout)
    with Archive(competitions.write_zip(folder / "c.zip", files)) as archive:
        found = tables.read(archive, options, "multiclass")
        metadata = metadata_columns.read(archive, options, found)
        return shared_columns.read(archive, options, found), found, metadata


def competition() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row per image, with columns of all kinds."""
    train, test = competitions.tables(TRAIN, TEST)
    made = []
    for seed, table in enumerate((train, test[["id"]])):
        count = len(table)
        more = {
            "seen": [f"2024-01-{1 + n % 9:02d}" for n in range(count)],
            "price": [f"{n % 7},5" for n in range(count)],
            "mostly": [{0: "?", 2: "about 3"}.get(n, str(n % 8)) for n in range(count)],
        }
        made.append(table.assign(**columns(count, seed), **more))
    return made[0], made[1]


def test_the_kinds_of_columns_are_those_of_features(tmp_path: Path) -> None:
    found, _, metadata = read(tmp_path, *competition())
    assert {"age", "site", "zip", "seen", "price", "mostly"} <= metadata.kinds.keys()
    assert metadata.kinds.items() <= found.kinds.items()
    assert found.kinds["price"] == "decimal_comma" and found.kinds["mostly"] == "categorical"
    table = found.table[found.table["part"] == "train"]
    for name, values in metadata.train.items():
        assert table[f"column {name}"].dropna().tolist() == values.dropna().tolist()
    named = {"features": ["age", {"zip": "numeric"}]}
    assert read(tmp_path, *competition(), **named)[0].kinds["zip"] == "numeric"


def test_rows_have_the_ids_of_their_images_and_their_groups(tmp_path: Path) -> None:
    train, test = competition()
    train = train.assign(patient=[f"p{n // 4}" for n in range(TRAIN)], id=train["id"] + " ")
    test = test.assign(patient=[f"P{n // 3} " for n in range(TEST)])
    found, read_tables, _ = read(tmp_path, train, test, group_column="patient")
    rows = found.table
    for part, ids in read_tables.ids.items():
        assert rows.loc[rows["part"] == part, "id"].tolist() == ids
    assert "column patient" not in rows
    assert rows.loc[rows["part"] == "test", "group"].nunique() == 3
    in_both = set(rows.loc[rows["part"] == "test", "group"])
    assert in_both < set(rows.loc[rows["part"] == "train", "group"])
    del test["patient"]
    groups = read(tmp_path, train, test, group_column="patient")[0].table["group"]
    assert (groups == "").sum() == TEST


def test_a_row_per_label_has_the_id_of_its_image(tmp_path: Path) -> None:
    known, hidden = competitions.tables(TRAIN, TEST)
    rows = [
        {"id": f"{image}_{label}", "label": int(label == given), "site": "AB"[n % 2]}
        for n, (image, given) in enumerate(zip(known["id"], known["label"], strict=True))
        for label in competitions.CLASSES
    ]
    submitted = [f"{image}_{label}" for image in hidden["id"] for label in competitions.CLASSES]
    written = {
        "train.csv": pd.DataFrame(rows),
        "test.csv": hidden[["id"]].assign(site="A"),
        "sample_submission.csv": pd.DataFrame({"id": submitted, "label": 0.5}),
    }
    files = competitions.competition(TRAIN, TEST)
    files |= {name: competitions.csv(table) for name, table in written.items()}
    layout = Prepare.model_validate({"label_column": "label", "id_label_separator": "_"})
    with Archive(competitions.write_zip(tmp_path / "c.zip", files)) as archive:
        read_tables = tables.read(archive, layout, "multilabel")
        found = shared_columns.read(archive, layout, read_tables)
    counts = found.table.loc[found.table["part"] == "train", "id"].value_counts()
    assert set(counts) == {len(competitions.CLASSES)}
    assert set(counts.index) == set(read_tables.ids["train"])
