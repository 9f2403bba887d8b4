"""What `make init` infers from the files of a competition, and what it refuses."""

import re
from pathlib import Path

import layouts
import numpy as np
import pandas as pd
import pytest
from competitions import CLASSES, competition, csv, encode, picture, write_zip
from layouts import Inspection, inspect

from commands import init
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.dataset.image_files import ImageIndex
from podium.dataset.tables import read
from podium.init import printout
from podium.init.guesses import Guess, to_text
from podium.init.matching import match_rate, matching_folders
from podium.init.understand import understand
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat


def test_of_several_folders_with_the_same_images_the_largest_is_guessed(tmp_path: Path) -> None:
    guess = inspect(tmp_path, layouts.several_folders().files).guess("train_images")
    assert (guess.confidence, guess.alternatives) == ("guess", ("images_small",))
    assert "32 x 40" in guess.reason and "16 x 20" in guess.reason


def test_folders_with_the_same_file_names_are_distinguished_by_their_own_names(
    tmp_path: Path,
) -> None:
    files = {name: data for name, data in competition(36, 9).items() if not name.startswith("test")}
    rng = np.random.default_rng(0)
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36)]})
    files["test.csv"] = csv(hidden)
    files["sample_submission.csv"] = csv(hidden.assign(label="square"))
    for image in hidden["id"]:
        files[f"test/{image}.png"] = encode(picture("square", rng, (80, 80)))
        files[f"masks/{image}.png"] = encode(picture("square", rng, (90, 90)))
        files[f"extra/{image}.png"] = encode(picture("square", rng, (90, 90)))
    inspection = inspect(tmp_path, files)
    assert (inspection.prepare["train_images"], inspection.prepare["test_images"]) == (
        "train",
        "test",
    )
    assert len(inspection.tables.test) == 36


def test_the_table_with_the_samples_columns_is_the_training_table(tmp_path: Path) -> None:
    files = competition()
    files["labels.csv"] = files.pop("train.csv")
    known, _ = layouts.known_and_hidden()
    files["train_cameras.csv"] = csv(known[["id"]].assign(camera=["a", "b"] * 18))
    inspection = inspect(tmp_path, files)
    assert inspection.prepare["train_csv"] == "labels.csv"
    assert inspection.guess("train_csv").alternatives == ("train_cameras.csv",)
    assert inspection.layout.notes == ["not used: train_cameras.csv"]


def test_a_label_with_a_space_is_one_label(tmp_path: Path) -> None:
    files = {
        name.replace("square", "red square"): d for name, d in layouts.class_folders().files.items()
    }
    hidden = layouts.known_and_hidden()[1]
    names = {name.rpartition("/")[2] for name in files if "test" in name}
    assert len(names) == len(hidden)
    files["sample_submission.csv"] = csv(
        pd.DataFrame({"file": sorted(names), "species": "red square"})
    )
    inspection = inspect(tmp_path, files)
    assert (inspection.layout.metric, inspection.tables.classes[1]) == ("accuracy", "red square")
    files["sample_submission.csv"] = csv(
        pd.DataFrame({"file": sorted(names), "species": "red fox"})
    )
    assert inspect(tmp_path, files).layout.metric == "accuracy"


def test_a_sample_that_contradicts_the_format_is_an_error(tmp_path: Path) -> None:
    inspection = inspect(tmp_path, layouts.several_labels(" ").files, task="multiclass")
    inspection.layout.submission["format"] = "probability"
    with pytest.raises(UserError, match=r"submission\.format"):
        _ = inspection.tables


def test_labels_in_file_names_are_likely_and_a_pattern_may_be_given(tmp_path: Path) -> None:
    files = layouts.named_after_classes("{number}_{label}_x").files
    with pytest.raises(UserError, match="no labeled training images"):
        inspect(tmp_path, files)
    inspection = inspect(tmp_path, files, label_pattern=r"_(.+)_")
    assert inspection.tables.classes == [*CLASSES]
    assert inspection.prepare["label_pattern"] == r"_(.+)_"
    for pattern, problem in {"(": "regular expression", "x": "0 groups", "(zz)": "no file"}.items():
        with pytest.raises(UserError, match=problem):
            inspect(tmp_path, files, label_pattern=pattern)
    guess = inspect(tmp_path, layouts.named_after_classes().files).guess("label_pattern")
    assert guess.confidence == "likely" and "3 labels: circle, square, stripes" in guess.reason
    assert guess.parsed(r"^(\w+)") == r"^(\w+)"
    assert guess.parsed(r"(\w)\w+") == r"(\w)\w+"
    with pytest.raises(UserError, match="no file"):
        guess.parsed(r"^(\d+)")


