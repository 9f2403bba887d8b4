"""Sample submissions whose rows are about an image and a label or target, as another table or their
ids say, and not about each label of each image.
"""

import re
from collections.abc import Callable
from pathlib import Path

import in_process
import kernels
import layouts
import numpy as np
import pandas as pd
import pytest
import test_small_competitions as small
from competitions import write_zip
from in_process import STAGES
from sklearn.metrics import log_loss
from test_small_competitions import Files, N, T, images, submission, table

from podium.competition.archive import Archive
from podium.competition.folder import Folder
from podium.config.prepare import Prepare
from podium.core import csvs, files
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset.submission_file import SubmissionFile
from podium.init.dry_run import dry_run
from podium.kaggle import check
from podium.kaggle.kernel import main
from podium.params import schema

folder = small.folder
POINTS = "left_eye_x", "left_eye_y", "nose_x"
LEVELS = "spinal_l1", "left_l1", "spinal_l2"
FLAGS = "any", "C1", "C2", "C3"


def asked() -> list[tuple[int, str]]:
    """The test images and the targets that rows are about; none is about image 5, and one other has
    rows for all targets.
    """
    return [(n, name) for n in (4, 1, 2, 3, 6) for name in POINTS[: 3 if n == 1 else 1 + n % 2]]


def faces(**replaced: bytes) -> Files:
    """Numbers and pixels in tables, half of the numbers of one target missing, and a table with the
    image and the target of each row, as in facial-keypoints-detection.
    """
    rng = np.random.default_rng(0)
    shades = rng.integers(0, 256, (len(N) + len(T), 36)).astype(str)
    numbers = [[f"{n * 1.5}", f"{n}.25", f"{n * 2}.5" if n % 2 else ""] for n in N]
    train = [f"{','.join(row)},{' '.join(shades[n])}" for n, row in enumerate(numbers)]
    lookup = [f"{row},{n},{name}," for row, (n, name) in enumerate(asked(), 1)]
    tables = {
        "training.csv": table(",".join((*POINTS, "Image")), train),
        "test.csv": table("ImageId,Image", [f"{n + 1},{' '.join(shades[-1 - n])}" for n in T]),
        "IdLookupTable.csv": table("RowId,ImageId,FeatureName,Location", lookup),
        "SampleSubmission.csv": table("RowId,Location", [f"{n + 1},0" for n in range(len(lookup))]),
    }
    return {**tables, **{f"{name}.csv": data for name, data in replaced.items()}}


def studies(**replaced: bytes) -> Files:
    """A folder of images per study, a column per label, and rows for one label of each study, as in
    rsna-2022-cervical-spine-fracture-detection, whose other rows are hidden.
    """
    labels = [f"s{n},{n % 2},{n // 2 % 2},{n // 3 % 2},{n // 5 % 2}" for n in N]
    rows = [(f"t{n}", FLAGS[1 + n % 2]) for n in T]
    tables = {
        "train.csv": table(f"study,{','.join(FLAGS)}", labels),
        "test.csv": table("row,study,kind", [f"{s}_{kind},{s},{kind}" for s, kind in rows]),
        "sample_submission.csv": table("row,fractured", [f"{s}_{kind},0.5" for s, kind in rows]),
    }
    parts = {**{f"train/s{n}": n for n in N}, **{f"test/t{n}": n + 30 for n in T}}
    return {
        **{
            f"{part}/{place}.png": small.image(n + place)
            for part, n in parts.items()
            for place in (0, 90)
        },
        **tables,
        **{f"{name}.csv": data for name, data in replaced.items()},
    }


