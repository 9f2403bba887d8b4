"""What `make init` finds in competitions of each layout."""

import re
from pathlib import Path
from typing import Any

import layouts as built
import numpy as np
import pandas as pd
import pytest
from competitions import CLASSES, competition, csv, encode, picture, write_zip
from conftest import ROOT

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import tables
from podium.init import dry_run
from podium.init.guesses import Chooser, Guess, text
from podium.init.layout import Layout, understand
from podium.init.matching import Names
from podium.init.printout import of_files
from podium.init.survey import survey

DATA = ROOT.parent / "shared" / "data"


class Found:
    """What init finds in an archive, as a person would see it."""

    def __init__(self, path: Path, **given: str) -> None:
        self.archive = Archive(path)
        self.survey = survey(self.archive)
        self.chooser = Chooser({_key(name): value for name, value in given.items()})
        self.layout: Layout = understand(self.survey, self.chooser)

    @property
    def prepare(self) -> dict[str, Any]:
        return Prepare(**self.layout.prepare).model_dump()

    @property
    def tables(self) -> tables.Tables:
        return dry_run.try_out(self.archive, self.layout)

    def guess(self, key: str) -> Guess:
        return next(guess for guess in self.chooser.chosen if guess.key == key)


def _key(name: str) -> str:
    return name if name in ("task", "metric") else f"prepare.{name}"


def find(tmp_path: Path, files: dict[str, bytes], **given: str) -> Found:
    return Found(write_zip(tmp_path / "shapes.zip", files), **given)


@pytest.mark.parametrize("name", built.BUILDERS)
def test_a_layout_is_understood_and_prepare_takes_it(name: str, tmp_path: Path) -> None:
    competition = built.BUILDERS[name]()
    found = find(tmp_path, competition.files)
    goal = found.layout.task, found.layout.metric, found.layout.format
    assert goal == (competition.task, competition.metric, competition.format)
    prepare = found.prepare
    assert {key: prepare[key] for key in competition.prepare} == competition.prepare
    made = found.tables
    assert made.classes == competition.classes
    assert (len(made.train), len(made.test)) == (built.TRAIN, built.TEST)
    assert found.guess("metric").sureness == "a guess"


def test_the_larger_pictures_are_a_guess_and_the_others_named(tmp_path: Path) -> None:
    guess = find(tmp_path, built.several_folders().files).guess("prepare.train_images")
    assert (guess.sureness, guess.alternatives) == ("a guess", ("images_small",))
    assert "images_large 32 x 40" in guess.why and "images_small 16 x 20" in guess.why


def test_folders_whose_files_have_the_same_names_are_told_apart_by_theirs(tmp_path: Path) -> None:
    files = {name: data for name, data in competition(36, 9).items() if not name.startswith("test")}
    rng = np.random.default_rng(0)
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36)]})
    files["test.csv"] = csv(hidden)
    files["sample_submission.csv"] = csv(hidden.assign(label="square"))
    for image in hidden["id"]:
        files[f"test/{image}.png"] = encode(picture("square", rng, (80, 80)))
        files[f"masks/{image}.png"] = encode(picture("square", rng, (90, 90)))
        files[f"extra/{image}.png"] = encode(picture("square", rng, (90, 90)))
    found = find(tmp_path, files)
    assert (found.prepare["train_images"], found.prepare["test_images"]) == ("train", "test")
    assert len(found.tables.test) == 36


def test_the_table_with_the_samples_columns_is_the_training_table(tmp_path: Path) -> None:
    files = competition()
    files["labels.csv"] = files.pop("train.csv")
    known, _ = built.known_and_hidden()
    files["train_cameras.csv"] = csv(known[["id"]].assign(camera=["a", "b"] * 18))
    found = find(tmp_path, files)
    assert found.prepare["train_csv"] == "labels.csv"
    assert found.guess("prepare.train_csv").alternatives == ("train_cameras.csv",)
    assert found.layout.notes == ["train_cameras.csv: not used"]


def test_a_label_with_a_space_is_one_label(tmp_path: Path) -> None:
    files = {
        name.replace("square", "red square"): d for name, d in built.class_folders().files.items()
    }
    hidden = built.known_and_hidden()[1]
    names = {name.rpartition("/")[2] for name in files if "test" in name}
    assert len(names) == len(hidden)
    files["sample_submission.csv"] = csv(
        pd.DataFrame({"file": sorted(names), "species": "red square"})
    )
    found = find(tmp_path, files)
    assert (found.layout.metric, found.tables.classes[1]) == ("accuracy", "red square")
    files["sample_submission.csv"] = csv(
        pd.DataFrame({"file": sorted(names), "species": "red fox"})
    )
    assert find(tmp_path, files).layout.metric == "accuracy"