def test_test_folders_are_not_classes_if_file_names_contain_labels(tmp_path: Path) -> None:
    files = layouts.named_after_classes().files
    del files["sample_submission.csv"]
    tests = sorted(name for name in files if name.startswith("test/"))
    for place, name in enumerate(tests):
        files[name.replace("test/", f"test/site{place % 2}/")] = files.pop(name)
    inspection = inspect(tmp_path, files)
    assert (inspection.prepare["train_images"], inspection.prepare["test_images"]) == (
        "train",
        "test",
    )
    assert inspection.tables.test["id"][0].startswith("site0/")


def test_camera_file_names_contain_no_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no labeled training images"):
        inspect(tmp_path, layouts.named_after_classes("IMG_{number}").files)
    with pytest.raises(UserError, match="no labeled training images"):
        inspect(
            tmp_path, layouts.named_after_classes("{number}_1").files
        )  # as many classes as images


def test_a_table_without_a_header_is_an_error(tmp_path: Path) -> None:
    known, _ = layouts.known_and_hidden()
    for name in ("{}.png", "{}"):
        rows = known.assign(id=[name.format(image) for image in known["id"]])
        files = {
            **layouts.all_photos(),
            "train.csv": rows.to_csv(index=False, header=False).encode(),
        }
        with pytest.raises(UserError, match=r"train\.csv.*no header.*'0000"):
            inspect(tmp_path, files)


def test_unused_image_folders_are_noted(tmp_path: Path) -> None:
    files = layouts.class_folders().files
    files |= {n.replace("train", "val"): data for n, data in files.items() if "train" in n}
    files = {n.replace("val", "old/more"): data for n, data in files.items()}
    folders = sorted({n.rpartition("/")[0] for n in files if "more" in n})
    assert inspect(tmp_path, files).layout.notes == [
        f"not used: {', '.join(f'{f}/' for f in folders)}"
    ]
    assert inspect(tmp_path, layouts.paths_as_ids().files).layout.notes == []


def in_folders(folders: dict[str, int], test: str = "test") -> dict[str, bytes]:
    """Images in `folders`, the number of images in each, and test images."""
    rng = np.random.default_rng(0)
    counts = {**folders, test: 4}
    return {
        f"{folder}/{place}{n}.png": encode(picture("circle", rng, (16, 16)))
        for place, (folder, count) in enumerate(counts.items())
        for n in range(count)
    }


@pytest.mark.parametrize("top", ["train/images", "train", "data/images", "images"])
def test_folders_that_leave_most_images_unused_are_not_taken_for_the_classes(
    top: str, tmp_path: Path
) -> None:
    folders = {f"{top}/000/{n:02d}": 4 for n in (3, 5, 8)}
    folders |= {f"{top}/{n:03d}/{n:02d}": 4 for n in range(1, 5)}
    if top == "train":  # then the outer folders are the classes
        found = inspect(tmp_path, in_folders(folders))
        assert found.guess("train_images").value == "train"
        assert found.guess("train_images").confidence == "likely"
        return
    with pytest.raises(UserError, match=rf"{top}/000 has 3 class folders.* 16 images .* unclear"):
        inspect(tmp_path, in_folders(folders))


@pytest.mark.parametrize("top", ["", "data/"])
def test_parts_of_the_classes_in_several_folders_are_an_error(top: str, tmp_path: Path) -> None:
    folders = {f"{top}train_{part}/{name}": 9 for part in (1, 2) for name in ("cat", "dog")}
    with pytest.raises(UserError, match=r"18 images in others would not be used: .*train_2/cat/"):
        inspect(tmp_path, in_folders(folders))


def test_class_folders_next_to_unused_images_are_a_guess(tmp_path: Path) -> None:
    folders = {"data/labeled/cat": 9, "data/labeled/dog": 9, "data/unlabeled": 30}
    guess = inspect(tmp_path, in_folders(folders)).guess("train_images")
    assert (guess.value, guess.confidence) == ("data/labeled", "guess")
    assert "30 images in others would not be used: data/unlabeled/" in guess.reason
    folders = {"train/cat": 9, "train/dog": 9, "val/cat": 3, "val/dog": 3, "masks": 9}
    assert inspect(tmp_path, in_folders(folders)).guess("train_images").confidence != "guess"


KINDS = {"Cover": 6, "JMiPOD": 6, "JUNIWARD": 6, "UERD": 6}
KIND_MAP = "Cover=0,JMiPOD=1,JUNIWARD=1,UERD=1"


