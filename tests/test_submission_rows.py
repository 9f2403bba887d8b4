"""Submissions with other rows and columns than an id and predictions: one row per label, columns
that are copied from the sample submission.
"""

from pathlib import Path

import in_process
import kernels
import layouts
import pandas as pd
import pytest
import test_small_competitions as small
from test_small_competitions import Files, N, T, images, plain, submission, table

from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.core import csvs, files
from podium.core.errors import UserError
from podium.dataset.submission_file import SubmissionFile, find_labels
from podium.kaggle import check
from podium.kaggle.kernel import main
from podium.params import schema

folder = small.folder
LABELS = ["epidural", "sub_dural", "any"]


def flag(image: int, label: int) -> int:
    return int((image + label) % 3 == 0 or (label == 2 and image % 2 == 0))


def long_sample(separator: str = "_", value: str = "0.5") -> bytes:
    rows = [f"ID_{n}{separator}{label},{value}" for n in range(50, 56) for label in LABELS]
    return table("ID,Label", rows)


def hemorrhages(*, long_train: bool, separator: str = "_") -> Files:
    """Several labels per image, as in rsna-intracranial-hemorrhage-detection: a row for each in the
    submission, and with `long_train` in the training table, which repeats some.
    """
    if long_train:
        rows = [
            f"ID_{n}{separator}{label},{flag(n, place)}"
            for n in N
            for place, label in enumerate(LABELS)
        ]
        train = table("ID,Label", rows + rows[:3])
    else:
        rows = [f"ID_{n},{','.join(str(flag(n, place)) for place in range(3))}" for n in N]
        train = table(f"image,{','.join(LABELS)}", rows)
    return {
        "train.csv": train,
        "sample_submission.csv": long_sample(separator),
        **images(train=[f"ID_{n}" for n in N], test=[f"ID_{n}" for n in range(50, 56)]),
    }


@pytest.mark.parametrize("long_train", [True, False])
@pytest.mark.parametrize("separator", ["_", "-", " "])
def test_a_row_per_label_is_understood(tmp_path: Path, separator: str, *, long_train: bool) -> None:
    found = layouts.inspect(tmp_path, hemorrhages(long_train=long_train, separator=separator))
    prepare = found.prepare
    assert prepare["id_label_separator"] == separator
    assert prepare["label_column"] == ("Label" if long_train else LABELS)
    assert (found.layout.task, found.layout.metric) == ("multilabel", "roc_auc")
    read = found.tables
    assert read.classes == LABELS
    assert read.train["id"].tolist() == [f"ID_{n}" for n in N]
    assert read.train.loc[0, "label"] == "epidural|any"
    assert read.test["id"].tolist() == [f"ID_{n}" for n in range(50, 56)]
    assert read.sample.columns.tolist() == ["ID", *LABELS]


@pytest.mark.slow
@pytest.mark.parametrize("long_train", [True, False])
def test_a_submission_with_a_row_per_label(*, long_train: bool) -> None:
    contents = hemorrhages(long_train=long_train)
    in_process.run_project(contents, "--metric", "log_loss(any=2)")
    written = submission()
    sample = csvs.parse(contents["sample_submission.csv"])
    assert written["ID"].tolist() == sample["ID"].tolist()
    values = written["Label"].astype(float)
    assert values.between(0, 1).all() and values.nunique() > len(LABELS)
    solution = sample.assign(Label=[str(flag(n, p)) for n in range(50, 56) for p in range(3)])
    Path("data/solution").mkdir(exist_ok=True)
    files.write_csv(Path("data/solution/solution.csv"), solution)
    in_process.run_stages("report")
    report = Path("reports/report.md").read_text()
    assert "log_loss(any=2)" in report and "| 18 |" not in report
    # What is submitted is checked against the sample: a missing row is found.
    path = Path("submissions/made.csv")
    expected = check.check(path, schema.load())
    assert expected.rows == 3 * len(T)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match="1 missing ids: ID_55_any"):
        check.check(path, schema.load())


def test_ids_that_end_with_the_same_words_are_not_labels(tmp_path: Path) -> None:
    """As in diabetic-retinopathy-detection: each eye has an image."""
    eyes = [f"{n // 2}_{'left' if n % 2 else 'right'}" for n in (*N, *range(50, 56))]
    train, test = eyes[: len(N)], eyes[len(N) :]
    contents = {
        "train.csv": table("image,level", [f"{name},{n % 5}" for n, name in enumerate(train)]),
        "sample_submission.csv": table("image,level", [f"{name},0" for name in test]),
        **images(train=train, test=test),
    }
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["id_label_separator"] is None
    assert found.tables.test["id"].tolist() == test


def test_a_label_that_an_image_lacks_is_an_error(tmp_path: Path) -> None:
    contents = hemorrhages(long_train=True)
    contents["train.csv"] = contents["train.csv"].replace(b"ID_3_any,0\n", b"")
    with pytest.raises(UserError, match="1 image does not have all 3 labels: ID_3"):
        layouts.inspect(tmp_path, contents)


