"""Images whose paths are made of columns of the tables: `prepare.images`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_small_competitions as small
from competitions import encode, write_zip

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build, tables

KNOWN = [(f"E{e}", p, f"B{w}") for e in (1, 2) for p in (1, 2) for w in range(3)]
HIDDEN = [("E3", p, f"B{w}") for p in (1, 2) for w in range(3)]
PATTERN = "{exp}/Plate{plate}/{well}_*"
PARTS = [f"s{s}_w{c}" for s in (1, 2) for c in (1, 2)]


def files(path: str = "{e}/Plate{p}/{w}_{part}.png") -> dict[str, bytes]:
    """Four grayscale images per experiment, plate and well."""
    made = {
        f"{folder}/{path.format(e=e, p=p, w=w, part=part)}": encode(
            np.full((8, 8), 20 * k + 7 * p + int(w[1]), np.uint8)
        )
        for folder, wells in (("train", KNOWN), ("test", HIDDEN))
        for e, p, w in wells
        for k, part in enumerate(PARTS)
    }
    rows = [[f"{e}_{p}_{w},{e},{p},{w}" for e, p, w in wells] for wells in (KNOWN, HIDDEN)]
    return {
        **made,
        "train.csv": small.table("code,exp,plate,well,y",
                                 [f"{r},{'xyz'[n % 3]}" for n, r in enumerate(rows[0])]),
        "test.csv": small.table("code,exp,plate,well", rows[1]),
        "sample_submission.csv": small.table("code,y", [f"{r.split(',')[0]},x" for r in rows[1]]),
    }  # fmt: skip


def read(
    folder: Path, made: dict[str, bytes], **layout: Any
) -> tuple[Archive, Prepare, tables.Tables]:
    archive = Archive(write_zip(folder / "wells.zip", made))
    options = {"id_column": "code", "label_column": "y", "images": PATTERN, **layout}
    prepare = Prepare(**options)
    return archive, prepare, tables.read(archive, prepare, "multiclass")


def test_columns_name_the_images_of_an_id(tmp_path: Path) -> None:
    archive, layout, found = read(tmp_path, files())
    assert len(found.train) == 4 * len(KNOWN) and len(found.test) == 4 * len(HIDDEN)
    first = found.train[found.train["unit"] == "E1_2_B1"]
    assert first["id"].tolist() == [f"E1/Plate2/B1_{part}.png" for part in PARTS]
    assert found.test["unit"].unique().tolist() == [f"{e}_{p}_{w}" for e, p, w in HIDDEN]
    matched = build.match_images(archive, found.ids, layout)
    assert dict(matched["train"])["E1/Plate2/B1_s1_w1.png"] == "train/E1/Plate2/B1_s1_w1.png"


def test_their_images_may_be_stacked(tmp_path: Path) -> None:
    archive, layout, found = read(tmp_path, files(), stack=PARTS, channels=4)
    assert found.train["id"].tolist()[:2] == ["E1/Plate1/B0", "E1/Plate1/B1"]
    assert found.test["unit"].tolist() == [f"{e}_{p}_{w}" for e, p, w in HIDDEN]
    assert found.sample["code"].tolist() == found.test["unit"].tolist()
    matched = build.match_images(archive, found.ids, layout)
    expected = tuple(f"test/E3/Plate2/B1_{part}.png" for part in PARTS)
    assert dict(matched["test"])["E3/Plate2/B1"] == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{exp}/{code}.png", "{e}/{e}_{p}_{w}.png"),  # one image per id
        ("p{plate}-{well}/{exp}", "p{p}-{w}/{e}.png"),
        ("{exp}/{id}", "{e}/{e}_{p}_{w}.png"),
        ("*/{well}_{exp}_{plate}", "any{p}/{w}_{e}_{p}.png"),
    ],
)
def test_the_pattern_may_have_any_order(tmp_path: Path, pattern: str, path: str) -> None:
    _, _, found = read(tmp_path, files(path), images=pattern)
    e, p, w = KNOWN[4]
    image = path.format(e=e, p=p, w=w)
    assert found.train[["id", "unit"]].to_numpy().tolist()[4] == [image, f"{e}_{p}_{w}"]
    assert len(found.train) == len(KNOWN) and len(found.test) == len(HIDDEN)


def test_ids_without_images_are_called_by_what_their_name_would_be(tmp_path: Path) -> None:
    made = {n: data for n, data in files().items() if not n.startswith("train/E2/Plate1/B2_")}
    archive, layout, found = read(tmp_path, made)
    with pytest.raises(UserError, match=r"no images in train/: E2/Plate1/B2\. Set"):
        build.match_images(archive, found.ids, layout)


def test_ids_that_share_images_and_unknown_columns_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"6 names have several ids, such as E1/B0: E1_1_B0, E1_2"):
        read(tmp_path, files(), images="{exp}/{well}_*")
    with pytest.raises(UserError, match=r"train.csv has no column run; .* Fix prepare\.images"):
        read(tmp_path, files(), images="{run}/{well}_*")


@pytest.mark.parametrize(
    ("images", "more", "problem"),
    [
        ("*", {}, "must contain"),
        ("{a}_{a}", {}, "must contain"),
        ("{}_*", {}, "must contain"),
        ("{a}_{b", {}, "must contain"),
        ("{a}/*/{b}", {}, r"must not contain \* between columns"),
        ("{a}_*", {"test_csv": None}, r"\{a\} in images requires test_csv"),
        ("{a}_*", {"id_label_separator": "_"}, "exclude each other"),
        ("{a}_*", {"train_csv": None}, "images requires train_csv"),
    ],
)
def test_impossible_patterns(images: str, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Prepare(images=images, **more)