@pytest.mark.parametrize("value", ["0", "0.5"])
@pytest.mark.parametrize("top", ["", "train/"])
def test_folders_finer_than_the_labels_are_mapped(value: str, top: str, tmp_path: Path) -> None:
    files = in_folders({f"{top}{name}": count for name, count in KINDS.items()}, "Test")
    names = [name.removeprefix("Test/") for name in files if name.startswith("Test/")]
    files["sample_submission.csv"] = csv(pd.DataFrame({"Id": names, "Label": value}))
    guess = inspect(tmp_path, files).guess("label_map")
    assert to_text(guess.value) == KIND_MAP
    assert (guess.confidence, guess.alternatives) == ("guess", (None,))
    found = inspect(tmp_path, files, label_map=KIND_MAP)
    assert (found.layout.task, found.layout.metric) == ("binary", "roc_auc")
    assert found.tables.classes == ["0", "1"]
    assert found.tables.train["label"].tolist() == ["0"] * 6 + ["1"] * 18
    for wrong in ("Cover=0", f"{KIND_MAP},x=1", "Cover", KIND_MAP.replace("=0", "=")):
        with pytest.raises(UserError, match=r"--label-map: .* must give each folder a label"):
            inspect(tmp_path, files, label_map=wrong)
    with pytest.raises(
        UserError, match=r"label_map must have one label .* UERD\. Add or remove UERD\."
    ):
        changed = {**found.layout.prepare, "label_map": {"Cover": 0, "JMiPOD": 1, "JUNIWARD": 1}}
        read(found.archive, Prepare(**changed), "binary")


def test_the_test_table_may_name_its_id_column_differently(tmp_path: Path) -> None:
    files = competition()
    ids = [name[5:-4] for name in files if name.startswith("test/")]
    files["test.csv"] = csv(pd.DataFrame({"image": ids[::-1]}))
    del files["sample_submission.csv"]
    found = inspect(tmp_path, files)
    assert found.layout.prepare["test_id_column"] == "image"
    assert "test.csv: the ids are in column image" in found.layout.notes
    assert found.tables.test["id"].tolist() == ids[::-1]
    assert found.tables.sample.columns.tolist() == ["image", "label"]


def test_folders_none_of_which_is_negative_by_its_name_are_not_mapped(tmp_path: Path) -> None:
    files = in_folders({f"train/{name}": count for name, count in [*KINDS.items()][1:]}, "Test")
    names = [name.removeprefix("Test/") for name in files if name.startswith("Test/")]
    files["sample_submission.csv"] = csv(pd.DataFrame({"Id": names, "Label": 0}))
    guess = inspect(tmp_path, files).guess("label_map")
    assert (guess.value, guess.confidence) == (None, "guess")
    assert "JMiPOD=0,JUNIWARD=1,UERD=1" in guess.reason


def test_the_sample_submissions_of_two_stages(tmp_path: Path) -> None:
    files = in_folders({"train/x": 8, "train/y": 8}, "test_stg1")
    rows = [f"{name},0.5,0.5" for name in files if name.startswith("test_stg1/")]
    for stage, ids in ((1, rows), (2, [*rows, "test_stg2/new.png,0.5,0.5"])):
        files[f"sample_submission_stg{stage}.csv"] = "\n".join(["image,x,y", *ids]).encode()
    found = inspect(tmp_path, files).layout
    assert found.prepare["sample_submission"] == "sample_submission_stg1.csv"
    assert (found.prepare["train_csv"], found.prepare["train_images"]) == (None, "train")
    (note,) = found.notes
    assert "stg2.csv (no images yet for 1 of its 5 ids: test_stg2/new.png)" in note


def test_class_folders_with_a_number_per_class_are_not_mapped(tmp_path: Path) -> None:
    files = in_folders({f"train/{name}": count for name, count in KINDS.items()})
    names = [name.removeprefix("test/") for name in files if name.startswith("test/")]
    files["sample_submission.csv"] = csv(pd.DataFrame({"Id": names, "Label": range(4)}))
    found = inspect(tmp_path, files).layout
    assert (found.task, found.submission["format"]) == ("multiclass", "number")
    assert "label_map" not in found.prepare


def test_captions_with_as_many_words_as_an_image_has_pixels_are_not_pixels(tmp_path: Path) -> None:
    files = dict(layouts.pixels_in_a_cell().files)
    caption = " ".join(["word"] * 16)
    for name in ("train.csv", "test.csv"):
        header, *lines = files[name].decode().splitlines()
        rows = [f"caption,{header}", *(f"{caption},{line}" for line in lines)]
        files[name] = "\n".join(rows).encode()
    assert inspect(tmp_path, files, label_column="label").prepare["pixel_columns"] == "pixels"