def test_a_sample_in_another_form_than_a_submission_can_have_is_an_error(tmp_path: Path) -> None:
    found = find(tmp_path, built.several_labels(" ").files, task="multiclass")
    found.layout.format = "probability"
    with pytest.raises(UserError, match=r"submission\.format: probability"):
        _ = found.tables


def test_labels_in_file_names_are_likely_and_a_person_may_say_where(tmp_path: Path) -> None:
    files = built.named_after_classes("{number}_{label}_x").files
    with pytest.raises(UserError, match="no training images with labels that can be told"):
        find(tmp_path, files)
    found = find(tmp_path, files, label_pattern=r"_(.+)_")
    assert found.tables.classes == [*CLASSES]
    assert found.prepare["label_pattern"] == r"_(.+)_"
    for pattern, task in {
        "(": "invalid regular expression",
        "x": "has 0 groups",
        "(zz)": "finds no",
    }.items():
        with pytest.raises(UserError, match=task):
            find(tmp_path, files, label_pattern=pattern)
    told = find(tmp_path, built.named_after_classes().files).guess("prepare.label_pattern")
    assert told.sureness == "likely" and "3 classes: circle, square, stripes" in told.why
    assert told.answered(r"^(\w+)") == r"^(\w+)"
    with pytest.raises(UserError, match="finds no label"):
        told.answered(r"^(\d+)")


def test_folders_of_the_test_are_no_classes_where_names_have_labels(tmp_path: Path) -> None:
    files = built.named_after_classes().files
    del files["sample_submission.csv"]
    tests = sorted(name for name in files if name.startswith("test/"))
    for place, name in enumerate(tests):
        files[name.replace("test/", f"test/site{place % 2}/")] = files.pop(name)
    found = find(tmp_path, files)
    assert (found.prepare["train_images"], found.prepare["test_images"]) == ("train", "test")
    assert found.tables.test["id"][0].startswith("site0/")


def test_numbers_of_a_camera_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training images with labels that can be told"):
        find(tmp_path, built.named_after_classes("IMG_{number}").files)
    with pytest.raises(UserError, match="no training images with labels that can be told"):
        find(tmp_path, built.named_after_classes("{number}_1").files)  # as many classes as images


def test_a_table_without_a_header_is_told(tmp_path: Path) -> None:
    known, _ = built.known_and_hidden()
    for name in ("{}.png", "{}"):
        rows = known.assign(id=[name.format(image) for image in known["id"]])
        files = {**built.all_photos(), "train.csv": rows.to_csv(index=False, header=False).encode()}
        with pytest.raises(UserError, match=r"train\.csv seems to have no header: '0000"):
            find(tmp_path, files)


def test_folders_of_images_that_are_not_used_are_told(tmp_path: Path) -> None:
    files = built.class_folders().files
    files |= {n.replace("train", "val"): data for n, data in files.items() if "train" in n}
    folders = sorted({n.rpartition("/")[0] for n in files if "val" in n})
    assert find(tmp_path, files).layout.notes == [
        f"{', '.join(f'{f}/' for f in folders)}: not used"
    ]
    assert find(tmp_path, built.paths_as_ids().files).layout.notes == []


def test_captions_of_as_many_words_as_a_picture_has_pixels_are_no_pictures(tmp_path: Path) -> None:
    files = dict(built.pixels_in_a_cell().files)
    caption = " ".join(["word"] * 16)
    for name in ("train.csv", "test.csv"):
        header, *lines = files[name].decode().splitlines()
        rows = [f"caption,{header}", *(f"{caption},{line}" for line in lines)]
        files[name] = "\n".join(rows).encode()
    assert find(tmp_path, files, label_column="label").prepare["pixel_columns"] == "pixels"


def test_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    files = competition() | {"a.tfrec": b"", "b.tfrec": b"", "map.json": b"{}", "notes": b""}
    found = find(tmp_path, files)
    assert "files that are not read: 2 .tfrec, 1 .json, 1 (none)" in of_files(found.survey, "x")
    packed = {"train.7z": b"", "test.tar.gz": b"", "sample_submission.csv": b"id,label\n1,a\n"}
    with pytest.raises(
        UserError, match=r"train\.7z, test\.tar\.gz: archives of such kinds are not"
    ):
        find(tmp_path, packed)


