"""What `make init` says about ids with several images that it cannot use as they are."""

import re
from pathlib import Path

import layouts
import pytest
from test_small_competitions import Files, N, T, image, images, plain, table, with_sample

from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import tables
from podium.init import printout


def more_images(files: Files, name: str = "{}_{}") -> Files:
    """The competition with up to two further images per id."""
    more = Files()
    for path in files:
        if path.endswith(".png"):
            stem = path.removesuffix(".png")
            more |= {
                f"{name.format(stem, k)}.png": image(k)
                for k in range(2, 2 + sum(map(ord, stem)) % 3)
            }
    return {**files, **more}


@pytest.mark.parametrize("name", ["{}_{}", "{}-{}"])
def test_images_that_no_table_lists_are_noted_with_the_way_to_use_them(
    tmp_path: Path, name: str
) -> None:
    files = more_images(with_sample(plain()), name)
    found = layouts.inspect(tmp_path, files)
    count = len(files) - len(with_sample(plain()))
    (note,) = [note for note in found.layout.notes if "no table lists" in note]
    assert note.startswith(f"not used: {count} images that no table lists: train/")
    pattern = re.search(r'set prepare\.images: "(.+)"$', note)
    assert pattern is not None
    layout = Prepare(**found.layout.prepare | {"images": pattern[1]})
    read = tables.read(found.archive, layout, "multiclass")
    units = [*read.train["unit"], *read.test["unit"]]
    assert len(units) == len(N) + len(T) + count and len({*units}) == len(N) + len(T)
    without = layouts.inspect(tmp_path, with_sample(plain()))
    assert not any("no table lists" in note for note in without.layout.notes)


def test_images_in_other_folders_and_without_ids_are_noted_without_a_pattern(
    tmp_path: Path,
) -> None:
    files = {**with_sample(plain()), "train/logo.png": image(1), "docs/x.png": image(2)}
    (note,) = [n for n in layouts.inspect(tmp_path, files).layout.notes if "no table lists" in n]
    assert note == "not used: 1 image that no table lists: train/logo.png"


@pytest.mark.parametrize("layout", ["a row per image", "class folders"])
def test_labels_of_single_images_with_submission_ids_of_several(
    tmp_path: Path, layout: str
) -> None:
    files = {f"test/b{n}_{k}.png": image(n) for n in T for k in (1, 2)}
    names = {f"a{n}_{k}": "xyz"[n % 3] for n in N for k in (1, 2)}
    for n, (name, label) in enumerate(names.items()):
        files[f"train/{label if layout == 'class folders' else '.'}/{name}.png"] = image(n)
    if layout == "a row per image":
        files["train.csv"] = table("image,label", [f"{n},{label}" for n, label in names.items()])
    files["sample_submission.csv"] = table("id,label", [f"b{n},x" for n in T])
    expected = "ids have several images each (b0: b0_1.png, b0_2.png).*Write a train.csv"
    files = {name.replace("/./", "/"): content for name, content in files.items()}
    with pytest.raises(UserError, match=expected.replace("(", r"\(").replace(")", r"\)")):
        layouts.inspect(tmp_path, files)
    files["train.csv"] = table("id,label", [f"a{n},{'xyz'[n % 3]}" for n in N])  # as it says
    found = layouts.inspect(tmp_path, files)
    assert found.tables.train["unit"].nunique() == len(N)
    assert len(found.tables.train) == 2 * len(N) and len(found.tables.test) == 2 * len(T)


def test_folders_whose_images_are_not_probed_are_not_called_undecodable(tmp_path: Path) -> None:
    files = {f"train/a{n}/{k}.png": image(n) for n in N for k in range(1 + n)}
    files |= {f"test/b{n}/{k}.png": image(n) for n in range(300) for k in (1, 2)}
    files["train.csv"] = table("id,label", [f"a{n},{'xyz'[n % 3]}" for n in N])
    files["test/bad/1.png"] = files["test/bad/2.png"] = b"no image"
    files["sample_submission.csv"] = table("id,label", [f"b{n},x" for n in range(300)])
    found = layouts.inspect(tmp_path, files)
    shown = printout.files(found.survey, "x")
    assert "test/b0/" in shown and "can be decoded" not in shown
    damaged = {name: b"no image" if name.endswith("png") else files[name] for name in files}
    few = {name: content for name, content in damaged.items() if not name.startswith("test/b1")}
    assert "none can be decoded" in printout.files(layouts.inspect(tmp_path, few).survey, "x")


@pytest.mark.parametrize("second", ["right_eye", "mask", "same"])
def test_columns_that_name_the_images_of_an_id_give_its_pattern(
    tmp_path: Path, second: str
) -> None:
    """Not with masks, nor if two columns name the same image."""
    kinds = ["left_eye", "left_eye" if second == "same" else second]
    files = Files()
    for part, letter, numbers in (("train", "a", N), ("test", "b", T)):
        ids = [f"{letter}{n}" for n in numbers]
        files |= {f"{part}/{i}_{kind}.png": image(n) for n, i in enumerate(ids) for kind in kinds}
        rows = [f"{i},{i}_{kinds[0]}.png,{i}_{kinds[1]}.png" for i in ids]
        if part == "train":
            rows = [f"{row},{'xyz'[n % 3]}" for n, row in enumerate(rows)]
        header = f"id,left_eye,{second}{',label' if part == 'train' else ''}"
        files[f"{part}.csv"] = table(header, rows)
    files["sample_submission.csv"] = table("id,label", [f"b{n},x" for n in T])
    prepare = layouts.inspect(tmp_path, files).prepare
    expected = ("id", "{id}_*") if second == "right_eye" else ("left_eye", None)
    assert (prepare["id_column"], prepare["images"]) == expected


@pytest.mark.parametrize("files", ["class folders", "file names", "a table", "one folder"])
def test_training_images_do_not_make_hidden_test_images_several_per_id(
    tmp_path: Path, files: str
) -> None:
    """A code competition: the ids 1 to 6 have no image yet, but are parts of training images'."""
    names = {f"x{n}_{n % 6}": "xyz"[n % 3] for n in range(60)}
    paths = {name: f"train/{name}.png" for name in names}
    made = {"sample_submission.csv": table("id,label", [f"{n},x" for n in range(6)])}
    if files == "class folders":
        paths = {name: f"train/{label}/{name}.png" for name, label in names.items()}
    elif files == "file names":
        paths = {n: f"train/{label}.{k // 3}.png" for k, (n, label) in enumerate(names.items())}
    else:
        made["train.csv"] = table("name,label", [f"{n},{label}" for n, label in names.items()])
    if files == "one folder":
        paths = {name: f"images/{name}.png" for name in names}
    made |= {path: image(n) for n, path in enumerate(paths.values())}
    found = layouts.inspect(tmp_path, made)
    assert found.prepare["hidden_test"] and len(found.tables.train) == len(names)
    assert found.prepare["test_images"] not in ("", found.prepare["train_images"])


def test_training_images_of_the_same_names_are_no_test_images(tmp_path: Path) -> None:
    """Class folders with 1.png, 2.png, …, and the ids of a hidden test set are 1, 2, …, too."""
    numbers = [str(n) for n in range(8)]
    files = images(**{f"train/{label}": [f"{label}{n}" for n in numbers] for label in "xy"})
    files |= images(**{"train/z": numbers})
    files["sample_submission.csv"] = table("id,label", [f"{n},x" for n in numbers[:6]])
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["hidden_test"], found.prepare["test_images"]) == (True, "test")