def test_ignored_files_are_listed_and_other_archives_are_a_problem(tmp_path: Path) -> None:
    files = competition() | {"a.tfrec": b"", "b.tfrec": b"", "map.json": b"{}", "notes": b""}
    inspection = inspect(tmp_path, files)
    assert "ignored: 2 .tfrec, 1 .json, 1 (no suffix)" in printout.files(inspection.survey, "x")
    packed = {"train.rar": b"", "test.zst": b"", "sample_submission.csv": b"id,label\n1,a\n"}
    with pytest.raises(UserError, match=r"train\.rar, test\.zst: only zip, 7z and tar"):
        inspect(tmp_path, packed)


def test_groups_are_likely_and_unused_columns_are_noted(tmp_path: Path) -> None:
    inspection = inspect(tmp_path, layouts.extra_columns().files)
    assert inspection.layout.notes == ["train.csv: columns not used: age, sex"]
    guess = inspection.guess("group_column")
    assert (guess.confidence, guess.alternatives) == ("likely", (None,))
    assert "12 groups" in guess.reason
    assert inspection.tables.train["group"].nunique() == 12


def test_another_repeated_id_is_only_an_alternative_group(tmp_path: Path) -> None:
    files = layouts.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"patient_id", b"camera_id", 1)
    inspection = inspect(tmp_path, files)
    guess = inspection.guess("group_column")
    assert guess.value is None and guess.alternatives == ("camera_id",)
    assert inspect(tmp_path, files, group_column="camera_id").prepare["group_column"] == "camera_id"


def test_flags_named_like_a_group_are_not_groups(tmp_path: Path) -> None:
    files = layouts.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"sex,patient_id", b"Subject Focus,x", 1)
    assert inspect(tmp_path, files).prepare["group_column"] is None


def test_the_label_column_contains_the_labels_of_the_sample_submission(tmp_path: Path) -> None:
    known, hidden = layouts.known_and_hidden()
    train = known.rename(columns={"label": "individual_id"}).assign(species=["a", "b"] * 18)
    sample = pd.DataFrame({"id": hidden["id"], "predictions": "square circle new"})
    inspection = inspect(tmp_path, layouts.labeled(train, sample))
    assert inspection.prepare["label_column"] == "individual_id"
    assert inspection.layout.metric == "map@3"
    assert inspection.guess("label_column").alternatives == ("species",)