def test_an_id_names_a_file_as_prepare_takes_it() -> None:
    names = Names(["x/a.jpg", "x/a.jpg.png", "y/b c.png", "y/cafe\u0301.png", "z/q/1.png"])
    found = {
        "a.jpg": [0],
        "a": [0],
        "a.jpg.png": [1],
        " b c ": [2],
        "caf\u00e9": [3],
        "./q/1": [4],
        "q\\1.png": [4],
        "": [],
        "nothing": [],
    }
    assert {value: names.find(value) for value in found} == found


def test_columns_that_are_left_aside_and_a_group_are_told(tmp_path: Path) -> None:
    found = find(tmp_path, built.extra_columns().files)
    assert found.layout.notes == ["train.csv: the columns age, sex are left aside"]
    guess = found.guess("prepare.group_column")
    assert (guess.sureness, guess.alternatives) == ("likely", (None,))
    assert "12 groups of 36 rows" in guess.why
    assert found.tables.train["group"].nunique() == 12


def test_another_column_of_ids_that_repeats_is_only_offered(tmp_path: Path) -> None:
    files = built.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"patient_id", b"camera_id", 1)
    found = find(tmp_path, files)
    guess = found.guess("prepare.group_column")
    assert guess.value is None and guess.alternatives == ("camera_id",)
    assert find(tmp_path, files, group_column="camera_id").prepare["group_column"] == "camera_id"


def test_flags_that_are_called_as_groups_are_none(tmp_path: Path) -> None:
    files = built.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"sex,patient_id", b"Subject Focus,x", 1)
    assert find(tmp_path, files).prepare["group_column"] is None


