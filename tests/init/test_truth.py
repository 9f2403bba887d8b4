"""`make init` is certain only of what follows from the files and agrees with the sample submission,
and ignores no table silently.
"""

from pathlib import Path

import in_process
import layouts
import pytest
import test_small_competitions as small
from layouts import Inspection
from test_small_competitions import Files, N, T, images, plain, table, with_sample

from podium.core import csvs
from podium.core.errors import UserError

folder = small.folder


def tables(**contents: bytes) -> Files:
    """The plain competition's images with other tables, by their names without suffix."""
    pictures = {name: data for name, data in plain().items() if not name.endswith(".csv")}
    return {**pictures, **{f"{name}.csv": data for name, data in contents.items()}}


def labels(header: str = "id,label", row: str = "a{n},{x}") -> bytes:
    return table(header, [row.format(n=n, x="xyz"[n % 3]) for n in N])


SAMPLE = table("id,label", [f"b{n},x" for n in T])


def confidences(found: Inspection, *keys: str) -> list[str]:
    return [found.guess(key).confidence for key in keys]


# The test set is split by a column.


def traps(column: str, values: list[str], test_values: list[str]) -> Files:
    """Photos of 8 cameras, as in iwildcam: the test set has those of others."""
    train = [f"a{n},{'xyz'[n % 3]},{values[n % len(values)]},{n // 2}" for n in N]
    test = [f"b{n},{test_values[n % len(test_values)]},{90 + n}" for n in T]
    return tables(
        train=table(f"id,label,{column},sequence", train),
        test=table(f"id,{column},sequence", test),
        sample_submission=SAMPLE,
    )


@pytest.mark.parametrize("column", ["location", "camera", "site"])
def test_a_column_by_which_the_test_set_is_split_makes_groups(column: str, tmp_path: Path) -> None:
    places = [str(n) for n in range(8)]
    guess = layouts.inspect(tmp_path, traps(column, places, ["90", "91"])).guess("group_column")
    assert (guess.value, guess.confidence) == (column, "likely")
    assert "test.csv has none of these values" in guess.reason
    assert {"sequence", None} <= {*guess.alternatives}  # finer groups


@pytest.mark.parametrize(
    ("values", "test_values"),
    [
        ([str(n) for n in range(8)], ["7", "91"]),  # one in both
        ([str(n) for n in range(3)], ["90"]),  # fewer than folds
        ([f"{n / 7:.3f}" for n in range(8)], ["90.5"]),  # a measurement
        ([str(n) for n in range(1, 9)], ["1.0"]),  # the same number
    ],
)
def test_other_columns_make_no_groups(
    values: list[str], test_values: list[str], tmp_path: Path
) -> None:
    files = traps("location", values, test_values)
    files["test.csv"] = files["test.csv"].replace(b",sequence", b",other")
    assert layouts.inspect(tmp_path, files).prepare["group_column"] is None


def test_unique_values_that_differ_are_no_groups(tmp_path: Path) -> None:
    """All values of an index are new in the test set, however it is split."""
    files = traps("number", [str(n) for n in N], ["90"])
    files["test.csv"] = files["test.csv"].replace(b",sequence", b",other")
    assert layouts.inspect(tmp_path, files).prepare["group_column"] is None


# Nothing is certain that contradicts the sample submission, or follows from a mere guess.


def test_what_follows_from_a_guess_is_not_certain(tmp_path: Path) -> None:
    """As in alaska2: folders that are not the classes."""
    folders = {k: [f"{n}" for n in range(8)] for k in ("Cover", "JMiPOD", "UERD")}
    sample = table("Id,Label", [f"t{n}.png,0" for n in T])
    files = {**images(**folders, Test=[f"t{n}" for n in T]), "sample_submission.csv": sample}
    found = layouts.inspect(tmp_path, files)
    assert confidences(found, "label_map", "train_images", "task") == ["guess", "likely", "likely"]
    assert "certain" not in confidences(found, "positive_class")
    answered = layouts.inspect(tmp_path, files, label_map="Cover=0,JMiPOD=1,UERD=1")
    assert answered.guess("task").confidence == "certain"