def test_answers_replace_guesses(tmp_path: Path) -> None:
    files = layouts.extra_columns().files
    inspection = inspect(tmp_path, files, label_column="sex", metric="mcc", group_column="none")
    assert (
        inspection.prepare["label_column"] == "sex" and inspection.prepare["group_column"] is None
    )
    assert (inspection.layout.task, inspection.layout.metric) == ("binary", "mcc")
    assert inspection.guess("metric").confidence == "given"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"metric": "rmse"}, "--metric: rmse"),
        ({"task": "cats"}, "--task: 'cats' is not a task. Choose from binary, multiclass"),
        ({"id_column": "name"}, "--id-column: 'name' is not a column of train.csv"),
        ({"label_column": "id"}, "--label-column: 'id' is not a column of train.csv"),
        ({"group_column": "x"}, "--group-column: 'x' is not a column of train.csv"),
    ],
)
def test_impossible_answers_are_errors(
    answers: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        inspect(tmp_path, competition(), **answers)
    assert message in str(error.value)


def test_an_id_column_that_cannot_be_guessed_can_be_given(tmp_path: Path) -> None:
    files = competition()
    rows = files["train.csv"].split()[1:]
    files["train.csv"] = b"\n".join([b"code,label", *(b"x" + row for row in rows), b""])
    with pytest.raises(UserError, match=r"code: x0000, x0001.*--id-column"):
        inspect(tmp_path, files)
    layout = Inspection(tmp_path / "shapes.zip").layout
    assert layout.guesses[-1].key == "prepare.id_column" and layout.guesses[-1].is_open
    inspection = inspect(tmp_path, files, id_column="code")
    assert (
        inspection.guess("id_column").value == "code" and inspection.guess("test_csv").value is None
    )


@pytest.mark.parametrize(
    ("error", "answers", "options"),
    [
        ("2 of 9 images are missing", {}, "--group-column VALUE"),  # which is uncertain
        ("train.csv: set task: multilabel", {}, "--task VALUE"),
        ("no column fits. Choose one with --label-column", {}, "--label-column VALUE"),
        ("2 of 9 images are missing", {"group_column": "none"}, "--id-column VALUE"),
        ("--task: 'cats' is not a task", {}, ""),
    ],
)
def test_the_hint_after_an_error_is_about_the_guess_concerned(
    error: str, answers: dict[str, str], options: str, tmp_path: Path
) -> None:
    guesses = inspect(tmp_path, layouts.extra_columns().files, **answers).layout.guesses
    known = [guess for guess in guesses if guess.key in init.ANSWERS]
    hint = printout.correction_hint(UserError(error), known, "my data.zip")
    assert hint.startswith("params.yaml was not written.")
    assert f"SOURCE='my data.zip' ARGS=\"{options}" in hint if options else "ARGS" not in hint


def test_an_error_comes_with_the_guesses_before_it(tmp_path: Path) -> None:
    files = layouts.several_columns().files
    files["train.csv"] = files["train.csv"].replace(b",1,", b",x,")
    layout = Inspection(write_zip(tmp_path / "shapes.zip", files)).layout
    assert "--label-column" in str(layout.error)
    assert layout.guesses[-1].key == "prepare.label_column"


def test_the_same_survey_and_answers_give_the_same_layout(tmp_path: Path) -> None:
    content = inspect(tmp_path, layouts.extra_columns().files).survey
    (tmp_path / "shapes.zip").unlink()  # nothing is read again
    answers = {"metric": "log_loss"}
    first, second = understand(content, answers), understand(content, answers)
    assert (first.prepare, first.metric) == (second.prepare, second.metric)
    assert understand(content, {}).metric == "accuracy" and answers == {"metric": "log_loss"}


@pytest.mark.parametrize(
    ("column", "values", "sample", "task", "metric"),
    [
        ("breed", ["American Shorthair", "British Shorthair", "Siamese"], None, "multiclass", None),
        ("label", ["yes", "no"], "no", "binary", "accuracy"),
        ("label", ["0", "1"], "0.5", "binary", "roc_auc"),
        ("label", ["0", "1"], "0", "binary", "roc_auc"),
        ("label", ["0", "1"], "1", "binary", "roc_auc"),
        ("label", ["0", "1"], "", "binary", "roc_auc"),
        ("label", ["0", "1"], None, "binary", "roc_auc"),
        ("label", ["0.0", "1.0"], "0", "binary", "roc_auc"),
        ("label", ["True", "False"], "0", "binary", "roc_auc"),
        ("label", ["dog", "cat"], "0", "binary", "roc_auc"),
        ("label", ["1", "2"], "1", "binary", "accuracy"),
        ("level", ["0", "1", "2"], "0", "ordinal", "quadratic_weighted_kappa"),
        ("isup_grade", ["0", "1", "2", "5"], "0", "ordinal", None),
        ("label", ["3", "4", "5"], "3", "multiclass", "accuracy"),
        ("label", ["3", "4", "5"], "3.5", "regression", "rmse"),
        ("age", [str(n) for n in range(18, 54)], "30", "regression", None),
        ("whale", [str(n) for n in range(36)], "30", "multiclass", None),
        ("label", ["1.5", "2", "3"], "1", "regression", "rmse"),
        ("label", ["1e-3", "2", "-3"], "1", "regression", "rmse"),
        ("label", ["nan", "inf", "1"], "1", "multiclass", None),
        ("label", ["True", "False"], "False", "binary", "accuracy"),
        ("label", ["a b", "b", "a", "c a", "c"], "a b", "multilabel", "samples_f1"),
        ("label", ["a", "b", "c"], "a b c", "multiclass", "map@3"),
    ],
)
def test_task_and_metric_follow_from_labels_and_sample(
    column: str,
    values: list[str],
    sample: str | None,
    task: str,
    metric: str | None,
    tmp_path: Path,
) -> None:
    files = competition()
    labels = [values[place % len(values)] for place in range(36)]
    files["train.csv"] = csv(
        pd.DataFrame({"id": layouts.known_and_hidden()[0]["id"], column: labels})
    )
    _, hidden = layouts.known_and_hidden()
    if sample is None:
        del files["sample_submission.csv"]
    else:
        files["sample_submission.csv"] = csv(pd.DataFrame({"id": hidden["id"], column: sample}))
    inspection = inspect(tmp_path, files).layout
    assert inspection.task == task and (metric is None or inspection.metric == metric)


@pytest.mark.parametrize("classes", [("0", "1"), ("cat", "dog")])
@pytest.mark.parametrize(
    ("values", "answer", "metric", "format_"),
    [
        (("0",), None, "roc_auc", "probability"),
        (("0", "1"), None, "accuracy", "label"),
        (("0",), "accuracy", "accuracy", "label"),
        (("0", "1"), "roc_auc", "roc_auc", "probability"),
        (("0.5",), None, "roc_auc", "probability"),
    ],
)
def test_probabilities_of_two_classes_are_kept_unless_labels_are_asked_for(
    classes: tuple[str, str],
    values: tuple[str, ...],
    answer: str | None,
    metric: str,
    format_: str,
    tmp_path: Path,
) -> None:
    files = competition()
    known, hidden = layouts.known_and_hidden()
    labels = [classes[place % 2] for place in range(len(known))]
    files["train.csv"] = csv(known[["id"]].assign(target=labels))
    cells = [values[place % len(values)] for place in range(len(hidden))]
    files["sample_submission.csv"] = csv(hidden[["id"]].assign(target=cells))
    found = inspect(tmp_path, files, **({"metric": answer} if answer else {}))
    assert found.layout.metric == metric
    tables = found.tables
    detected = SubmissionFormat.detect(
        tables.sample,
        Task("binary", tables.classes),
        metrics.get(metric, "binary"),
        Submission(**found.layout.submission),
    )
    expected = "number" if format_ == "label" and classes[0] == "cat" else format_
    assert detected.name == expected


def test_f1_scores_are_named_next_to_accuracy(tmp_path: Path) -> None:
    guess = inspect(tmp_path, competition()).guess("metric")
    assert (guess.value, guess.alternatives[:2]) == ("accuracy", ("macro_f1", "micro_f1"))
    assert "macro_f1 and micro_f1 are as common" in guess.reason


def test_several_numbers_that_are_mostly_0_and_1_are_a_guess(tmp_path: Path) -> None:
    files = layouts.several_columns().files
    files["train.csv"] = files["train.csv"].replace(b",1,", b",0.3,")
    guess = inspect(tmp_path, files).guess("task")
    assert (guess.value, guess.confidence, guess.alternatives[0]) == (
        "regression", "guess", "multilabel",
    )  # fmt: skip
    assert "% of them are 0 or 1" in guess.reason


def test_labels_that_differ_in_case_or_whitespace_are_merged(tmp_path: Path) -> None:
    files = competition()
    files["train.csv"] = files["train.csv"].replace(b"0000,circle", b"0000,Circle ")
    inspection = inspect(tmp_path, files)
    assert inspection.prepare["label_variants"] == "merge"
    assert inspection.tables.classes == [*CLASSES]
    assert "'Circle ', 'circle'" in inspection.guess("label_variants").reason


@pytest.mark.parametrize(
    ("labels", "value"), [("aAbB", "keep"), (["a", "A", "cat", "Cat"], "merge")]
)
def test_single_letters_in_upper_and_lower_case_are_kept(
    tmp_path: Path, labels: str | list[str], value: str
) -> None:
    files = competition()
    lines = files["train.csv"].decode().splitlines()
    ids = [line.split(",")[0] for line in lines[1:]]
    rows = [f"{image},{labels[n % 4]}" for n, image in enumerate(ids)]
    files["train.csv"] = "\n".join([lines[0], *rows]).encode()
    found = inspect(tmp_path, files)
    assert found.layout.prepare["label_variants"] == value
    assert len(found.tables.classes) == (4 if value == "keep" else 2)


def test_missing_training_images_are_skipped_missing_test_images_are_an_error(
    tmp_path: Path,
) -> None:
    files = competition()
    del files["train/0003.png"]
    guess = inspect(tmp_path, files).guess("on_bad_image")
    assert (guess.value, guess.confidence) == ("skip", "guess")
    assert guess.reason == "1 training image is missing: 0003"
    assert {*guess.alternatives} == {"error", "blank"}
    del files["test/0040.png"]
    with pytest.raises(UserError, match=r"1 of 9 .*: 0040"):
        _ = inspect(tmp_path, files).tables


def test_test_ids_in_a_column_with_another_name_are_taken_from_the_sample(tmp_path: Path) -> None:
    files = competition()
    files["test.csv"] = files["test.csv"].replace(b"id", b"image", 1)
    inspection = inspect(tmp_path, files)
    assert inspection.prepare["test_csv"] is None and len(inspection.tables.test) == 9
    assert inspection.guess("test_csv").value is None
    assert "test.csv: no column id (columns: image)" in inspection.guess("test_csv").reason
    del files["sample_submission.csv"]
    files["test.csv"] = b"image\nnone\n"  # of an image
    with pytest.raises(UserError, match=r"test\.csv: no column id"):
        inspect(tmp_path, files)


def test_rows_of_pixels_may_be_in_another_order_than_in_the_sample(tmp_path: Path) -> None:
    files = layouts.pixels_with_ids().files
    rows = files["train.csv"].split(b"\n")
    files["train.csv"] = b"\n".join(row.partition(b",")[2] for row in rows)
    head, *rows = files["sample_submission.csv"].split()
    files["sample_submission.csv"] = b"\n".join([head, *rows[::-1], b""])
    found = inspect(tmp_path, files)
    ids = [row.partition(b",")[0].decode() for row in files["test.csv"].split()[1:]]
    assert (found.prepare["id_column"], found.prepare["test_id_column"]) == (None, "id")
    assert found.tables.test["id"].tolist() == ids  # in the order of the images
    assert found.tables.sample.iloc[:, 0].tolist() == ids[::-1]


def test_a_damaged_table_is_listed_and_the_others_are_used(tmp_path: Path) -> None:
    files = competition() | {"notes.csv": b"a,b\n\xe9,1\n", "extra.csv": b"a,b\n1,2,3\n"}
    inspection = inspect(tmp_path, files)
    assert sorted(inspection.survey.problems) == [
        "extra.csv",
        "notes.csv",
    ]
    assert inspection.prepare["train_csv"] == "train.csv"


@pytest.mark.parametrize(
    "name", ["train.csv", "test_ids.csv", "sampleSubmission.csv", "labels.csv"]
)
def test_a_damaged_table_with_a_role_is_an_error(tmp_path: Path, name: str) -> None:
    """Guesses without it would be about another competition."""
    with pytest.raises(UserError, match=name):
        inspect(tmp_path, competition() | {name: b"id,label\n\xe9,1\n"})


@pytest.mark.parametrize(
    ("column", "taken"),
    [("patient_id", True), ("PatientID", True), ("group", True), ("age_group", False)],
)
def test_a_column_is_a_group_by_its_whole_name(tmp_path: Path, column: str, taken: bool) -> None:
    files = layouts.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"patient_id", column.encode())
    inspection = inspect(tmp_path, files).prepare["group_column"]
    assert inspection == (column if taken else None)