def test_the_sample_submissions_labels_tell_the_label_column(tmp_path: Path) -> None:
    known, hidden = built.known_and_hidden()
    train = known.rename(columns={"label": "individual_id"}).assign(species=["a", "b"] * 18)
    sample = pd.DataFrame({"id": hidden["id"], "predictions": "square circle new"})
    found = find(tmp_path, built.labelled(train, sample))
    assert found.prepare["label_column"] == "individual_id"
    assert found.layout.metric == "map@3"
    assert found.guess("prepare.label_column").alternatives == ("species",)


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    files = built.extra_columns().files
    found = find(tmp_path, files, label_column="sex", metric="mcc", group_column="none")
    assert found.prepare["label_column"] == "sex" and found.prepare["group_column"] is None
    assert (found.layout.task, found.layout.metric) == ("binary", "mcc")
    assert found.guess("metric").sureness == "certain"
    assert found.guess("metric").why == "by --metric"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "rmse"}, "--metric: rmse is not supported for task: multiclass"),
        ({"task": "cats"}, "--task: there is no task 'cats'; there are binary, multiclass"),
        ({"id_column": "name"}, "--id-column: there is no column of train.csv 'name'"),
        ({"label_column": "id"}, "--label-column: there is no column of train.csv 'id'"),
        ({"group_column": "x"}, "--group-column: there is no column of train.csv 'x'"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        find(tmp_path, competition(), **given)
    assert message in str(error.value)


def test_an_option_without_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--id-column: these files leave nothing to choose"):
        find(tmp_path, built.class_folders().files, id_column="id")


@pytest.mark.parametrize(
    ("column", "values", "sample", "task", "metric"),
    [
        ("breed", ["American Shorthair", "British Shorthair", "Siamese"], None, "multiclass", None),
        ("label", ["yes", "no"], "no", "binary", "accuracy"),
        ("label", ["0", "1"], "0.5", "binary", "roc_auc"),
        ("label", ["0", "1"], "0", "binary", "accuracy"),
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
def test_the_task_and_the_metric_follow_from_labels_and_sample(
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
        pd.DataFrame({"id": built.known_and_hidden()[0]["id"], column: labels})
    )
    _, hidden = built.known_and_hidden()
    if sample is None:
        del files["sample_submission.csv"]
    else:
        files["sample_submission.csv"] = csv(pd.DataFrame({"id": hidden["id"], column: sample}))
    found = find(tmp_path, files).layout
    assert found.task == task and (metric is None or found.metric == metric)


def test_several_numbers_an_image_are_refused(tmp_path: Path) -> None:
    files = built.several_columns().files
    files["train.csv"] = files["train.csv"].replace(b",1,", b",0.3,")
    with pytest.raises(UserError, match=r"hold other values than 0 and 1.*--label-column"):
        find(tmp_path, files)


def test_labels_that_differ_in_case_or_spaces_are_taken_for_one(tmp_path: Path) -> None:
    files = competition()
    files["train.csv"] = files["train.csv"].replace(b"0000,circle", b"0000,Circle ")
    found = find(tmp_path, files)
    assert found.prepare["label_variants"] == "merge"
    assert found.tables.classes == [*CLASSES]
    assert "'Circle ', 'circle'" in found.guess("prepare.label_variants").why


def test_training_images_that_are_missing_are_left_out_and_told(tmp_path: Path) -> None:
    files = competition()
    del files["train/0003.png"]
    guess = find(tmp_path, files).guess("prepare.on_bad_image")
    assert (guess.value, guess.sureness) == ("skip", "a guess")
    assert guess.why == "1 training images are not in the archive: 0003"
    del files["test/0040.png"]
    with pytest.raises(UserError, match=r"1 of 9 images .*: 0040(?s:.*)nothing is written"):
        _ = find(tmp_path, files).tables


def test_test_ids_in_a_column_of_another_name_come_of_the_sample(tmp_path: Path) -> None:
    files = competition()
    files["test.csv"] = files["test.csv"].replace(b"id", b"image", 1)
    found = find(tmp_path, files)
    assert found.prepare["test_csv"] is None and len(found.tables.test) == 9
    assert "test.csv has no column id; it has image" in found.layout.notes[0]
    del files["sample_submission.csv"]
    with pytest.raises(UserError, match="rename it there"):
        find(tmp_path, files)


def test_pixels_of_a_test_table_in_another_order_than_the_sample_are_refused(
    tmp_path: Path,
) -> None:
    files = built.pixels_with_ids().files
    rows = files["train.csv"].split(b"\n")
    files["train.csv"] = b"\n".join(row.partition(b",")[2] for row in rows)
    head, *rows = files["sample_submission.csv"].split()
    files["sample_submission.csv"] = b"\n".join([head, *rows[::-1], b""])
    with pytest.raises(UserError, match="stand in another order"):
        find(tmp_path, files)


def test_a_damaged_table_is_named_and_the_others_used(tmp_path: Path) -> None:
    files = competition() | {"notes.csv": b"a,b\n\xe9,1\n", "extra.csv": b"a,b\n1,2,3\n"}
    found = find(tmp_path, files)
    assert sorted(task.partition(" ")[0] for task in found.survey.problems) == [
        "extra.csv",
        "notes.csv",
    ]
    assert found.prepare["train_csv"] == "train.csv"


@pytest.mark.parametrize(
    "name", ["train.csv", "test_ids.csv", "sampleSubmission.csv", "labels.csv"]
)
def test_a_damaged_table_whose_name_says_its_role_is_an_error(tmp_path: Path, name: str) -> None:
    """Another guess without it would be of another competition."""
    with pytest.raises(UserError, match=rf"{name} in .* is not a CSV"):
        find(tmp_path, competition() | {name: b"id,label\n\xe9,1\n"})


@pytest.mark.parametrize(
    ("column", "taken"),
    [("patient_id", True), ("PatientID", True), ("group", True), ("age_group", False)],
)
def test_a_column_is_a_group_by_its_whole_name(tmp_path: Path, column: str, taken: bool) -> None:
    files = built.extra_columns().files
    files["train.csv"] = files["train.csv"].replace(b"patient_id", column.encode())
    found = find(tmp_path, files).prepare["group_column"]
    assert found == (column if taken else None)


def test_folders_are_never_several_labels(tmp_path: Path) -> None:
    names = [f"{colour} {kind}" for colour in ("red", "blue") for kind in ("car", "bus", "truck")]
    pictures = [data for name, data in competition().items() if name.startswith("train/")]
    files = {f"train/{names[n % 6]}/{n}.png": data for n, data in enumerate(pictures)}
    found = find(tmp_path, files | {"test/1.png": pictures[0]})
    assert (found.layout.task, found.tables.classes) == ("multiclass", sorted(names))


def test_the_sample_submissions_columns_are_whole_labels(tmp_path: Path) -> None:
    names = [f"{colour} {kind}" for colour in ("red", "blue") for kind in ("car", "bus", "truck")]
    known, hidden = built.known_and_hidden()
    train = known.assign(label=[names[n % 6] for n in range(len(known))])
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(names, 1 / 6)})
    found = find(tmp_path, built.labelled(train, sample))
    assert (found.layout.task, found.tables.classes) == ("multiclass", names)


def test_an_image_with_two_ids_is_an_error(tmp_path: Path) -> None:
    files = competition()
    files["train.csv"] += b"0000.png,square\n"
    with pytest.raises(UserError, match=r"train/0000.png: 0000, 0000.png"):
        find(tmp_path, files).tables  # noqa: B018


def test_flags_beside_another_column_are_one_column_a_class(tmp_path: Path) -> None:
    files = built.one_hot().files
    rows = files["train.csv"].split()
    files["train.csv"] = b"\n".join([rows[0] + b",width", *(row + b",3" for row in rows[1:-1]),
                                     rows[-1] + b",4", b""])  # fmt: skip
    del files["sample_submission.csv"]
    found = find(tmp_path, files)
    assert (
        isinstance(found.prepare["label_column"], list) and len(found.prepare["label_column"]) == 3
    )
    assert found.layout.task == "multiclass"


def test_folders_within_the_folder_of_a_class_are_no_classes(tmp_path: Path) -> None:
    pictures = [data for name, data in competition().items() if name.startswith("train/")]
    places = [f"train/{label}/{day}/" for label in ("cat", "dog") for day in ("mon", "tue", "sun")]
    files = {f"{places[n % 6]}{n}.png": data for n, data in enumerate(pictures)}
    files |= {f"test/{n}.png": pictures[0] for n in range(4)}
    found = find(tmp_path, files)
    assert (found.prepare["train_csv"], found.prepare["train_images"]) == (None, "train")
    assert found.tables.classes == ["cat", "dog"]


def test_flags_and_features_with_numbers_are_no_pixels(tmp_path: Path) -> None:
    """Sixteen columns of 0 and 1 could be the pixels of a square."""
    files = built.one_hot().files
    known, hidden = built.known_and_hidden()
    names = [f"c{n}" for n in range(16)]
    flags = np.eye(16, dtype=int)[np.arange(36) % 16]
    train = pd.concat([known[["id"]], pd.DataFrame(flags, columns=names)], axis=1)
    files["train.csv"] = csv(train)
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(names, 0.1)})
    files["sample_submission.csv"] = csv(sample)
    found = find(tmp_path, files)
    assert found.prepare["label_column"] == names and found.tables.classes == names


