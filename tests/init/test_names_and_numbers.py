"""What `make init` makes of numbers as class names, of index columns, and of words in names."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from competitions import competition, csv
from layouts import inspect

from podium.init.words import has_part, has_word, name_parts

CASES = Path(__file__).parents[2] / "../shared/cases/faults"


def renamed(labels: list[str], sample: str) -> dict[str, bytes]:
    """The competition with `labels` instead of its classes, in turn."""
    files = competition(36, 9)
    known = pd.DataFrame({"id": [f"{n:04d}" for n in range(36)]})
    known["label"] = [labels[n % len(labels)] for n in range(36)]
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36, 45)], "label": sample})
    return {**files, "train.csv": csv(known), "sample_submission.csv": csv(hidden)}


def test_two_classes_in_three_spellings_are_binary(tmp_path: Path) -> None:
    found = inspect(tmp_path, renamed(["0", "1", "1.0"], "0"))
    assert found.layout.task == "binary" and found.tables.classes == ["0", "1"]
    assert found.guess("positive_class").value in ("1", "1.0")


def test_numbers_are_the_columns_of_the_sample_in_another_spelling(tmp_path: Path) -> None:
    files = renamed(["0.0", "1.0", "2.0"], "0")
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36, 45)], "0": 0, "1": 0, "2": 0})
    found = inspect(tmp_path, {**files, "sample_submission.csv": csv(hidden)})
    assert found.guess("label_column").confidence == "certain"
    assert (found.layout.task, found.tables.classes) == ("multiclass", ["0", "1", "2"])


@pytest.mark.parametrize("cells", ["cat", "alternating"])
def test_a_metric_of_probabilities_outweighs_class_names(tmp_path: Path, cells: str) -> None:
    files = renamed(["cat", "dog"], "cat")
    if cells == "alternating":
        hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36, 45)], "label": "cat"})
        hidden.loc[::2, "label"] = "dog"
        files["sample_submission.csv"] = csv(hidden)
    guess = inspect(tmp_path, files, metric="roc_auc").layout.guess("submission.format")
    assert (guess.value, guess.confidence) == ("probability", "guess")
    assert guess.alternatives == ("label",)
    assert inspect(tmp_path, files).layout.guess("submission.format").value == "auto"


@pytest.mark.parametrize(
    ("sample", "expected"), [("1", "auto"), ("2.0", "auto"), ("0", "number"), ("unknown", "auto")]
)
def test_a_class_that_is_a_number_is_no_index(tmp_path: Path, sample: str, expected: str) -> None:
    found = inspect(tmp_path, renamed(["1", "2", "3", "unknown"], sample))
    assert found.layout.guess("submission.format").value == expected


@pytest.mark.parametrize("column", ["id", "image"])
def test_ids_may_differ_from_files_in_case(tmp_path: Path, column: str) -> None:
    files = renamed(["cat", "dog"], "cat")
    files = {name.replace(".png", ".PNG"): data for name, data in files.items()}
    for table in [name for name in files if name.endswith(".csv")]:
        rows = pd.read_csv(io.BytesIO(files[table]), dtype=str)
        rows = rows.assign(id=rows["id"] + ".png").rename(columns={"id": column})
        files[table] = csv(rows)
    found = inspect(tmp_path, files)
    assert found.guess("id_column").value == column
    assert found.layout.error is None and found.guess("train_images").value == "train"


WORDY = (", ", " & ", "&", " and ", "/", " / ", "+")
GENRES = [
    ["Action", "Drama"],
    ["Drama"],
    ["Comedy", "Action"],
    ["Horror", "Comedy", "Action"],
    ["Horror"],
]


@pytest.mark.parametrize(
    "write",
    [str, json.dumps, lambda g: str(np.array(g)), *(mark.join for mark in (" ", "|", *WORDY))],
)
def test_lists_of_labels(tmp_path: Path, write: Callable[[list[str]], str]) -> None:
    found = inspect(tmp_path, renamed([write(genres) for genres in GENRES], write(["Drama"])))
    assert found.layout.task == "multilabel"
    assert found.tables.classes == ["Action", "Comedy", "Drama", "Horror"]
    labels = found.tables.train["label"].tolist()
    assert labels[:4] == ["Action|Drama", "Drama", "Action|Comedy", "Action|Comedy|Horror"]


@pytest.mark.parametrize("mark", WORDY)
def test_lists_are_submitted_with_the_spaces_of_the_sample(tmp_path: Path, mark: str) -> None:
    cells = [mark.join(genres) for genres in GENRES]
    found = inspect(tmp_path, renamed(cells, mark.join(["Action", "Drama"])))
    assert found.layout.submission["separator"] == mark


def test_a_mark_after_a_name_separates_nothing(tmp_path: Path) -> None:
    found = inspect(tmp_path, renamed(["0", "1", "1+", "2+", "3+"], "1+"))
    assert found.layout.task != "multilabel"
    assert found.tables.classes == ["0", "1", "1+", "2+", "3+"]


PLANTS = ["Apple", "Grape", "Tomato", "Bell pepper", "Corn"]
DISEASES = ["scab", "rust", "leaf spot", "healthy", "black rot"]


@pytest.mark.parametrize("separator", [" ", ", ", *WORDY])
@pytest.mark.parametrize("others", [[], ["Background", "healthy"]])
def test_names_of_several_words_are_no_lists(
    tmp_path: Path, separator: str, others: list[str]
) -> None:
    names = [f"{plant}{separator}{disease}" for plant in PLANTS for disease in DISEASES]
    files = renamed([*names, *others], names[0])
    found = inspect(tmp_path, files)
    assert found.guess("task").value == "multiclass"
    assert found.guess("task").alternatives == ("multilabel",)
    assert set(found.tables.classes) == {*names, *others}


def test_lists_whose_labels_rarely_stand_alone(tmp_path: Path) -> None:
    cells = [
        "clear primary", "haze primary", "cloudy", "agriculture clear primary water", "clear road",
        "clear habitation primary road", "partly_cloudy primary", "primary water haze", "clear",
        "agriculture clear primary", "haze primary water", "agriculture clear primary road",
    ]  # fmt: skip
    found = inspect(tmp_path, renamed(cells, cells[0]))
    assert found.layout.task == "multilabel"
    assert "cloudy" in found.tables.classes and "partly_cloudy" in found.tables.classes


def test_lists_of_numbers(tmp_path: Path) -> None:
    found = inspect(tmp_path, renamed(["16 0", "7 1", "25 4", "16 7", "0 1", "16 1", "4"], "0"))
    assert found.layout.task == "multilabel"
    assert found.tables.classes == ["0", "1", "4", "7", "16", "25"]


def with_index(table: pd.DataFrame, shift: int) -> pd.DataFrame:
    """With pandas' index as the first column, of ids of other rows."""
    index = [f"{(n + shift) % len(table):04d}" for n in range(len(table))]
    return pd.concat([pd.DataFrame({"": index}), table], axis=1)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "row"])