@pytest.mark.parametrize(
    ("value", "kept"),
    [("w", False), ("0.5", False), ("x", True), ("0", True), ("x y", True), ("w v", False)],
)
def test_a_sample_that_contradicts_the_labels_makes_them_less_certain(
    value: str, tmp_path: Path, *, kept: bool
) -> None:
    sample = table("id,label", [f"b{n},{value}" for n in T])
    found = layouts.inspect(tmp_path, tables(train=labels(), sample_submission=sample))
    expected = "certain" if kept else "likely"
    assert confidences(found, "label_column", "task") == [expected, expected]
    assert ("sample submission contains" in found.guess("task").reason) is not kept


def test_numbers_are_not_certain_if_the_sample_has_text(tmp_path: Path) -> None:
    train = table("id,weight", [f"a{n},{n / 7:.3f}" for n in N])
    sample = table("id,weight", [f"b{n},heavy" for n in T])
    found = layouts.inspect(tmp_path, tables(train=train, sample_submission=sample))
    assert confidences(found, "label_column", "task") == ["likely", "likely"]


@pytest.mark.parametrize(
    "path",
    [
        "../input/comp/{}.png",
        "/kaggle/input/comp/{}.png",
        "https://example.org/a/{}.png",
        r"C:\\Users\\me\\{}.png",
    ],
)
def test_paths_from_outside_the_archive_are_image_ids(path: str, tmp_path: Path) -> None:
    train = table("path,label", [f"{path.format(f'train/a{n}')},{'xyz'[n % 3]}" for n in N])
    sample = table("path,label", [f"{path.format(f'test/b{n}')},x" for n in T])
    found = layouts.inspect(tmp_path, tables(train=train, sample_submission=sample))
    assert found.guess("id_column").confidence == "certain"
    assert len(found.tables.test) == len(T)


@pytest.mark.parametrize(
    ("cells", "submitted", "classes"),
    [
        # planet: few combinations of many tags, of which the sample shows another one.
        (["clear primary", "haze primary", "clear road water"], "primary clear water", 5),
        (["0", "1 2", "2 4 6", "4 8", "5 1 6"], "0", 7),  # protein atlas
        (["7|2", "7", "2|3"], "7", 3),
    ],
)
def test_lists_with_few_combinations(
    cells: list[str], submitted: str, classes: int, tmp_path: Path
) -> None:
    train = table("id,tags", [f"a{n},{cells[n % len(cells)]}" for n in N])
    sample = table("id,tags", [f"b{n},{submitted}" for n in T])
    found = layouts.inspect(tmp_path, tables(train=train, sample_submission=sample))
    assert found.layout.task == "multilabel"
    assert len(found.tables.classes) == classes


# Sample submission and test table.


@pytest.mark.parametrize("listed", [range(4), range(3, 9)])
def test_a_test_table_with_other_ids_than_the_sample_is_not_used(
    listed: range, tmp_path: Path
) -> None:
    """The sample's ids, all of which have images, are those to submit."""
    test = table("id", [f"b{n}" for n in listed])
    files = tables(train=labels(), test=test, sample_submission=SAMPLE)
    files |= images(test=[f"b{n}" for n in range(9)])
    found = layouts.inspect(tmp_path, files)
    guess = found.guess("test_csv")
    assert (guess.value, guess.confidence) == (None, "likely")
    assert "the sample submission's ids are used" in guess.reason and "not used: test.csv" in str(
        found.layout.notes
    )
    assert found.tables.test["id"].tolist() == [f"b{n}" for n in T]