def test_a_damaged_pixel_is_left_for_prepare_to_name(tmp_path: Path) -> None:
    files = built.pixels_grey().files
    head, first, *rest = files["train.csv"].split(b"\n")
    files["train.csv"] = b"\n".join([head, first[: first.rindex(b",")] + b",x", *rest])
    assert find(tmp_path, files).prepare["pixel_columns"] == "pixel"


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
def test_what_holds_nothing_to_learn_from_is_one_error(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        find(tmp_path, files)
    said = "no training images with labels|names image files|has no rows|it is empty"
    assert re.search(said, str(error.value))


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    extra = {"__MACOSX/train/._0000.png": b"x", "train/._0001.png": b"x", "._train.csv": b"\0"}
    found = find(tmp_path, competition() | extra)
    assert len(found.survey.images) == 45 and not found.survey.problems


def test_a_large_archive_is_matched_in_time_in_proportion() -> None:
    """Ids that share a file name ("7/0.png") must not be compared each with each."""
    ids = [f"{number}/0" for number in range(60_000)]
    names = Names([f"train/{image}.png" for image in ids])
    assert names.share(ids) == 1
    (best, *_) = names.covers(ids)
    assert (best.folder, best.ids, best.ambiguous) == ("train", 60_000, 0)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("ants-bees", 2, {"train_csv": "train.csv", "sample_submission": "sample_submission.csv"}),
        (
            "weather",
            5,
            {
                "train_csv": "Training_set.csv",
                "test_csv": "Testing_set.csv",
                "sample_submission": None,
                "id_column": "filename",
            },
        ),
    ],
)
def test_the_photo_competitions_are_understood(
    name: str, classes: int, expected: dict[str, Any]
) -> None:
    if not (DATA / f"{name}.zip").is_file():
        pytest.skip("the photos are not at hand")
    found = Found(DATA / f"{name}.zip")
    prepare = found.prepare
    both = {**expected, "label_column": "label", "train_images": "train", "test_images": "test"}
    assert {key: prepare[key] for key in both} == both
    assert len(found.tables.classes) == classes and found.layout.metric == "accuracy"
    assert found.layout.task == ("binary" if classes == 2 else "multiclass")
    assert not found.layout.notes


def test_a_guess_is_recorded_with_who_decided() -> None:
    guess = Guess("metric", "accuracy", "a guess", "why", ("log_loss",))
    chooser = Chooser({}, ask=lambda guess: guess.alternatives[0])
    assert chooser.choose(guess) == "log_loss"
    assert chooser.chosen == [Guess("metric", "log_loss", "certain", "your answer", ("log_loss",))]
    sure = Guess("task", "binary", "certain", "why")
    assert chooser.choose(sure) == "binary" and chooser.chosen[1] == sure
    with pytest.raises(UserError, match="--metric: 'x' is none of accuracy, log_loss"):
        Chooser({"metric": "x"}).choose(guess)
    assert text(["a", "b"]) == "a,b"
