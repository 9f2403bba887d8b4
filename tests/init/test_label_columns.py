"""The label column: by the sample submission, the test table, and names."""

from collections.abc import Callable
from pathlib import Path

import in_process
import layouts
import pytest
import test_small_competitions as small
from layouts import Inspection
from test_small_competitions import Files, N, T, plain, table

from podium.core import csvs
from podium.dataset import affixes
from podium.init.guesses import Guess

folder = small.folder


def guess_of(folder: Path, files: Files) -> Guess:
    return layouts.inspect(folder, files).guess("label_column")


def attributes(header: str, row: str, **others: bytes) -> Files:
    """A training table with numbers to predict and attributes of the images."""
    rows = [row.format(n=n, months=12 * n + 7, male=n % 3 > 0, sex="MF"[n % 2]) for n in N]
    return {
        **plain(),
        "train.csv": table(header, rows),
        **{f"{k}.csv": v for k, v in others.items()},
    }


# RSNA bone age: a number to predict, and whether the patient is male.


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id,boneage,male", "a{n},{months},{male}"),
        ("id,male,boneage", "a{n},{male},{months}"),
        ("id,sex,maturity", "a{n},{sex},{months}"),
        ("id,maturity,gender,width", "a{n},{months},{sex},24"),
    ],
)
def test_an_attribute_is_not_the_label(header: str, row: str, tmp_path: Path) -> None:
    guess = guess_of(tmp_path, attributes(header, row))
    assert guess.value in ("boneage", "maturity")


@pytest.mark.parametrize(
    ("test", "row"), [("id,Flag", "b{n},{n}"), ("id,flag", "b{n},{n}"), ("id,kind", "b{n},{sex}")]
)
def test_what_the_test_table_also_has_is_not_the_label(test: str, row: str, tmp_path: Path) -> None:
    """Also under another name: in another case, or with the same texts."""
    cells = [row.format(n=n % 2, sex="MF"[n % 2]).replace(f"b{n % 2}", f"b{n}") for n in T]
    train = [f"a{n},{'MF'[n % 2] if 'kind' in test else n % 2},{5 * n}" for n in N]
    files = {
        **plain(),
        "train.csv": table("id,flag,outcome", train),
        "test.csv": table(test, cells),
    }
    guess = guess_of(tmp_path, files)
    assert (guess.value, guess.confidence) == ("outcome", "likely")
    assert "does not have" in guess.reason


def test_numbers_that_a_column_cannot_have_are_not_its_predictions(tmp_path: Path) -> None:
    """The sample submission's column has another name, and its values are no probabilities."""
    sample = table("id,prediction", [f"b{n},127.3" for n in T])
    files = attributes(
        "id,first,second", "a{n},{male},{months}", **{"sample_submission.csv": sample}
    )
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["label_column"] == "second" and found.layout.task == "regression"
    flags = table("id,prediction", [f"b{n},0.3" for n in T])
    files = attributes(
        "id,first,second", "a{n},{male},{months}", **{"sample_submission.csv": flags}
    )
    assert layouts.inspect(tmp_path, files).prepare["label_column"] == "first"


def test_the_files_may_be_named_after_the_label(tmp_path: Path) -> None:
    files = attributes("id,visits,ripeness", "a{n},{n},{months}")
    named = {n.replace("train.csv", "ripeness-training-set.csv"): d for n, d in files.items()}
    assert guess_of(tmp_path, named).value == "ripeness"
    archive = small.layouts.write_zip(tmp_path / "fruit-ripeness.zip", files)
    assert Inspection(archive).prepare["label_column"] == "ripeness"


# Names that differ from those of the sample submission by a prefix or suffix.


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        (["X4", "X11"], ["X4_mean", "X11_mean", "X40_mean"], [["X4_mean", "X11_mean"]]),
        (["X4", "X11"], ["X4_mean", "X4_sd", "X11_mean"], [["X4_mean", "X11_mean"]]),
        (["pred_u", "pred_v"], ["v", "u"], [["u", "v"]]),
        (["u", "v"], ["the_u_mean", "the_v_mean"], [["the_u_mean", "the_v_mean"]]),
        (["Age"], ["bone_age", "page"], [["bone_age"]]),
        (["u", "v"], ["u_mean", "v_median"], []),
        (["u"], ["u", "menu"], []),
    ],
)
def test_names_are_paired_by_a_common_affix(
    columns: list[str], names: list[str], expected: list[list[str]]
) -> None:
    assert [[*way.values()] for way in affixes.pairings(columns, names)] == expected