def test_a_public_test_set_of_one_image_is_that_of_a_code_competition(tmp_path: Path) -> None:
    files = tables(train=labels(), test=b"id\nb0\n", sample_submission=SAMPLE)
    files = {n: d for n, d in files.items() if not n.startswith("test/") or n == "test/b0.png"}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["hidden_test"] and found.prepare["test_images"] == "test"
    assert "only 1 of the 6 test images is in the archive" in found.guess("hidden_test").reason
    assert found.tables.test.empty and len(found.tables.sample) == len(T)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-image/image", "test-image/image"),
        ("data/train", "data/test"),
        ("images", "test"),
        ("Training", "test"),
    ],
)
def test_where_hidden_test_images_will_be(train: str, test: str, tmp_path: Path) -> None:
    files = {"train.csv": labels(), "sample_submission.csv": SAMPLE}
    found = layouts.inspect(tmp_path, {**files, **images(**{train: [f"a{n}" for n in N]})})
    assert (found.prepare["hidden_test"], found.prepare["test_images"]) == (True, test)


def test_training_images_are_not_taken_for_test_images(tmp_path: Path) -> None:
    """Ids that count up from 0 in both parts, and no test images yet."""
    files = {
        "train.csv": table("id,label", [f"{n},{'xyz'[n % 3]}" for n in N]),
        "sample_submission.csv": table("id,label", [f"{n},x" for n in T]),
        **images(train=[str(n) for n in N]),
    }
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["hidden_test"] and found.prepare["test_images"] == "test"


@pytest.mark.parametrize(
    "empty", [("test",), ("sample_submission",), ("test", "sample_submission")]
)
def test_tables_with_only_a_header_do_no_harm(empty: tuple[str, ...], tmp_path: Path) -> None:
    headers = {"test": b"id\n", "sample_submission": b"id,label\n"}
    contents = {"test": table("id", [f"b{n}" for n in T]), "sample_submission": SAMPLE}
    contents |= {name: headers[name] for name in empty}
    found = layouts.inspect(tmp_path, tables(train=labels(), **contents))
    assert all(f"{name}.csv has no rows" in found.survey.problems.values() for name in empty)
    assert len(found.tables.test) == len(T)
    with pytest.raises(UserError, match=r"train\.csv has no rows"):
        layouts.inspect(tmp_path, tables(train=b"id,label\n", **contents))


def test_most_images_may_be_missing(tmp_path: Path) -> None:
    files = {n: d for n, d in with_sample(plain()).items() if not n.startswith("train/")}
    files |= images(train=["a3", "a7", "a11", "a16"])
    found = layouts.inspect(tmp_path, files)
    assert found.guess("id_column").confidence == "likely"
    assert found.prepare["on_bad_image"] == "skip"
    assert "20 training images are missing" in found.guess("on_bad_image").reason


# Rows of the submission that are not images.


def breasts(patients: int = 8) -> Files:
    """Two views of each side, as in rsna-breast-cancer-detection; one test patient."""
    views = [(p, side, view) for p in range(patients) for side in "LR" for view in range(2)]
    train = [
        f"2,{100 + p},{p}{side}{v},{side},{p % 3 % 2 if side == 'R' else 0}" for p, side, v in views
    ]
    test = [f"2,900,t{side}{v},{side},900_{side}" for side in "LR" for v in range(2)]
    return {
        "train.csv": table("site,patient_id,image_id,laterality,cancer", train),
        "test.csv": table("site,patient_id,image_id,laterality,prediction_id", test),
        "sample_submission.csv": table("prediction_id,cancer", ["900_L,0.02", "900_R,0.02"]),
        **images(
            train=[f"{p}{side}{v}" for p, side, v in views],
            test=[f"t{side}{v}" for side in "LR" for v in range(2)],
        ),
    }


def test_units_are_the_columns_whose_values_are_in_the_submission_id(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, breasts())
    assert found.prepare["unit_column"] == ["patient_id", "laterality"]
    assert found.tables.train["unit"].nunique() == 16


def test_ids_that_are_not_file_names(tmp_path: Path) -> None:
    """As in herbarium and inaturalist: the test table has an id and a file name."""
    files = tables(
        train=labels("file_name,label", "a{n}.png,{x}"),
        test=table("id,file_name", [f"{n + 500},b{n}.png" for n in T]),
        sample_submission=table("id,label", [f"{n + 500},x" for n in T]),
    )
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["id_column"], found.prepare["submission_id_column"]) == (
        "file_name",
        "id",
    )
    guess = found.guess("unit_column")
    assert (guess.value, guess.confidence) == (None, "certain")
    assert found.tables.test["unit"].tolist() == [str(n + 500) for n in T]


