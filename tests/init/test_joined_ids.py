"""`make init` on images whose paths are made of several columns."""

import itertools
import re
from pathlib import Path

import in_process
import layouts
import pytest
import test_small_competitions as small
from competitions import write_zip
from test_small_competitions import Files, N, image, table

from podium.core import csvs
from podium.core.errors import UserError

folder = small.folder


def wells(path: str) -> Files:
    """recursion-cellular-image-classification: an experiment, a plate and a well are the id, and
    the images of two sites and three channels are in folders of them.
    """
    known = [(f"HEPG2-0{e}", p, f"B{w:02d}") for e in (1, 2) for p in (1, 2) for w in range(6)]
    number = itertools.count()  # all images differ
    hidden = [("HEPG2-08", p, f"B{w:02d}") for p in (1, 2) for w in range(3)]
    rows = [[f"{e}_{p}_{w},{e},{p},{w}" for e, p, w in part] for part in (known, hidden)]
    return {
        "train.csv": table("id_code,experiment,plate,well,sirna",
                           [f"{row},{n % 4}" for n, row in enumerate(rows[0])]),
        "test.csv": table("id_code,experiment,plate,well", rows[1]),
        "sample_submission.csv": table("id_code,sirna", [f"{r.split(',')[0]},0" for r in rows[1]]),
        **{f"{part}/{path.format(e=e, p=p, w=w, s=s, c=c)}.png": image(next(number))
           for part, wells in (("train", known), ("test", hidden))
           for e, p, w in wells for s in (1, 2) for c in (1, 2, 3)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("{e}/Plate{p}/{w}_s{s}_w{c}", "{experiment}/Plate{plate}/{well}_*"),
        ("{e}/{w}/plate_{p}_s{s}_w{c}", "{experiment}/{well}/plate_{plate}_*"),
        ("run/{p}-{e}/{w}/{s}_{c}", "{plate}-{experiment}/{well}/*"),
    ],
)
def test_columns_that_name_images_together_give_their_pattern(
    path: str, pattern: str, tmp_path: Path
) -> None:
    """Neither are the wells labels of a long submission, nor the experiments classes, nor numbers
    of sites and channels plates.
    """
    found = layouts.inspect(tmp_path, wells(path))
    prepare = found.prepare
    assert (prepare["id_column"], prepare["images"].removeprefix("*/")) == ("id_code", pattern)
    assert prepare["train_images"].startswith("train") and found.layout.task == "multiclass"
    guess = found.guess("id_column")
    assert guess.confidence == "likely"
    assert {*re.findall("experiment|plate|well", guess.reason)} == {"experiment", "plate", "well"}
    assert guess.reason.endswith(" name the images together, 6 per id")
    assert prepare["channels"] == 6
    assert found.tables.test["unit"].nunique() == 6