def traits(
    suffixes: tuple[str, ...] = ("_mean", "_sd"), features: int = 0, sample: str = "X4,X11"
) -> Files:
    """Numbers per image whose columns are longer than in the sample submission, and features, as in
    planttraits2024.
    """
    labels = [f"X{number}{suffix}" for suffix in suffixes for number in (4, 11)]
    given = [f"BIO{number}_m{number % 12:02d}" for number in range(features)]
    train = [
        ",".join(
            [
                f"a{n}",
                *(f"{n * (k % 16 + 1) % 17 / 7:.3f}" for k in range(len(given) + len(labels))),
            ]
        )
        for n in N
    ]
    test = [
        ",".join([f"b{n}", *(f"{n * (k % 12 + 1) % 13 / 9:.3f}" for k in range(len(given)))])
        for n in T
    ]
    return {
        **plain(),
        "train.csv": table(",".join(["id", *given, *labels]), train),
        "test.csv": table(",".join(["id", *given]), test),
        "sample_submission.csv": table(f"id,{sample}", [f"b{n},0.5,0.5" for n in T]),
    }


def test_targets_whose_names_are_longer_in_the_training_table(tmp_path: Path) -> None:
    """planttraits2024: X4_mean and X4_sd, X4 in the sample submission, and 160 features."""
    found = layouts.inspect(tmp_path, traits(features=160))
    guess = found.guess("label_column")
    assert (guess.value, guess.confidence) == (["X4_mean", "X11_mean"], "guess")
    assert "X4_sd" in guess.reason
    assert (found.layout.task, found.prepare["features"]) == ("regression", "auto")
    read = found.tables
    assert read.classes == ["X4", "X11"]
    assert read.train["label"][3] == f"{3 * 1 % 17 / 7:.3f}|{3 * 2 % 17 / 7:.3f}"
    assert "columns not used: X4_sd, X11_sd" in found.layout.notes[-1]


@pytest.mark.parametrize(
    ("suffixes", "sample"), [(("_value",), "X11,X4"), (("",), "pred_X4,pred_X11")]
)
def test_a_common_affix_makes_targets_likely(
    suffixes: tuple[str, ...], sample: str, tmp_path: Path
) -> None:
    found = layouts.inspect(tmp_path, traits(suffixes, sample=sample))
    expected = [name.removeprefix("pred_") + suffixes[0] for name in sample.split(",")]
    guess = found.guess("label_column")
    assert (guess.value, guess.confidence) == (expected, "likely")
    assert found.tables.classes == sample.split(",")


@pytest.mark.slow
def test_the_submission_has_the_columns_of_the_sample() -> None:
    in_process.run_project(traits())
    written = csvs.read(Path("submissions/made.csv"))
    assert written.columns.tolist() == ["id", "X4", "X11"]


# Numbers as people write them, in a CSV with commas.


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda n: f"{12 * n},{n % 10}", "36.3"),
        (lambda n: f"{n % 10},{7 * n % 10}", "3.1"),
        (lambda n: f"{400 * n + 100:,}", "1300"),
        (lambda n: f"{1.5 * n:.1f} %", "4.5"),
    ],
)
def test_numbers_are_recognized_however_they_are_written(
    write: Callable[[int], str], expected: str, tmp_path: Path
) -> None:
    rows = [f'a{n},"{write(n)}"' for n in N]
    files = {**plain(), "train.csv": table("id,maturity", rows)}
    files["sample_submission.csv"] = table("id,maturity", [f"b{n},1.5" for n in T])
    found = layouts.inspect(tmp_path, files)
    assert found.layout.task == "regression"
    read = found.tables
    assert read.train.set_index("id").loc["a3", "label"] == expected
    assert "are read as" in read.warnings[0]


@pytest.mark.parametrize(
    "cells", [["3,7", "7", "7,3", "3,5", "5"], [f"{n % 6},{n % 6 + 1}" for n in range(12)]]
)
def test_lists_of_numbers_are_no_numbers(cells: list[str], tmp_path: Path) -> None:
    rows = [f'a{n},"{cells[n % len(cells)]}"' for n in N]
    files = {**plain(), "train.csv": table("id,tags", rows)}
    assert layouts.inspect(tmp_path, files).layout.task == "multilabel"


def test_a_file_is_named_after_whole_words(tmp_path: Path) -> None:
    """train.csv is not about rain, nor overview.zip about the view."""
    files = attributes("id,rain,cloud_kind", "a{n},{male},{sex}")
    assert guess_of(tmp_path, files).reason != "the files are named after it"