def test_the_column_that_the_sample_names_is_the_id(tmp_path: Path, name: str) -> None:
    files = renamed(["a", "b", "c"], "a")
    known = pd.DataFrame({"id": [f"{n:04d}" for n in range(36)], "label": ["a", "b", "c"] * 12})
    table = with_index(known, 7).rename(columns={"": name})
    guess = inspect(tmp_path, {**files, "train.csv": csv(table)}).guess("id_column")
    assert (guess.value, guess.confidence) == ("id", "certain")


def test_of_two_columns_that_identify_images_neither_is_certain(tmp_path: Path) -> None:
    files = renamed(["a", "b", "c"], "a")
    known = pd.DataFrame({"key": [f"{n:04d}" for n in range(36)], "label": ["a", "b", "c"] * 12})
    files["train.csv"] = csv(with_index(known, 7))
    del files["test.csv"]
    guess = inspect(tmp_path, files).guess("id_column")
    assert (guess.value, guess.confidence) == ("key", "guess")
    assert "so does Unnamed: 0" in guess.reason and "Unnamed: 0" in guess.alternatives
    hidden = pd.DataFrame({"key": [f"{n:04d}" for n in range(36, 45)]})
    guess = inspect(tmp_path, {**files, "test.csv": csv(hidden)}).guess("id_column")
    assert (guess.value, guess.confidence) == ("key", "certain")