def test_folder_names_are_never_lists_of_labels(tmp_path: Path) -> None:
    names = [f"{color} {kind}" for color in ("red", "blue") for kind in ("car", "bus", "truck")]
    pictures = [data for name, data in competition().items() if name.startswith("train/")]
    files = {f"train/{names[n % 6]}/{n}.png": data for n, data in enumerate(pictures)}
    inspection = inspect(tmp_path, files | {"test/1.png": pictures[0]})
    assert (inspection.layout.task, inspection.tables.classes) == ("multiclass", sorted(names))


def test_columns_of_the_sample_submission_are_never_lists_of_labels(tmp_path: Path) -> None:
    names = [f"{color} {kind}" for color in ("red", "blue") for kind in ("car", "bus", "truck")]
    known, hidden = layouts.known_and_hidden()
    train = known.assign(label=[names[n % 6] for n in range(len(known))])
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(names, 1 / 6)})
    inspection = inspect(tmp_path, layouts.labeled(train, sample))
    assert (inspection.layout.task, inspection.tables.classes) == ("multiclass", names)


def test_an_image_with_two_ids_is_an_error(tmp_path: Path) -> None:
    files = competition()
    files["train.csv"] += b"0000.png,square\n"
    with pytest.raises(UserError, match=r"train/0000.png: 0000, 0000.png"):
        inspect(tmp_path, files).tables  # noqa: B018