# No table is ignored silently.


def test_a_training_table_without_image_ids_is_not_dropped_silently(tmp_path: Path) -> None:
    files = {
        **images(**{f"train/{x}": [f"{x}{n}" for n in range(8)] for x in "xyz"}),
        **images(test=[f"b{n}" for n in T]),
        "train.csv": labels(),
        "sample_submission.csv": SAMPLE,
    }
    found = layouts.inspect(tmp_path, files)
    guess = found.guess("train_csv")
    assert (guess.value, guess.confidence) == (None, "guess")
    assert guess.reason.startswith("train.csv: no column identifies image files")
    assert confidences(found, "task") == ["likely"]


def test_a_table_without_labels_does_not_hide_class_folders(tmp_path: Path) -> None:
    """The table identifies the images, but has only their widths."""
    files = {
        **images(**{f"train/{x}": [f"{x}{n}" for n in range(8)] for x in "xyz"}),
        **images(test=[f"b{n}" for n in T]),
        "train.csv": table("id,width", [f"{x}{n},{n}" for n in range(8) for x in "xyz"]),
        "sample_submission.csv": SAMPLE,
    }
    found = layouts.inspect(tmp_path, files)
    assert found.tables.classes == [*"xyz"]
    guess = found.guess("train_csv")
    assert guess.confidence == "guess" and "no column has the labels of the" in guess.reason


def test_labels_in_another_table_than_the_image_ids_are_an_error_that_says_so(
    tmp_path: Path,
) -> None:
    """As in yelp-restaurant-photo-classification."""
    files = tables(
        train=table("business,labels", [f"{n},{n % 3} {n % 4}" for n in range(12)]),
        train_photos=table("photo,business", [f"a{n},{n // 2}" for n in N]),
        test_photos=table("photo,business", [f"b{n},{90 + n // 2}" for n in T]),
        sample_submission=table("business,labels", [f"{90 + n},1 2" for n in range(3)]),
    )
    problem = r"train\.csv has the labels \(labels\).*Join the two on business"
    with pytest.raises(UserError, match=problem):
        layouts.inspect(tmp_path, files)


def test_a_table_that_is_not_named_as_the_training_table_is_a_guess(tmp_path: Path) -> None:
    files = tables(
        train=table("case,label", [f"c{n},{n % 2}" for n in range(12)]),
        pictures=labels("id,kind"),
        sample_submission=table("id,kind", [f"b{n},x" for n in T]),
    )
    guess = layouts.inspect(tmp_path, files).guess("train_csv")
    assert (guess.value, guess.confidence) == ("pictures.csv", "guess")
    assert "train.csv is named like one; its ids match no images" in guess.reason


def test_a_sample_of_labels_is_no_sample_submission(tmp_path: Path) -> None:
    """As in the sample of NIH's chest X-rays."""
    files = tables(sample_labels=labels(), test=table("id", [f"b{n}" for n in T]))
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["sample_submission"] is None
    assert found.prepare["train_csv"] == "sample_labels.csv"
    files = tables(train=labels(), sample=SAMPLE)
    guess = layouts.inspect(tmp_path, files).guess("sample_submission")
    assert (guess.value, guess.confidence) == ("sample.csv", "likely")


def test_lost_zeros_are_named(tmp_path: Path) -> None:
    files = {
        "train.csv": table("id,label", [f"{n},{'xyz'[n % 3]}" for n in N]),
        "sample_submission.csv": table("id,label", [f"{n + 50},x" for n in T]),
        **images(train=[f"{n:04d}" for n in N], test=[f"{n + 50:04d}" for n in T]),
    }
    with pytest.raises(UserError, match="ids in id lack the leading zeros"):
        layouts.inspect(tmp_path, files)