@pytest.mark.parametrize("path", ["{e}/s{s}/Plate{p}/{w}_w{c}", "{e}/{c}_{w}_{s}_{p}"])
def test_paths_made_of_several_columns_are_named(path: str, tmp_path: Path) -> None:
    """The site or the channel is in between, so no pattern describes them."""
    first = path.format(e="HEPG2-01", p=1, w="B00", s=1, c=1)
    message = (
        "no column identifies image files, but experiment, plate, well do so together: HEPG2-01, "
        f"1, B00 is in train/{first}.png. Rename the images after one column, such as "
        "HEPG2-01_1_B00.png, or HEPG2-01_1_B00_1.png,"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        layouts.inspect(tmp_path, wells(path))
    renamed = layouts.inspect(tmp_path, wells("{e}_{p}_{w}_s{s}_w{c}"))
    assert (renamed.prepare["id_column"], renamed.prepare["images"]) == ("id_code", "{id}_*")
    assert renamed.prepare["stack"] == [f"s{s}_w{c}" for s in (1, 2) for c in (1, 2, 3)]
    assert renamed.layout.task == "multiclass" and len(renamed.tables.test) == 6


def recursion() -> Files:
    """recursion-cellular-image-classification, with its other tables: controls in some wells, and
    statistics of each site and channel.
    """
    files = wells("{e}/Plate{p}/{w}_s{s}_w{c}")
    rows = {part: files[f"{part}.csv"].decode().splitlines()[1:] for part in ("train", "test")}
    for part, lines in rows.items():
        controls, header = lines[::6], "id_code,experiment,plate,well,sirna"
        kept = [line for line in lines if line not in controls]
        sirna = "" if part == "train" else ",1138"
        files[f"{part}_controls.csv"] = table(
            f"{header},well_type", [f"{line}{sirna},negative_control" for line in controls]
        )
        files[f"{part}.csv"] = table(header if part == "train" else header[:-6], kept)
    codes = [line.split(",")[0] for line in files["test.csv"].decode().splitlines()[1:]]
    stats = [
        f"{','.join(line.split(',')[:4])},{s},{c},50.1"
        for line in (*rows["train"], *rows["test"]) for s in (1, 2) for c in (1, 2, 3)
    ]  # fmt: skip
    return files | {
        "pixel_stats.csv": table("id_code,experiment,plate,well,site,channel,mean", stats),
        "sample_submission.csv": table("id_code,sirna", [f"{code},0" for code in codes]),
    }


def test_wells_are_stacked_and_submitted_by_their_codes(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, recursion())
    prepare = found.prepare
    assert (prepare["train_csv"], prepare["test_csv"]) == ("train.csv", "test.csv")
    assert prepare["images"] == "{experiment}/Plate{plate}/{well}_*"
    assert prepare["stack"] == [f"s{s}_w{c}" for s in (1, 2) for c in (1, 2, 3)]
    read = found.tables
    assert read.train["id"].tolist()[:2] == ["HEPG2-01/Plate1/B01", "HEPG2-01/Plate1/B02"]
    assert read.test["unit"].tolist() == read.sample["id_code"].tolist()


def test_the_stages_read_wells(tmp_path: Path) -> None:
    """Also with a column that names images as a feature."""
    archive = write_zip(tmp_path / "wells.zip", recursion()).read_bytes()
    output = in_process.init_project(archive, "--features", "plate")
    assert "{experiment}/Plate{plate}/{well}_*" in output
    in_process.edit_params(lambda params: params["folds"].update(count=2, run=[0, 1]))
    in_process.prepare_project()
    folds = csvs.read(Path("data/folds.csv"))
    assert folds["unit"].tolist()[:2] == ["HEPG2-01_1_B01", "HEPG2-01_1_B02"]
    assert len(csvs.read(Path("data/test.csv"))) == 5


@pytest.mark.parametrize("missing", ["well", "id_code", "test.csv"])
def test_the_test_table_must_have_the_columns_that_name_images(
    missing: str, tmp_path: Path
) -> None:
    files = wells("{e}/Plate{p}/{w}_s{s}_w{c}")
    if missing == "test.csv":
        del files["test.csv"]
        problem = "there is no test table"
    else:
        files["test.csv"] = files["test.csv"].replace(missing.encode(), b"other", 1)
        problem = f"the test table has no {missing}"
    with pytest.raises(UserError, match=rf"named after experiment, plate and well, but {problem}"):
        layouts.inspect(tmp_path, files)


def test_numbered_views_of_patients_are_named_by_both(tmp_path: Path) -> None:
    """The names of the files, 1.png, …, are those of many images each; so are the ratings."""
    rows = {part: [(f"{letter}{n // 4}", n % 4 + 1) for n in numbers]
            for part, letter, numbers in (("train", "p", N), ("test", "q", range(8)))}  # fmt: skip
    header = "key,patient,view"
    files = {
        "train.csv": table(f"{header},rating",
                           [f"{p}.{v},{p},{v},{v % 3 + 1}" for p, v in rows["train"]]),
        "test.csv": table(header, [f"{p}.{v},{p},{v}" for p, v in rows["test"]]),
        "sample_submission.csv": table("key,rating", [f"{p}.{v},1" for p, v in rows["test"]]),
        **{f"{part}/{p}/{v}.png": image(v) for part, pairs in rows.items() for p, v in pairs},
    }  # fmt: skip
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["id_column"], found.prepare["images"]) == ("key", "{patient}/{view}")
    assert len(found.tables.train) == len(N) and len(found.tables.test) == 8
