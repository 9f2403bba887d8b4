"""Sample submissions whose rows are not images: the refusal names the cause and a way out."""

from pathlib import Path

import layouts
import pytest
from test_small_competitions import Files, N, T, images, table

from podium.core.errors import UserError

TARGETS = "C1", "C2", "C3"


def studies(sample: bytes, **tables: bytes) -> Files:
    """A folder of images per study, and a column per target."""
    labels = [f"s{n},{n % 2},{n // 2 % 2},{n // 3 % 2}" for n in N]
    return {
        **images(**{f"train/s{n}": ["0", "1"] for n in N}, **{f"test/t{n}": ["0", "1"] for n in T}),
        "train.csv": table("study,C1,C2,C3", labels),
        "sample_submission.csv": sample,
        **{f"{name}.csv": data for name, data in tables.items()},
    }


def refusal(folder: Path, files: Files) -> str:
    with pytest.raises(UserError) as error:
        print(layouts.inspect(folder, files).tables)
    return str(error.value)


def test_rows_for_one_target(tmp_path: Path) -> None:
    """One of several columns of numbers."""
    labels = [f"s{n},{n},{2 * n}" for n in N]
    files = studies(table("row_id,value", [f"t{n}_C1,0.5" for n in T]))
    files["train.csv"] = table("study,C1,C2", labels)
    text = refusal(tmp_path, files)
    assert "a row per id and column of train.csv, like t0_C1, but only for C1. Write" in text
    assert "ids before '_', and set --label-column if others are targets, too." in text


def test_rows_per_target_with_several_columns(tmp_path: Path) -> None:
    """rsna-2024-lumbar-spine-degenerative-classification."""
    rows = [f"t{n}_{target},0.3,0.4,0.3" for n in T for target in TARGETS]
    text = refusal(tmp_path, studies(table("row_id,mild,moderate,severe", rows)))
    assert "like t0_C1, with the columns mild, moderate, severe" in text
    assert "Predict one of C1, C2 and 1 more at a time" in text and "--label-column" in text


def test_several_rows_per_folder_of_images(tmp_path: Path) -> None:
    """osic-pulmonary-fibrosis-progression: a row per patient and week."""
    weeks = [f"s{n},{week},{n + week}" for n in N for week in range(3)]
    rows = [f"t{n}_{week},2000,100" for n in T for week in (-1, 0, 1)]
    files = studies(table("Patient_Week,FVC,Confidence", rows))
    text = refusal(tmp_path, {**files, "train.csv": table("Patient,Weeks,FVC", weeks)})
    assert text.startswith("sample_submission.csv has several rows per t0: t0_-1, t0_0 and")


def test_ids_that_a_test_table_gives_to_images_are_not_refused(tmp_path: Path) -> None:
    """rsna-breast-cancer-detection: a row per breast, a folder per patient."""
    sides = table(
        "id,case,side", [f"t{n}_{side}.png,t{n}_{side},{side}" for n in T for side in "LR"]
    )
    rows = [f"t{n}_{side},0.5" for n in T for side in "LR"]
    train = table("id,cancer,side", [f"s{n},{n % 2},{'LR'[n % 2]}" for n in N])
    files = {
        **images(train=[f"s{n}" for n in N]),
        **images(**{f"test/t{n}": [f"t{n}_{side}" for side in "LR"] for n in T}),
        "train.csv": train,
        "test.csv": sides,
        "sample_submission.csv": table("case,cancer", rows),
    }
    assert layouts.inspect(tmp_path, files).tables.sample["case"].tolist()[:2] == ["t0_L", "t0_R"]


def test_ids_of_sets_of_images(tmp_path: Path) -> None:
    """draper-satellite-image-chronology: the order of the images of each set."""
    files = {
        **images(train=[f"set{n}_{day}" for n in range(8) for day in (1, 2, 3)]),
        **images(test=[f"set{n}_{day}" for n in range(20, 25) for day in (1, 2, 3)]),
        "sample_submission.csv": table("setId,day", [f"{n},1 2 3" for n in range(20, 25)]),
    }
    text = refusal(tmp_path, files)
    assert "each id in sample_submission.csv is a set of images: 20 of set20_1.png, set20_2" in text


def test_wells_in_the_ids_are_no_labels(tmp_path: Path) -> None:
    """recursion-cellular-image-classification: `sirna` is the label, and the ids end with wells."""
    wells = "B03", "B04"
    train = [f"E{n}_{well},E{n},{well},{n % 5}" for n in N for well in wells]
    test = [f"F{n}_{well},F{n},{well}" for n in T for well in wells]
    files = {
        **images(train=[f"E{n}_{well}_s1" for n in N for well in wells]),
        **images(test=[f"F{n}_{well}_s1" for n in T for well in wells]),
        "train.csv": table("id_code,plate,well,sirna", train),
        "test.csv": table("id_code,plate,well", test),
        "sample_submission.csv": table("id_code,sirna", [f"{row.split(',')[0]},0" for row in test]),
    }
    found = layouts.inspect(tmp_path, files).layout
    assert (found.prepare["label_column"], found.prepare.get("id_label_separator")) == (
        "sirna",
        None,
    )


def test_a_sample_without_ids(tmp_path: Path) -> None:
    """challenges-in-representation-learning-facial-expression-recognition-challenge."""
    pixels = " ".join(["7"] * 64)
    files = {
        "train.csv": table("emotion,pixels", [f"{n % 3},{pixels}" for n in N]),
        "test.csv": table("pixels", [pixels for _ in range(len(T) + 1)]),
        "example_submission.csv": table("0", ["0" for _ in T]),
    }
    text = refusal(tmp_path, files)
    assert "has one column, 0, with repeated values: it lacks ids or a header" in text