def test_a_kernel_reads_and_writes_a_row_per_label(tmp_path: Path) -> None:
    contents = hemorrhages(long_train=False)
    layout = Prepare(**layouts.inspect(tmp_path, contents).layout.prepare)
    for name, data in contents.items():
        path = tmp_path / "competition" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    spec = kernels.spec(layout).model_copy(update={"task": "multilabel", "classes": LABELS})
    sample, test = main.read_test(Folder(tmp_path / "competition"), spec)
    assert test["id"].tolist() == [f"ID_{n}" for n in range(50, 56)]
    assert sample.wide.columns.tolist() == ["ID", *LABELS]
    filled = sample.file.fill(sample.rows, sample.wide.assign(any="1"))
    assert filled["Label"].tolist() == ["0.5", "0.5", "1"] * 6
    assert filled["ID"].tolist() == sample.rows["ID"].tolist()


def test_labels_at_the_end_of_ids() -> None:
    ids = [f"ID_{n}_{label}" for n in range(4) for label in LABELS]
    assert find_labels(ids, "_") == LABELS
    assert find_labels(ids[:-1], "_") == [] == find_labels(["a", "b_1"], "_")
    assert find_labels([], "_") == []


INDEX = {
    "": (",id,label", "{n},{id},{label}", []),
    "Unnamed": ("Unnamed: 0,id,label", "{n},{id},{label}", []),
    "last": ("id,label,", "{id},{label},{n}", ["Unnamed: 2"]),
    "Usage": ("id,Usage,label", "{id},Public,{label}", ["Usage"]),
    "blank": ("id,label,comment", "{id},{label},", ["comment"]),
}


@pytest.mark.parametrize("kind", INDEX)
def test_a_column_that_is_not_a_prediction_is_copied(tmp_path: Path, kind: str) -> None:
    header, row, copied = INDEX[kind]
    rows = [row.format(n=n, id=f"b{n}", label="x") for n in T]
    contents = {**plain(), "sample_submission.csv": table(header, rows)}
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["copied_columns"] == (copied or ["Unnamed: 0"])
    assert (found.layout.task, found.layout.metric) == ("multiclass", "accuracy")
    read = found.tables
    assert read.sample.columns.tolist() == ["id", "label"]
    assert read.sample_rows is not None
    filled = read.file.fill(read.sample_rows, read.sample)
    assert filled.to_csv(index=False).encode() == contents["sample_submission.csv"]


@pytest.mark.slow
def test_an_index_without_a_name_is_in_the_submission() -> None:
    rows = [f"{n},b{n},x" for n in T]
    train = [f"{n},a{n},{'xyz'[n % 3]}" for n in N]
    contents = {
        **plain(),
        "train.csv": table(",id,label", train),
        "test.csv": table(",id", [f"{n},b{n}" for n in T]),
        "sample_submission.csv": table(",id,label", rows),
    }
    in_process.run_project(contents)
    lines = Path("submissions/made.csv").read_text().splitlines()
    assert lines[0] == ",id,label"
    assert [line.split(",")[:2] for line in lines[1:]] == [[str(n), f"b{n}"] for n in T]
    assert {line.split(",")[2] for line in lines[1:]} <= {*"xyz"}
    check.check(Path("submissions/made.csv"), schema.load())


def test_a_column_of_the_test_table_is_copied(tmp_path: Path) -> None:
    contents = {
        **plain(),
        "test.csv": table("id,width", [f"b{n},{n + 9}" for n in T]),
        "sample_submission.csv": table("id,width,label", [f"b{n},{n + 9},x" for n in T]),
    }
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["copied_columns"] == ["width"]


def test_blank_columns_of_classes_are_not_copied(tmp_path: Path) -> None:
    sample = table("id,x,y,z", [f"b{n},,," for n in T])
    folders = {f"train/{x}": [f"{x}{n}" for n in range(4)] for x in "xyz"}
    in_folders = {**images(**folders, test=[f"b{n}" for n in T]), "sample_submission.csv": sample}
    for contents in (in_folders, {**plain(), "sample_submission.csv": sample}):
        found = layouts.inspect(tmp_path, contents)
        assert found.prepare["copied_columns"] == [] and found.tables.classes == [*"xyz"]


def test_eyes_without_test_images_are_not_labels(tmp_path: Path) -> None:
    names = [f"{n // 2}_{'left' if n % 2 else 'right'}" for n in N]
    contents = {
        "train.csv": table("image,level", [f"{name},{n % 5}" for n, name in enumerate(names)]),
        "sample_submission.csv": table(
            "image,level", ["50_left,0", "50_right,0", "51_left,0", "51_right,0"]
        ),
        **images(train=names),
    }
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["id_label_separator"] is None and found.prepare["hidden_test"]


def test_a_class_without_training_images_is_not_copied(tmp_path: Path) -> None:
    rows = [f"b{n},0.2,0.2,0.3,0.3" for n in T]
    contents = {**plain(), "sample_submission.csv": table("id,x,y,z,new", rows)}
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["copied_columns"] == []


def test_a_file_is_filled_as_it_was() -> None:
    file = SubmissionFile(id_place=2, copied=(0, 3))
    rows = pd.DataFrame({"n": [1, 2], "x": "", "id": ["a", "b"], "u": "P", "y": ""})
    wide = file.wide(rows)
    assert wide.columns.tolist() == ["id", "x", "y"]
    filled = file.fill(rows, wide.assign(x=[5, 6]))
    assert filled.columns.tolist() == ["n", "x", "id", "u", "y"] and filled["x"].tolist() == [5, 6]