def test_flags_next_to_another_column_are_one_column_per_class(tmp_path: Path) -> None:
    files = layouts.one_hot().files
    rows = files["train.csv"].split()
    files["train.csv"] = b"\n".join([rows[0] + b",width", *(row + b",3" for row in rows[1:-1]),
                                     rows[-1] + b",4", b""])  # fmt: skip
    del files["sample_submission.csv"]
    inspection = inspect(tmp_path, files)
    assert (
        isinstance(inspection.prepare["label_column"], list)
        and len(inspection.prepare["label_column"]) == 3
    )
    assert inspection.layout.task == "multiclass"


def test_subfolders_of_classes_are_not_classes(tmp_path: Path) -> None:
    pictures = [data for name, data in competition().items() if name.startswith("train/")]
    places = [f"train/{label}/{day}/" for label in ("cat", "dog") for day in ("mon", "tue", "sun")]
    files = {f"{places[n % 6]}{n}.png": data for n, data in enumerate(pictures)}
    files |= {f"test/{n}.png": pictures[0] for n in range(4)}
    inspection = inspect(tmp_path, files)
    assert (inspection.prepare["train_csv"], inspection.prepare["train_images"]) == (None, "train")
    assert inspection.tables.classes == ["cat", "dog"]


def test_numbered_flags_are_not_pixels(tmp_path: Path) -> None:
    """By their names, sixteen columns could be the pixels of a square."""
    files = layouts.one_hot().files
    known, hidden = layouts.known_and_hidden()
    names = [f"c{n}" for n in range(16)]
    flags = np.eye(16, dtype=int)[np.arange(36) % 16]
    train = pd.concat([known[["id"]], pd.DataFrame(flags, columns=names)], axis=1)
    files["train.csv"] = csv(train)
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(names, 0.1)})
    files["sample_submission.csv"] = csv(sample)
    inspection = inspect(tmp_path, files)
    assert inspection.prepare["label_column"] == names and inspection.tables.classes == names