def spines() -> Files:
    """Several targets of three classes, of which one has no image of the third, and a row for each
    with a column per class, as in rsna-2024-lumbar-spine-degenerative-classification.
    """
    kinds = "Normal/Mild", "Moderate", "Severe"
    cells = [[kinds[n % 3], kinds[n % 2], "" if n < 3 else kinds[n // 2 % 3]] for n in N]
    rows = [f"t{n}_{name},0.2,0.5,0.3" for n in T for name in sorted(LEVELS)]
    return {
        **{f"train/s{n}/{place}.png": small.image(n + place) for n in N for place in (0, 90)},
        **{f"test/t{n}/0.png": small.image(n + 30) for n in T},
        "train.csv": table(f"study,{','.join(LEVELS)}", [f"s{n},{','.join(cells[n])}" for n in N]),
        "sample_submission.csv": table("row_id,moderate,severe,normal_mild", rows),
    }


def test_a_table_says_what_each_row_is_about(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, faces())
    prepare = found.prepare
    assert prepare["lookup_csv"] == "IdLookupTable.csv"
    assert prepare["lookup_columns"] == ["ImageId", "FeatureName"]
    assert prepare["label_column"] == dict.fromkeys(POINTS, "regression")
    assert (prepare["id_column"], prepare["test_id_column"]) == (None, "ImageId")
    assert found.layout.task == "multitarget"  # drops no row with some of the numbers
    read = found.tables
    assert len(read.train) == len(N)
    assert read.test["id"].tolist() == ["1", "2", "3", "4", "5", "6"]
    assert read.sample.iloc[:, 0].tolist() == ["4", "1", "2", "3", "6"]
    assert read.file.rows is not None
    assert read.file.rows["id"].tolist() == [str(n) for n, _ in asked()]


@pytest.mark.slow
def test_a_submission_with_rows_for_some_targets() -> None:
    output = in_process.run_project(faces(), "--metric", "pooled_rmse")
    assert "12 of 24 rows lack some of these numbers, but not all" in output
    written, wanted = submission(), asked()
    assert written["RowId"].tolist() == [str(n + 1) for n in range(len(wanted))]
    file = SubmissionFile.read(Manifest(Path("data/prepared.json")))
    wide = file.wide(written, POINTS).set_index("RowId")
    for value, (image, name) in zip(written["Location"], wanted, strict=True):
        assert wide.loc[str(image), name] == value
    assert (wide == "").sum().sum() == 5 * 3 - len(wanted)
    # The score is that of the rows, for each target.
    errors = pd.Series([2.0 + row for row in range(len(wanted))])
    solution = written.assign(Location=(written["Location"].astype(float) + errors).astype(str))
    Path("data/solution").mkdir(exist_ok=True)
    files.write_csv(Path("data/solution/solution.csv"), solution)
    in_process.run_stages("report")
    assert f"{float(np.mean(errors**2) ** 0.5):.4f}" in Path("reports/report.md").read_text()
    in_process.edit_params(lambda params: params.update(metric="rmse"))
    in_process.run_stages(*STAGES)
    squares = (errors**2).groupby([name for _, name in wanted]).mean()
    assert f"{float(np.mean(squares**0.5)):.4f}" in Path("reports/report.md").read_text()
    # The same labels with one row per image, also for targets that no row is about.
    truth = {
        (image, name): cell
        for (image, name), cell in zip(wanted, solution["Location"], strict=True)
    }
    rows = [",".join([f"{n + 1}", *(truth.get((n + 1, p), "1") for p in POINTS)]) for n in T]
    Path("data/solution/solution.csv").write_bytes(table(f"ImageId,{','.join(POINTS)}", rows[:4]))
    in_process.run_stages("report")
    # A submission is checked against the sample.
    path = Path("submissions/made.csv")
    assert check.check(path, schema.load()).rows == len(wanted)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=f"1 missing ids: {len(wanted)}"):
        check.check(path, schema.load())


def test_rows_that_are_hidden_may_ask_for_other_labels(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, studies())
    guess = found.guess("lookup_csv")
    assert (guess.value, guess.confidence) == ("test.csv", "likely")
    assert "has rows for C1 and C2; any and C3 of train.csv would be predicted, too" in guess.reason
    assert found.prepare["label_column"] == [*FLAGS]
    assert found.prepare["images"] == "{id}/*"
    assert found.layout.task == "multilabel"
    assert found.tables.test["unit"].drop_duplicates().tolist() == [f"t{n}" for n in T]
    # The kernel finds rows for all labels, of other studies.
    hidden = [(f"u{n}", name) for n in range(3) for name in FLAGS]
    contents = studies(
        test=table("row,study,kind", [f"{s}_{name},{s},{name}" for s, name in hidden]),
        sample_submission=table("row,fractured", [f"{s}_{name},0.5" for s, name in hidden]),
    )
    contents |= images(**{f"test/u{n}": ["0"] for n in range(3)})
    folder = kernels.lay_out(tmp_path / "hidden", contents)
    spec = kernels.spec(Prepare(**found.layout.prepare))
    spec = spec.model_copy(update={"task": "multilabel", "classes": [*FLAGS]})
    sample, test = main.read_test(Folder(folder), spec)
    assert test["unit"].tolist() == ["u0", "u1", "u2"]
    filled = sample.file.fill(
        sample.rows,
        sample.wide.assign(
            **{name: [n + place / 10 for n in range(3)] for place, name in enumerate(FLAGS)}
        ),
    )
    assert filled["row"].tolist() == [f"{s}_{name}" for s, name in hidden]
    assert filled["fractured"].tolist() == [n + place / 10 for n in range(3) for place in range(4)]


def test_ids_that_end_with_some_of_the_labels(tmp_path: Path) -> None:
    contents = studies()
    del contents["test.csv"]
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["id_label_separator"] == "_"
    assert found.prepare["label_column"] == [*FLAGS]
    assert found.tables.sample["row"].tolist() == [f"t{n}" for n in T]
    # Rows for some labels of each image, but all labels: nothing is hidden.
    rows = [f"t{n}_{name},0.5" for n in T for name in FLAGS[n % 2 :]]
    contents["sample_submission.csv"] = table("row,fractured", rows)
    found = layouts.inspect(tmp_path, contents)
    assert found.guess("id_label_separator").confidence == "certain"
    assert (found.tables.sample == "").sum().tolist() == [0, 3, 0, 0, 0]


@pytest.mark.slow
@pytest.mark.long
def test_a_solution_for_some_labels_is_refused_where_it_cannot_be_scored() -> None:
    in_process.run_project(studies(), "--metric", "log_loss")
    written = submission()
    assert written["row"].tolist() == [f"t{n}_{FLAGS[1 + n % 2]}" for n in T]
    assert written["fractured"].astype(float).between(0, 1).all()
    Path("data/solution").mkdir(exist_ok=True)
    files.write_csv(Path("data/solution/solution.csv"), written.assign(fractured="1"))
    with pytest.raises(UserError, match="6 test images do not have a row for each label"):
        in_process.run_stages("report")


def edited(name: str, old: str, new: str) -> Files:
    contents = faces()
    assert re.search(old, contents[name].decode())
    return {**contents, name: re.sub(old, new, contents[name].decode(), count=1).encode()}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            lambda: edited("IdLookupTable.csv", "\n2,1", "\n92,1"),
            "IdLookupTable.csv has no row for 1 id of SampleSubmission.csv: 2. Add",
        ),
        (
            lambda: edited("IdLookupTable.csv", "nose_x", "nose_z"),
            r"asks for nose_z in column FeatureName, but the labels are left_eye_x.*lookup_colum",
        ),
        (
            lambda: edited("IdLookupTable.csv", "left_eye_y", "left_eye_x"),
            "SampleSubmission.csv has several rows for a label of an image: 3. Keep one",
        ),
        (
            lambda: edited("IdLookupTable.csv", "FeatureName", "Feature"),
            "has no column FeatureName; it has RowId, .* Fix prepare.lookup_columns",
        ),
        (
            lambda: edited("IdLookupTable.csv", "RowId", "Row"),
            "has no column RowId; it has Row, .* Fix prepare.lookup_csv",
        ),
        (
            lambda: edited("test.csv", "\n4,", "\n9,"),
            "SampleSubmission.csv and test.csv have different ids: 1 only in the first .4.",
        ),
    ],
)
def test_rows_that_cannot_be_looked_up(
    contents: Callable[[], Files], message: str, tmp_path: Path
) -> None:
    layout = layouts.inspect(tmp_path, faces()).layout
    path = write_zip(tmp_path / "edited.zip", contents())
    with pytest.raises(UserError, match=message):
        dry_run(Archive(path), layout)