def test_an_index_is_no_label(tmp_path: Path) -> None:
    files = renamed(["a", "b", "c"], "")
    known = pd.DataFrame({"id": [f"{n:04d}" for n in range(36)], "kind": ["a", "b", "c"] * 12})
    table = pd.concat([pd.DataFrame({"": [str(n % 2 + 1000) for n in range(36)]}), known], axis=1)
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36, 45)], "x": ""})
    files |= {"train.csv": csv(table), "sample_submission.csv": csv(hidden)}
    assert inspect(tmp_path, files).guess("label_column").value == "kind"


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("image_label", "multiclass"),
        ("country", "multiclass"),
        ("stagecoach", "multiclass"),
        ("percentage", "multiclass"),
        ("stage_id", "multiclass"),
        ("ageGroup", "multiclass"),
        ("patientAge", "regression"),
        ("label_count", "regression"),
        ("age_years", "regression"),
        ("Counts", "regression"),
        ("boneage", "regression"),
    ],
)
def test_a_word_inside_a_word_says_nothing(tmp_path: Path, name: str, task: str) -> None:
    labels = [str(n) for n in range(24)]
    files = renamed(labels, "0")
    for table in ("train.csv", "sample_submission.csv"):
        files[table] = files[table].replace(b"id,label", f"id,{name}".encode())
    assert inspect(tmp_path, files).layout.task == task


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [
        ("sampleSubmission.csv", "submission", True),
        ("samplesubmission.csv", "submission", True),
        ("train2017", "train", True),
        ("trainLabels", "label", True),
        ("TrainingSet", "train", True),
        ("testsets_b", "test", True),
        ("valid", "val", True),
        ("valley", "val", False),
        ("valve", "val", False),
        ("latest", "test", False),
        ("testament", "test", False),
        ("trainers", "train", False),
        ("imagenet", "image", False),
        ("depthmaps", "depth", True),
        ("labelled", "label", True),
        ("maskedman", "mask", False),
    ],
)
def test_words_of_files_are_whole(name: str, word: str, expected: bool) -> None:
    assert has_word(name, word) == expected


def test_parts_of_names() -> None:
    assert name_parts("imageLabel_2 XMLFile-no") == ["image", "label", "xml", "file", "no"]
    assert has_part("bone_ages", ("age",)) and not has_part("image", ("age",))
    assert has_part("diagnosis", ("diagnosis",))


def test_classes_called_like_a_part_of_test_are_classes(tmp_path: Path) -> None:
    files = {}
    for name, data in competition(36, 9).items():
        if name.startswith("train/"):
            number = int(name[6:10])
            files[f"train/{('valley', 'valve', 'trainers')[number % 3]}/{number}.png"] = data
        elif name.startswith("test/"):
            files[name] = data
    assert inspect(tmp_path, files).tables.classes == ["trainers", "valley", "valve"]


STATES = ["healthy", "rust", "scab"]


@pytest.mark.skipif(not CASES.exists(), reason="no shared cases")
@pytest.mark.parametrize(
    ("case", "task", "classes"),
    [
        ("floatlabels", "multiclass", [str(n) for n in range(12)]),
        ("mixed", "multiclass", ["0", "1", "2"]),
        ("q_bool", "binary", ["cat", "dog"]),
        ("reg_image_label", "multiclass", [str(n) for n in range(24)]),
        ("lists", "multilabel", ["Action", "Comedy", "Drama", "Horror"]),
        ("twoword", "multiclass", [f"{plant} {state}" for plant in PLANTS[:3] for state in STATES]),
        ("nfd", "binary", ["caf\u00e9", "dog"]),
    ],
)
def test_the_reported_cases(tmp_path: Path, case: str, task: str, classes: list[str]) -> None:
    import zipfile

    with zipfile.ZipFile(CASES / f"{case}.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    found = inspect(tmp_path, files)
    assert (found.layout.task, found.tables.classes) == (task, classes)