# Cells.


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    train = table("id;weight", [f"a{n};{n // 3},{n % 3 * 25 + 1:02d}" for n in N])
    sample = table("id;weight", [f"b{n};1,5" for n in T])
    found = layouts.inspect(tmp_path, tables(train=train, sample_submission=sample))
    assert found.layout.task == "regression"
    assert found.tables.train.loc[4, "label"] == "1.26"


def test_commas_in_lists_are_not_decimal() -> None:
    read = csvs.parse(b"id;tags\na;3,7\nb;7\nc;7,3\nd;3,5\ne;5,7\n")
    assert read["tags"].tolist() == ["3,7", "7", "7,3", "3,5", "5,7"]
    assert csvs.parse(b'id,tags\na,"3,75"\n')["tags"].tolist() == ["3,75"]
    assert csvs.parse(b"id;w\na;3,75\nb;\nc;-1\n")["w"].tolist() == ["3.75", "", "-1"]


def test_rows_without_a_label_are_dropped_on_request(tmp_path: Path) -> None:
    files = with_sample(plain())
    files["train.csv"] = files["train.csv"].replace(b"a4,y\n", b"a4, \n")
    found = layouts.inspect(tmp_path, files)
    assert (found.guess("unlabeled").value, found.guess("unlabeled").confidence) == (
        "error",
        "guess",
    )
    with pytest.raises(UserError, match=r"1 rows have no label.*prepare\.unlabeled: drop"):
        _ = found.tables
    read = layouts.inspect(tmp_path, files, unlabeled="drop").tables
    assert len(read.train) == len(N) - 1 and "a4" not in {*read.train["id"]}
    assert "dropped 1 row without a label: a4" in str(read.warnings)
    files["train.csv"] = table("id,label", [f"a{n}," for n in N])
    with pytest.raises(UserError, match="no row has a label"):
        _ = layouts.inspect(tmp_path, files, unlabeled="drop").tables


# Labeled validation images.


def with_validation(name: str = "val", classes: str = "xyz") -> Files:
    """Class folders for training and validation, with the same file names in both."""
    folders = {f"train/{x}": [str(n) for n in range(8)] for x in "xyz"}
    folders |= {f"{name}/{x}": [str(n) for n in range(4)] for x in classes}
    return with_sample(images(**folders, test=[f"b{n}" for n in T]))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val_set"])
def test_labeled_validation_images_are_offered(name: str, tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, with_validation(name))
    guess = found.guess("more_train_images")
    assert (guess.value, guess.confidence, guess.alternatives) == ([name], "guess", (None,))
    read = found.tables.train
    assert len(read) == 36 and read["id"].is_unique
    assert {"x/0.png", f"{name}/x/0.png"} <= {*read["id"]}
    assert read.set_index("id").loc[f"{name}/z/3.png", "label"] == "z"
    assert not found.layout.notes
    fewer = layouts.inspect(tmp_path, with_validation(name), more_train_images="none")
    assert len(fewer.tables.train) == 24


@pytest.mark.parametrize(("name", "classes"), [("val", "xw"), ("other", "xyz")])
def test_folders_with_other_classes_or_names_are_not_offered(
    name: str, classes: str, tmp_path: Path
) -> None:
    found = layouts.inspect(tmp_path, with_validation(name, classes))
    assert found.prepare["more_train_images"] == []
    assert name in str(found.layout.notes)


def test_a_table_of_a_validation_set_is_named(tmp_path: Path) -> None:
    """Here it has another class."""
    files = with_sample(plain()) | {"val.csv": table("id,label", [f"v{n},w" for n in range(4)])}
    files |= images(val=[f"v{n}" for n in range(4)])
    notes = layouts.inspect(tmp_path, files).layout.notes
    assert notes == ["not used: val.csv (4 rows of a validation set), val/"]


@pytest.mark.slow
def test_models_train_on_validation_images_too() -> None:
    in_process.run_project(with_validation(), fine_tune=True)
    oof = csvs.read(Path("reports/oof.csv"))
    assert len(oof) == 36 and oof["id"].str.startswith("val/").sum() == 12
    assert len(small.submission()) == len(T)