def test_a_damaged_pixel_is_left_to_prepare(tmp_path: Path) -> None:
    files = layouts.pixels_gray().files
    head, first, *rest = files["train.csv"].split(b"\n")
    files["train.csv"] = b"\n".join([head, first[: first.rindex(b",")] + b",x", *rest])
    assert inspect(tmp_path, files).prepare["pixel_columns"] == "pixel"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"readme.txt": b"hello"},
        {"train.csv": b"id,label\n"},
        {"train.csv": b"id,label\n1,a\n2,b\n"},
        {"test/1.jpg": b"x", "test/2.jpg": b"x"},
        {"1.jpg": b"x"},
        {"train/1.jpg": b"x", "test/2.jpg": b"x"},
        {"train.csv": b"", "train/1.jpg": b"x"},
        {"train.csv": b"id\n1\n", "train/1.jpg": b"x"},
        {"train.csv": b"a,b\nq,r\ns,t\n", "train/1.jpg": b"x"},
    ],
)
def test_nothing_to_train_on_is_an_error(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        inspect(tmp_path, files)
    expected = "no labeled training images|identifies image files|no rows|empty"
    assert re.search(expected, str(error.value))


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    extra = {"__MACOSX/train/._0000.png": b"x", "train/._0001.png": b"x", "._train.csv": b"\0"}
    inspection = inspect(tmp_path, competition() | extra)
    assert len(inspection.survey.images) == 45 and not inspection.survey.problems


def test_matching_takes_time_linear_in_the_number_of_images() -> None:
    """Ids that share a file name ("7/0.png") must not be compared with each other."""
    ids = [f"{number}/0" for number in range(60_000)]
    index = ImageIndex(f"train/{image}.png" for image in ids)
    assert match_rate(ids, index.find) == 1
    assert matching_folders(ids, index) == (["train", ""], 60_000)


def test_a_guess_keeps_its_alternatives_when_it_is_answered() -> None:
    guess = Guess("prepare.test_images", "a", "guess", "reason", (None, ""))
    assert guess.answered("none") == Guess(
        "prepare.test_images", None, "given", "given by you", (None, "")
    )
    assert guess.parsed('""') == "" and to_text(["a", None]) == "a,none"
    with pytest.raises(UserError, match="--test-images: 'x' is not one of a, none"):
        guess.answered("x")


@pytest.mark.parametrize(
    ("labels", "target", "positive", "confidence"),
    [
        (["0", "1"], "label", "1", "certain"),
        (["no", "yes"], "label", "yes", "certain"),
        (["True", "False"], "label", "True", "certain"),
        (["pos", "neg"], "label", "pos", "certain"),
        (["malignant", "benign"], "label", "malignant", "certain"),
        (["normal", "covid"], "label", "covid", "likely"),
        (["real", "fake"], "label", "fake", "likely"),
        (["Positive", "a"], "label", "Positive", "likely"),
        (["cat", "dog"], "label", "dog", "guess"),
        (["2", "10"], "label", "10", "guess"),
        (["cat", "dog"], "Cat", "cat", "certain"),
        (["cat", "dog"], "dog", "dog", "certain"),
    ],
)
def test_the_positive_class_follows_from_the_sample_or_the_labels(
    labels: list[str], target: str, positive: str, confidence: str, tmp_path: Path
) -> None:
    known, hidden = layouts.known_and_hidden()
    train = known.assign(label=labels * (len(known) // 2))
    sample = pd.DataFrame({"id": hidden["id"], target: 0.5})
    inspection = inspect(tmp_path, layouts.labeled(train, sample))
    guess = inspection.guess("positive_class")
    assert (guess.value, guess.confidence) == (positive, confidence)
    assert inspection.tables.classes[1] == positive
    (other,) = {*labels} - {positive}
    answered = inspect(tmp_path, layouts.labeled(train, sample), positive_class=other)
    assert answered.tables.classes[1] == other
    with pytest.raises(UserError, match="--positive-class"):
        inspect(tmp_path, layouts.labeled(train, sample), positive_class="bird")


def test_one_column_per_class_needs_no_positive_class(tmp_path: Path) -> None:
    known, hidden = layouts.known_and_hidden()
    train = known.assign(label=["cat", "dog"] * (len(known) // 2))
    sample = pd.DataFrame({"id": hidden["id"], "dog": 0.5, "cat": 0.5})
    inspection = inspect(tmp_path, layouts.labeled(train, sample))
    guess = inspection.guess("positive_class")
    assert (guess.value, guess.confidence) == (None, "certain")
    assert inspection.tables.classes == ["dog", "cat"]
