"""Images of an id that become the channels of one image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import channel_kinds
import competitions
import in_process
import layouts
import numpy as np
import pytest
from competitions import CLASSES, encode

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import csvs
from podium.core.errors import UserError
from podium.dataset import build, stacks
from podium.images.store import ImageStore

COLORS = ["red", "green", "blue", "yellow"]
WELLS = [f"s{site}_w{number}" for site in (1, 2) for number in range(1, 7)]


def store(contents: dict[str, bytes], prepare: Any, folder: Path, **changes: Any) -> ImageStore:
    """The store of the training images, which is in `folder`."""
    archive = Archive(competitions.write_zip(folder.with_suffix(".zip"), contents))
    train, test = competitions.tables(channel_kinds.TRAIN, channel_kinds.TEST)
    ids = {"train": train["id"].tolist(), "test": test["id"].tolist()}
    layout = Prepare(**{**prepare, **changes})
    build.store_images(archive, ids, folder=folder, layout=layout, processes=1)
    return ImageStore(folder / "train")


@pytest.mark.parametrize(
    ("parts", "pattern", "expected", "images"),
    [
        (channel_kinds.PARTS, "{id}_{part}.png", COLORS, "{id}_*"),
        (WELLS[::-1], "{id}_{part}.png", WELLS, "{id}_*"),
        (("C10", "C9"), "{id}/{part}.png", ["C9", "C10"], "{id}/*"),
        (("vv", "vh"), "{part}-{id}.png", ["vh", "vv"], "*-{id}"),
    ],
)
def test_a_file_per_channel_is_recognized_and_stacked_in_order(
    parts: Sequence[str], pattern: str, expected: list[str], images: str, tmp_path: Path
) -> None:
    contents, pixels = channel_kinds.stacked(tuple(parts), pattern)
    found = layouts.inspect(tmp_path, contents)
    prepare = found.layout.prepare
    assert (prepare["images"], prepare["stack"], prepare["channels"]) == (
        images,
        expected,
        len(parts),
    )
    stored = store(contents, prepare, tmp_path / "images")
    order = [parts.index(part) for part in expected]
    for image, values in pixels["train"].items():
        assert np.array_equal(stored.decode(image), values[..., order])


@pytest.mark.parametrize("parts", [("1", "2"), ("left", "right"), ("L_CC", "R_CC")])
def test_views_are_not_stacked_unless_the_user_says_so(
    parts: tuple[str, ...], tmp_path: Path
) -> None:
    contents, _ = channel_kinds.stacked(parts)
    assert layouts.inspect(tmp_path, contents).layout.prepare["stack"] is None
    (tmp_path / "again").mkdir()
    found = layouts.inspect(tmp_path / "again", contents, stack=",".join(parts))
    assert found.layout.prepare["stack"] == [*parts]


def test_an_id_that_lacks_a_channel_is_named_and_a_param_decides(tmp_path: Path) -> None:
    contents, _ = channel_kinds.stacked()
    prepare = layouts.inspect(tmp_path, contents).layout.prepare
    for name in ("train/0003_blue.png", "train/0007_blue.png", "train/0007_red.png"):
        del contents[name]
    del contents["test/0040_red.png"]
    message = r"2 of 36 training images .* train/: 0003 \(no blue\), 0007 \(no red, blue\); "
    with pytest.raises(UserError, match=message + r"1 of 9 test .*: 0040 \(no red\)"):
        store(contents, prepare, tmp_path / "error")
    assert len(store(contents, prepare, tmp_path / "blank", on_bad_image="blank")) == 34
    black = ImageStore(tmp_path / "blank/test").decode("0040")
    assert black.shape == (64, 64, 4) and not black.any()


@pytest.mark.parametrize(
    ("missing", "decision"),
    [(["train/0003_blue"], "skip"), (["train/0003_blue", "test/0040_red"], "blank")],
)
def test_init_proposes_what_to_do_about_incomplete_ids(
    missing: list[str], decision: str, tmp_path: Path
) -> None:
    contents, _ = channel_kinds.stacked()
    for name in missing:
        del contents[f"{name}.png"]
    found = layouts.inspect(tmp_path, contents)
    assert found.layout.prepare["stack"] == COLORS
    guess = found.guess("on_bad_image")
    assert guess.value == decision and "0003" in guess.reason and guess.is_open


def test_stacked_images_must_have_one_size(tmp_path: Path) -> None:
    contents, _ = channel_kinds.stacked()
    contents["train/0003_blue.png"] = encode(np.zeros((9, 8), np.uint8))
    with pytest.raises(UserError, match=r"0003 .*different sizes: 32 x 40, 8 x 9"):
        prepare = layouts.inspect(tmp_path, contents).layout.prepare
        store(contents, prepare, tmp_path / "images")


def test_color_images_are_stacked_as_rgb(tmp_path: Path) -> None:
    contents, _ = channel_kinds.stacked(("before", "after"))
    rng, pixels = np.random.default_rng(0), {}
    for name in [name for name in contents if name.endswith(".png")]:
        pixels[name] = rng.integers(0, 256, (30, 20, 3), np.uint8)
        contents[name] = encode(pixels[name])
    found = layouts.inspect(tmp_path, contents)
    assert found.layout.prepare.get("stack") is None  # proposed for grayscale images only
    changes = {"stack": ["before", "after"], "channels": 6}
    stored = store(contents, found.layout.prepare, tmp_path / "images", **changes)
    expected = [pixels[f"train/0000_{part}.png"] for part in ("before", "after")]
    assert np.array_equal(stored.decode("0000"), np.dstack(expected))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, r"stack requires images with one `\*`"),
        ({"images": "*_{id}_*"}, r"stack requires images with one `\*`"),
        ({"stack": ["a", "a"]}, "must not repeat"),
        ({"channels": 3}, r"channels must be 2 \(grayscale\), 6 \(RGB\)"),
        ({"encode": "original"}, "exclude each other"),
    ],
)
def test_impossible_stacks_are_refused(changes: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {"images": "{id}_*", "stack": ["a", "b"], "channels": 2}
    Prepare(**valid)
    with pytest.raises(ValueError, match=message):
        Prepare(**{**valid, **changes})


def test_ids_come_from_the_files_where_no_table_lists_them() -> None:
    layout = Prepare(images="{id}_*.png", stack=["w1", "w2"], channels=2)
    paths = ["b_w1.png", "a_1_w2.png", "b_w2.png", "b_w3.png", "c_w1.jpg"]
    assert stacks.ids(paths, layout) == ["b", "a_1"]


@pytest.mark.slow
def test_stacked_images_lead_to_a_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    in_process.run_project(channel_kinds.stacked()[0], fine_tune=True)
    written = csvs.read(Path("submissions/made.csv"))
    assert len(written) == channel_kinds.TEST and set(written.iloc[:, 1]) <= {*CLASSES}
