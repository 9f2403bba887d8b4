"""Small competitions with one peculiarity each, as real ones have them: `make init`, and for some
the stages, in this process.
"""

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import in_process
import layouts
import numpy as np
import pandas as pd
import pytest
from competitions import encode, write_zip

from podium.config.prepare import Prepare
from podium.core import csvs
from podium.core.errors import UserError
from podium.core.provenance import PredictionProvenance
from podium.dataset import build
from podium.prediction import predictions
from podium.scoring import decisions, metrics, units
from podium.scoring.task import Task

N, T = range(24), range(6)
Files = dict[str, bytes]


def table(header: str, rows: list[str]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def image(number: int) -> bytes:
    return encode(np.full((24, 24, 3), 9 * number % 256, np.uint8))


def images(**folders: list[str]) -> Files:
    """PNG files, by folder and id."""
    return {
        f"{folder}/{name}.png": image(number)
        for folder, names in folders.items()
        for number, name in enumerate(names)
    }


def plain(label: Sequence[str] = "xyz") -> Files:
    """24 training images a0, a1, … and 6 test images b0, b1, …, without a sample submission."""
    rows = [f"a{n},{label[n % len(label)]}" for n in N]
    files = images(train=[f"a{n}" for n in N], test=[f"b{n}" for n in T])
    return {**files, "train.csv": table("id,label", rows)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submission() -> pd.DataFrame:
    return csvs.read(Path("submissions/made.csv"))


@pytest.mark.slow
def test_a_submission_has_the_ids_where_the_sample_has_them() -> None:
    sample = table("label,id", [f"{'xyz'[n % 3]},b{n}" for n in T])
    output = in_process.run_project({**plain(), "sample_submission.csv": sample})
    assert "the ids are in column id" in output
    written = submission()
    assert written.columns.tolist() == ["label", "id"]
    assert written["id"].tolist() == [f"b{n}" for n in T]
    assert set(written["label"]) <= set("xyz")


@pytest.mark.parametrize("order", [("u", "id", "v"), ("u", "v", "id")])
def test_the_ids_may_be_in_any_column(tmp_path: Path, order: tuple[str, ...]) -> None:
    cells = {"id": "b{}", "u": "0.5", "v": "0.5"}
    rows = [",".join(cells[name] for name in order).format(n) for n in T]
    files = {**plain("uv"), "sample_submission.csv": table(",".join(order), rows)}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["sample_id_column"] == "id"
    assert found.tables.file.id_place == order.index("id")
    assert found.tables.sample.columns.tolist() == ["id", "u", "v"]


def test_a_blank_column_is_ignored(tmp_path: Path) -> None:
    rows = [f"a{n},{'' if n else 7},{n % 2}" for n in N]
    files = {**plain(), "train.csv": table("id,x,label", rows), "test.csv": table("id", ["b0"])}
    for few in (8, 24):
        kept = {name: data for name, data in files.items() if "train/" not in name}
        kept |= images(train=[f"a{n}" for n in range(few)])
        found = layouts.inspect(tmp_path, kept)
        assert (found.layout.task, found.prepare["label_column"]) == ("binary", "label")
    tables = {name: data for name, data in files.items() if name.endswith(".csv")}
    with pytest.raises(UserError, match="no image files"):
        layouts.inspect(tmp_path, tables)
    volumes = {**tables, "train/a0.nii": b"x"}
    with pytest.raises(UserError, match=r"(?s)but 1 \.nii file\).*\(NIfTI volumes\) are not supp"):
        layouts.inspect(tmp_path, volumes)


@pytest.mark.parametrize(
    ("suffix", "hint"),
    [
        (".xyz", "24 .xyz files are not supported. Convert them to PNG under the same names"),
        (".nii.gz", "24 .nii.gz files (NIfTI volumes) are not supported. Write slices of them"),
        (".ogg", "24 .ogg files (audio) are not supported. Write spectrograms as PNG files"),
        (".mp4", "24 .mp4 files (videos) are not supported. Write frames of them as PNG files"),
        (".mat", "24 .mat files (MATLAB data) are not supported. Convert them to PNG under"),
    ],
)
@pytest.mark.parametrize("illustrations", [0, 3])
def test_an_error_names_the_files_that_are_not_read_and_the_way_out(
    tmp_path: Path, suffix: str, hint: str, illustrations: int
) -> None:
    files = {**{f"train/a{n}{suffix}": b"\x01" for n in N}, "train.csv": plain()["train.csv"]}
    files |= {f"docs/{n}.png": image(n) for n in range(illustrations)}
    with pytest.raises(UserError, match=re.escape(hint)):
        layouts.inspect(tmp_path, files)
    assert hint not in caught_message(tmp_path, {"train.csv": plain()["train.csv"]})


def test_arrays_next_to_images_are_not_the_images(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((24, 24)))
    masks = {f"train/a{n}.npy": buffer.getvalue() for n in N}
    found = layouts.inspect(tmp_path, {**masks, **plain()})
    matches = build.match_images(found.archive, found.tables.ids, Prepare(**found.layout.prepare))
    assert {name[-4:] for _, name in matches["train"]} == {".png"}


def caught_message(folder: Path, files: Files) -> str:
    with pytest.raises(UserError) as caught:
        layouts.inspect(folder, files)
    return str(caught.value)


def test_an_image_much_larger_than_the_others_is_downsized(tmp_path: Path) -> None:
    files = {**plain(), "train/a0.png": encode(np.zeros((900, 1000), np.uint8))}
    found = layouts.inspect(tmp_path, files)
    stats = found.layout.image_stats
    assert stats is not None and (stats.height, stats.largest) == (24, 900)
    in_process.init_project(Path("shapes.zip").read_bytes())
    assert "max_size: 37" in Path("params.yaml").read_text()


def with_sample(files: Files, header: str = "id,label", value: str = "x") -> Files:
    sample = table(header, [f"b{n},{value}" for n in T])
    return {**files, "sample_submission.csv": sample}


NAMES = {
    "{id}_*": ["{}_left", "{}_right"],
    "{id}-*": ["{}-1", "{}-2", "{}-3"],
    "{id}/*": ["{}/1", "{}/2"],
    "*_{id}": ["photo_{}"],
    "{id}.*": ["{}.full.jpg"],
}


@pytest.mark.parametrize("pattern", NAMES)
def test_ids_that_are_part_of_image_names(tmp_path: Path, pattern: str) -> None:
    tables = {name: data for name, data in plain().items() if name.endswith(".csv")}
    names = NAMES[pattern]
    files = with_sample(tables) | images(
        train=[name.format(f"a{n}") for n in N for name in names],
        test=[name.format(f"b{n}") for n in T for name in names],
    )
    found = layouts.inspect(tmp_path, files)
    prepare = found.prepare
    assert (prepare["images"], prepare["id_column"]) == (pattern, "id")
    assert (prepare["train_images"], prepare["test_images"]) == ("train", "test")
    read = found.tables
    assert len(read.train) == len(N) * len(names) and len(read.test) == len(T) * len(names)
    assert read.train["unit"].unique().tolist() == [f"a{n}" for n in N]
    assert read.test.loc[0, "id"].startswith(names[0].format("b0")[:2])


@pytest.mark.slow
def test_images_of_an_id_share_a_fold_and_a_prediction() -> None:
    names = "left", "right"
    files = {n: d for n, d in with_sample(plain()).items() if n.endswith(".csv")} | images(
        train=[f"a{n}_{name}" for n in N for name in names],
        test=[f"b{n}_{name}" for n in T for name in names],
    )
    in_process.run_project(files, fine_tune=True)
    folds = csvs.read(Path("data/folds.csv"))
    assert len(folds) == 2 * len(N) and (folds.groupby("unit")["fold"].nunique() == 1).all()
    assert submission()["id"].tolist() == [f"b{n}" for n in T]
    for name in ("tiny", "probe"):
        table = predictions.read(
            Path(f"data/predictions/{name}/fold0/oof.parquet"), PredictionProvenance
        )
        rows = folds.set_index("id").loc[table.ids].reset_index()
        task = Task.of(table.provenance)
        targets = units.table(rows)["label"].tolist()
        logits = units.aggregate(task, table.logits, rows, "mean", "logits")
        metric = metrics.get(None, task.name)
        expected = decisions.score(task, metric, task.targets(targets), logits)
        written = json.loads(Path(f"metrics/{name}/fold0.json").read_text())
        assert written[metric.name] == pytest.approx(expected)
    oof = csvs.read(Path("reports/oof.csv"))
    assert sorted(oof["id"]) == sorted(f"a{n}" for n in N)


def test_ids_without_images_are_named(tmp_path: Path) -> None:
    names = [f"a{n}_{kind}" for n in N if n != 7 for kind in "xy"]
    files = {n: d for n, d in with_sample(plain()).items() if n.endswith(".csv")}
    files |= images(train=names, test=[f"b{n}_x" for n in T])
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["on_bad_image"] == "skip" and "a7" in found.guess("on_bad_image").reason
    found.layout.prepare["on_bad_image"] = "error"
    with pytest.raises(UserError, match=r"1 train id has no images in train/: a7\."):
        _ = found.tables


def by_patient(train: str = "id,patient,label", test: str = "id,patient,prediction_id") -> Files:
    """Two images per patient; the submission has a row for each."""
    cells = {"id": "{}", "patient": "p{}", "side": "{}", "prediction_id": "p{}_L", "label": "{}"}

    def rows(header: str, images: list[tuple[str, int]]) -> list[str]:
        return [
            ",".join(cells[name] for name in header.split(",")).format(
                *((image, p, p % 2)[1 if name in ("patient", "prediction_id") else 2]
                  if name != "id" else image for name in header.split(","))
            )
            for image, p in images
        ]  # fmt: skip

    files = {
        "train.csv": table(train, rows(train, [(f"a{n}", n // 2) for n in N])),
        "test.csv": table(test, rows(test, [(f"b{n}", n // 2) for n in T])),
        "sample_submission.csv": table("prediction_id,label", [f"p{n}_L,0.5" for n in range(3)]),
    }
    return files | images(train=[f"a{n}" for n in N], test=[f"b{n}" for n in T])


@pytest.mark.slow
def test_a_submission_by_patient() -> None:
    output = in_process.run_project(by_patient())
    assert "has the 3 ids of the sample submission, of 6 images" in output
    written = submission()
    assert written["prediction_id"].tolist() == ["p0_L", "p1_L", "p2_L"]
    assert written["label"].astype(float).between(0, 1).all()
    assert csvs.read(Path("reports/oof.csv"))["id"].str.fullmatch(r"p\d+").all()


@pytest.mark.parametrize(
    ("train", "unit"),
    [
        ("id,patient,label", "patient"),
        ("id,prediction_id,label", None),
        ("id,label", None),
    ],
)
def test_which_images_belong_together(tmp_path: Path, train: str, unit: str | None) -> None:
    found = layouts.inspect(tmp_path, by_patient(train))
    assert found.prepare["submission_id_column"] == "prediction_id"
    assert found.prepare["unit_column"] == unit
    read = found.tables
    assert read.test["unit"].tolist() == [f"p{n // 2}_L" for n in T]
    assert ("unit" in read.train) == (train != "id,label")


def test_which_images_belong_together_may_be_said(tmp_path: Path) -> None:
    files = by_patient("id,patient,label")
    kinds = ("site,patient", ["site", "patient"]), ("label", "label"), ("none", None)
    files["train.csv"] = table(
        "id,site,patient,label", [f"a{n},{n % 4 // 2},{n // 4},{n % 4 // 2}" for n in N]
    )
    for answer, unit in kinds:
        found = layouts.inspect(tmp_path, files, unit_column=answer)
        assert (found.prepare["unit_column"], found.guess("unit_column").confidence) == (
            unit,
            "given",
        )
        assert ("unit" in found.tables.train) == (unit is not None)
    for answer in ("side", "site,side", "site,none"):
        with pytest.raises(UserError, match=r"--unit-column: '(side|none)' is not a column of"):
            layouts.inspect(tmp_path, files, unit_column=answer)
    mixed = layouts.inspect(tmp_path, files, unit_column="patient")
    with pytest.raises(UserError, match=r"unit_column to columns that tell them apart"):
        mixed.tables  # noqa: B018  reads them


def test_units_are_asked_for_on_the_command_line(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", by_patient("id,patient,label")).read_bytes()
    output = in_process.init_project(archive, "--unit-column", "none")
    assert re.search(r"prepare\.unit_column +none +given", output)
    plain_archive = write_zip(tmp_path / "y.zip", with_sample(plain())).read_bytes()
    with pytest.raises(UserError, match="--unit-column: not applicable to these files"):
        in_process.init_project(plain_archive, "--unit-column", "none")


def several_numbers() -> Files:
    """Two numbers per image, one a thousand times as large as the other."""
    files = with_sample(plain(), "id,v,u", "0.5,0.5")
    rows = [f"a{n},{n / 24:.3f},{1000 + 9 * n}" for n in N]
    return {**files, "train.csv": table("id,u,v", rows)}


@pytest.mark.slow
def test_several_numbers_per_image() -> None:
    output = in_process.run_project(several_numbers(), fine_tune=True)
    assert "several numbers per image: v, u" in output
    written = submission().set_index("id").astype(float)
    assert written.columns.tolist() == ["v", "u"]
    assert written["v"].between(900, 1400).all() and written["u"].between(-0.5, 1.5).all()
    report = Path("reports/report.md").read_text()
    assert "Errors of v" in report and "Errors of u" in report
    solution = table(
        "id,u,v", [f"b{n},{written['u'].iloc[n]},{written['v'].iloc[n] + 2}" for n in T]
    )
    in_process.edit_params(lambda params: params.update(metric="mae"))
    Path("data/solution").mkdir(exist_ok=True)
    Path("data/solution/solution.csv").write_bytes(solution)
    in_process.run_stages("submission", "report")
    assert "**1.0000**" in Path("reports/report.md").read_text()  # the mean of 2 and 0


def test_several_numbers_must_be_numbers(tmp_path: Path) -> None:
    files = with_sample(plain(), "id,u,label", "0.5,x")
    files["train.csv"] = table("id,u,label", [f"a{n},{n / 7:.3f},{'xyz'[n % 3]}" for n in N])
    with pytest.raises(UserError, match="but label contain others"):
        layouts.inspect(tmp_path, files, task="regression")
    found = layouts.inspect(tmp_path, several_numbers())
    assert (found.layout.task, found.layout.metric) == ("regression", "rmse")
    files = several_numbers()
    files["train.csv"] = files["train.csv"].replace(b"a3,0.125,", b"a3,,")
    with pytest.raises(
        UserError, match=r"1 of 24 values of u cannot be read as a finite number: a3"
    ):
        _ = layouts.inspect(tmp_path, files).tables


@pytest.mark.slow
@pytest.mark.parametrize("separator", [" ", ", "])
def test_a_label_and_its_confidence(separator: str, tmp_path: Path) -> None:
    labels = "137790", "20409", "9"
    files = with_sample(plain(labels), "id,landmarks", f'"137790{separator}0.98"')
    if separator != " ":
        found = layouts.inspect(tmp_path, files)
        assert found.tables.classes == sorted(labels, key=int)
        return
    output = in_process.run_project(files)
    assert "a label and its confidence" in output and "gap" in Path("params.yaml").read_text()
    cells = submission()["landmarks"].str.rsplit(separator, n=1, expand=True)
    assert set(cells[0]) <= set(labels) and cells[1].astype(float).between(0.3, 1).all()


def annotations(**more: object) -> dict[str, object]:
    """The plain competition's labels as COCO has them."""
    return {
        "images": [{"id": f"a{n}", "file_name": f"a{n}.png", "size": {"w": 24}} for n in N],
        "annotations": [{"id": n, "image_id": f"a{n}", "category_id": n % 3} for n in N],
        **more,
    }


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (annotations(), "category_id"),
        (annotations(categories=[{"id": n, "name": "xyz"[n]} for n in range(3)]), "category_id"),
        ([{"id": f"a{n}", "label": "xyz"[n % 3]} for n in N], "label"),
        ({f"a{n}": "xyz"[n % 3] for n in N}, "label"),
        ({f"a{n}": {"label": "xyz"[n % 3]} for n in N}, "label"),
        ({"id": [f"a{n}" for n in N], "label": ["xyz"[n % 3] for n in N]}, "label"),
    ],
)
def test_labels_in_json(tmp_path: Path, content: object, label: str) -> None:
    files = with_sample(plain(), "Id,Predicted", "0")
    del files["train.csv"]
    files["train_metadata.json"] = json.dumps(content).encode()
    files["notes.json"], files["readme.txt"] = b'{"a": [1, [2]]}', b"Read me, please\nbye"
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["train_csv"] == "train_metadata.json"
    assert found.prepare["label_column"] == label
    assert found.tables.train["id"].tolist() == [f"a{n}" for n in N]
    assert len(found.tables.classes) == 3


def test_labels_in_json_whose_images_have_an_image_id(tmp_path: Path) -> None:
    """As in herbarium-2022-fgvc9: ids that are no file names, in a list for the test images."""
    numbers = [*range(1000, 1000 + len(N))]
    labeled = {
        "images": [{"image_id": f"a{n}", "file_name": f"0/a{n}.png"} for n in N],
        "annotations": [{"image_id": f"a{n}", "category_id": n % 3, "genus_id": n % 2} for n in N],
        "categories": [{"category_id": n, "scientificName": "xyz"[n]} for n in range(3)],
    }
    listed = [{"file_name": f"0/b{n}.png", "image_id": str(numbers[n])} for n in T]
    files = {
        "train_metadata.json": json.dumps(labeled).encode(),
        "test_metadata.json": json.dumps(listed).encode(),
        "sample_submission.csv": table("Id,Predicted", [f"{numbers[n]},0" for n in T]),
        **{f"train_images/0/a{n}.png": image(n) for n in N},
        **{f"test_images/0/b{n}.png": image(n) for n in T},
    }
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["id_column"], found.prepare["label_column"]) == (
        "file_name",
        "category_id",
    )
    assert found.prepare["submission_id_column"] == "image_id"
    assert found.tables.test["unit"].tolist() == [str(numbers[n]) for n in T]
    files["train_metadata.json"] = b'{"images": '
    with pytest.raises(UserError, match=r"train_metadata\.json.*is not valid JSON"):
        layouts.inspect(tmp_path, files)


@pytest.mark.parametrize("name", ["train.tsv", "train_labels.txt"])
def test_tables_with_other_suffixes(tmp_path: Path, name: str) -> None:
    files = with_sample(plain())
    files[name] = files.pop("train.csv").replace(b",", b"\t")
    assert layouts.inspect(tmp_path, files).prepare["train_csv"] == name


@pytest.mark.slow
def test_no_test_images_until_kaggle_scores() -> None:
    files = {n: d for n, d in with_sample(plain()).items() if not n.startswith("test/")}
    output = in_process.run_project(files, fine_tune=True)
    assert "none of the 6 test images is in the archive: in a code competition" in output
    assert Path("submissions/made.csv").read_bytes() == files["sample_submission.csv"]
    params = in_process.edit_params(lambda _: None)["prepare"]
    assert (params["hidden_test"], params["test_images"]) == (True, "test")
    assert len(csvs.read(Path("reports/oof.csv"))) == len(N)


def test_missing_test_images_are_an_error_if_there_is_a_test_folder(tmp_path: Path) -> None:
    files = with_sample(plain())
    for n in T:
        files[f"test/other{n}.png"] = files.pop(f"test/b{n}.png")
    found = layouts.inspect(tmp_path, files)
    assert not found.prepare["hidden_test"]
    with pytest.raises(UserError, match="6 of 6 test images are missing from test/"):
        _ = found.tables