def test_a_lookup_table_needs_a_sample_submission() -> None:
    for values, message in (
        ({"lookup_csv": "a.csv"}, "lookup_csv and lookup_columns require each other"),
        (
            {"lookup_csv": "a.csv", "lookup_columns": ["a", "b"], "sample_submission": None},
            "lookup_csv requires sample_submission",
        ),
        (
            {"lookup_csv": "a.csv", "lookup_columns": ["a", "b"], "id_label_separator": "_"},
            "lookup_csv and id_label_separator exclude each other",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            Prepare(**values)


def test_a_file_with_other_rows_is_an_error() -> None:
    rows = pd.DataFrame({"row": ["1", "2"], "id": ["a", "a"], "label": ["x", "y"]})
    file = SubmissionFile(rows=rows)
    wide = file.wide(csvs.parse(b"r,v\n2,8\n1,7\n"), ["y", "x"])
    assert wide.to_numpy().tolist() == [["a", "8", "7"]]
    with pytest.raises(UserError, match=r"r: 1 id is not in the sample submission: 3. Remove"):
        file.wide(csvs.parse(b"r,v\n2,8\n3,7\n"))


def test_rows_may_have_a_column_per_class(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, spines())
    assert found.prepare["id_label_separator"] == "_"
    assert found.prepare["label_column"] == dict.fromkeys(LEVELS, "multiclass")
    assert (found.layout.task, found.layout.metric) == ("multitarget", "log_loss")
    for part in found.tables.task("multitarget").parts:
        assert part.task.classes == ["moderate", "severe", "normal_mild"]
    # Other columns are no classes of the labels.
    contents = spines()
    contents["train.csv"] = contents["train.csv"].replace(b"Severe", b"Bad")
    with pytest.raises(UserError, match=r"with the columns moderate, severe, normal_mild\. Podium"):
        layouts.inspect(tmp_path, contents)


@pytest.mark.slow
def test_a_submission_with_a_row_per_target_and_a_column_per_class() -> None:
    in_process.run_project(spines())
    written = submission()
    assert written["row_id"].tolist() == [f"t{n}_{name}" for n in T for name in sorted(LEVELS)]
    assert written.columns.tolist() == ["row_id", "moderate", "severe", "normal_mild"]
    shares = written.iloc[:, 1:].astype(float)
    assert np.allclose(shares.sum(axis=1), 1) and shares.drop_duplicates().shape[0] > len(LEVELS)
    # The same rows have the labels of the test set; `sample_weight` is not used.
    actual = [row % 3 for row in range(len(written))]
    flags = pd.DataFrame(np.eye(3, dtype=int)[actual].astype(str), columns=shares.columns)
    solution = pd.concat([written[["row_id"]], flags.assign(sample_weight="2")], axis=1)
    Path("data/solution").mkdir(exist_ok=True)
    files.write_csv(Path("data/solution/solution.csv"), solution[::-1])
    in_process.run_stages("report")
    targets = written["row_id"].str.partition("_")[2]
    losses = [
        log_loss(np.array(actual)[targets == name], shares[targets == name], labels=[0, 1, 2])
        for name in LEVELS
    ]
    assert f"{np.mean(losses):.4f}" in Path("reports/report.md").read_text()
    assert check.check(Path("submissions/made.csv"), schema.load()).rows == len(written)


def files_of(numbers: str = "001", **replaced: bytes) -> Files:
    """Images, numbers as labels, and a lookup table whose row ids are also names of images."""
    width = len(numbers)
    train = [f"f{n},{n}.5,{n * 2}.25,{'' if n % 2 else n}" for n in N]
    rows = [(n, name) for n in T for name in POINTS[: 1 + n % 3]]
    lookup = [f"{row:0{width}},{n + 1:0{width}},{name}" for row, (n, name) in enumerate(rows, 1)]
    return {
        **images(train=[f"f{n}" for n in N], test=[f"{n + 1:03}" for n in T]),
        "train.csv": table(f"id,{','.join(POINTS)}", train),
        "lookup.csv": table("RowId,image,what", lookup),
        "sample_submission.csv": table("RowId,value", [f"{row.split(',')[0]},0" for row in lookup]),
        **{f"{name}.csv": data for name, data in replaced.items()},
    }


def test_rows_whose_ids_are_names_of_images_are_looked_up(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, files_of())
    assert found.prepare["lookup_columns"] == ["image", "what"]
    assert found.tables.test["id"].tolist() == [f"{n + 1:03}" for n in T]
    # Numbers without the zeros that the files have are an error, not other labels.
    with pytest.raises(UserError, match=r"no column has the ids of test images .image: 1, 2 and"):
        layouts.inspect(tmp_path, files_of("1"))


def test_rows_may_ask_for_one_of_the_targets(tmp_path: Path) -> None:
    contents = files_of()
    lines = contents["lookup.csv"].decode().split()
    asked = [line for line in lines[1:] if line.endswith(POINTS[1])]
    contents["lookup.csv"] = table(lines[0], asked)
    rows = [f"{line.split(',')[0]},0" for line in asked]
    contents["sample_submission.csv"] = table("RowId,value", rows)
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["label_column"] == POINTS[1]
    assert found.layout.task == "regression" and found.prepare["lookup_csv"] == "lookup.csv"
    assert found.tables.sample.columns.tolist() == ["RowId", POINTS[1]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"\n002,", r"\n902,", "lookup.csv has no row for 1 id of sample_submission.csv: 002"),
        (r"\n002,", r"\n001,", "lookup.csv has no row for 1 id of sample_submission.csv: 002"),
        (r"\n003,", r"\n002,002,nose_x\n003,", "lookup.csv: 1 duplicate id: 002"),
        ("nose_x", "nose_z", "lookup.csv asks for nose_z in column what"),
        (r"\n002,002,", r"\n002,,", "lookup.csv: 1 row without an id"),
    ],
)
def test_init_names_the_cell_of_a_lookup_table_that_does_not_fit(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    lookup = re.sub(old, new, files_of()["lookup.csv"].decode(), count=1).encode()
    with pytest.raises(UserError, match=message):
        layouts.inspect(tmp_path, files_of(lookup=lookup))


def test_labels_and_columns_of_a_lookup_table_may_be_spelled_otherwise(tmp_path: Path) -> None:
    lookup = files_of()["lookup.csv"].replace(b"left_eye_x", b"Left Eye X")
    lookup = lookup.replace(b"RowId", b"rowid")
    found = layouts.inspect(tmp_path, files_of(lookup=lookup))
    assert found.tables.sample.columns.tolist() == ["RowId", *POINTS]


def test_flags_of_which_images_lack_some_are_no_numbers(tmp_path: Path) -> None:
    """CheXpert: 0, 1 or empty in most columns."""
    train = [f"f{n},{n % 2},{'' if n % 3 else n // 3 % 2},{'' if n % 2 else n // 2 % 2}" for n in N]
    contents = {
        **images(train=[f"f{n}" for n in N], test=[f"g{n}" for n in T]),
        "train.csv": table("id,A,B,C", train),
        "sample_submission.csv": table("id,A,B,C", [f"g{n},0.5,0.5,0.5" for n in T]),
    }
    found = layouts.inspect(tmp_path, contents)
    assert found.prepare["label_column"] == dict.fromkeys("ABC", "binary")
    assert (found.guess("task").confidence, found.layout.metric) == ("guess", "roc_auc")
