"""Tables of labeled validation images are offered as further training images."""

from pathlib import Path

import in_process
import layouts
import numpy as np
import pytest
import test_small_competitions as small
from competitions import encode
from pydantic import ValidationError
from test_small_competitions import Files, N, T, images, plain, table, with_sample

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import csvs
from podium.core.errors import UserError
from podium.dataset import build, shared_columns, tables

folder = small.folder


def with_validation(
    name: str = "valid", ids: str = "a{n}", header: str = "id,label", folder: str = "valid"
) -> Files:
    """A table of 8 validation images, by default with the ids of training images."""
    rows = [f"{ids.format(n=n)},{'xyz'[n % 3]}" for n in range(8)]
    more = images(**{folder: [ids.format(n=n) for n in range(8)]})
    return with_sample(plain()) | {f"{name}.csv": table(header, rows)} | more


@pytest.mark.parametrize("name", ["val", "valid", "validation_labels", "data/val"])
def test_a_table_of_validation_images_is_offered(name: str, tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, with_validation(name))
    guess = found.guess("more_train_csv")
    assert (guess.value, guess.confidence) == ([f"{name}.csv"], "guess")
    assert (found.prepare["more_train_images"], found.prepare["test_csv"]) == (["valid"], None)
    read = found.tables.train.set_index("id")["label"]
    assert read.index.is_unique and len(read) == len(N) + 8
    assert (read["a4"], read["valid/a4.png"]) == ("y", "y")
    assert not found.layout.notes
    fewer = layouts.inspect(tmp_path, with_validation(name), more_train_csv="none")
    assert len(fewer.tables.train) == len(N)
    assert f"not used: {name}.csv (8 rows of a validation set), valid/" in fewer.layout.notes


def test_validation_images_may_be_among_the_training_images(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, with_validation("val", "v{n}", folder="train"))
    prepare = found.prepare
    assert (prepare["more_train_csv"], prepare["more_train_images"]) == (["val.csv"], [])
    assert {"a3", "v3"} <= {*found.tables.train["id"]}


@pytest.mark.parametrize("folder", ["valid", "data/valid", "/valid/"])
def test_their_folder_may_be_named_without_those_above_it(folder: str, tmp_path: Path) -> None:
    files = {
        (name if name.endswith(".csv") else f"data/{name}"): data
        for name, data in with_validation().items()
    }
    found = layouts.inspect(tmp_path, files)
    settings = {"train_images": "train", "more_train_images": [folder], "test_images": "test"}
    layout = Prepare(**{**found.layout.prepare, **settings})
    with Archive(found.survey.path) as archive:
        ids = tables.read(archive, layout, "multiclass").ids
        matches = dict(build.match_images(archive, ids, layout)["train"])
    assert len(matches) == len(N) + 8
    assert (matches["a4"], matches["data/valid/a4.png"]) == (
        "data/train/a4.png",
        "data/valid/a4.png",
    )


def test_columns_are_compared_over_all_training_tables(tmp_path: Path) -> None:
    files = with_validation(header="id,label,site,only")
    rows = [f"a{n},{'xyz'[n % 3]},{{}},1" for n in range(24)]
    files["valid.csv"] = table("id,label,site", [r.format("v")[:-2] for r in rows[:8]])
    files["train.csv"] = table("id,label,site,only", [r.format("t") for r in rows])
    files["test.csv"] = table("id,site,only", [f"b{n},s,1" for n in T])
    found = layouts.inspect(tmp_path, files)
    changes = {"test_csv": "test.csv", "more_train_csv": ["valid.csv"]}
    prepare = Prepare(**found.layout.prepare | changes)
    read = tables.read(found.archive, prepare, "multiclass")
    shared, kinds = shared_columns.read(found.archive, prepare, read)
    assert shared.columns.tolist() == ["part", "id", "group", "column site"]
    assert kinds == {"site": "categorical"}
    assert set(shared["id"]) == {*read.ids["train"], *read.ids["test"]}
    assert shared[["part", "column site"]].value_counts(sort=False).to_dict() == {
        ("test", "s"): 6,
        ("train", "t"): 24,
        ("train", "v"): 8,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"header": "id,kind"},  # other columns
        {"name": "extra"},
        {"ids": "w{n}", "folder": "elsewhere"},
        {"name": "val_sample_submission"},
    ],
)
def test_other_tables_are_not_offered(change: dict[str, str], tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, with_validation(**change))
    assert found.prepare["more_train_csv"] == []
    assert len(found.tables.train) == len(N)


def test_validation_images_without_files_or_labels_are_not_offered(tmp_path: Path) -> None:
    files = with_validation()
    del files["valid/a4.png"]  # there is train/a4.png
    assert layouts.inspect(tmp_path, files).prepare["more_train_csv"] == []
    files = with_validation()
    files["valid.csv"] = files["valid.csv"].replace(b"a4,y", b"a4,")
    (tmp_path / "shapes.zip").unlink()
    assert layouts.inspect(tmp_path, files).prepare["more_train_csv"] == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"train_csv": None}, "more_train_csv requires train_csv"),
        ({"more_train_images": ["a", "b"]}, "one table per folder in more_train_csv"),
        ({"images": "{id}_*"}, "more_train_csv excludes images"),
    ],
)
def test_what_more_tables_require(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Prepare(**{"more_train_csv": ["val.csv"], **settings})


def test_unreadable_and_missing_rows_are_errors_that_name_the_tables(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, with_validation())
    layout = found.layout
    layout.prepare["more_train_csv"] = ["other.csv"]
    with pytest.raises(UserError, match=r"prepare\.more_train_csv: other\.csv not found"):
        _ = found.tables
    layout.prepare |= {"more_train_csv": ["valid.csv"], "more_train_images": ["test"]}
    with pytest.raises(UserError, match=r"8 of 32 training images are missing.*test/a0"):
        _ = found.tables


@pytest.mark.slow
def test_models_train_on_them_too() -> None:
    files = with_validation()
    columns = {"train.csv": len(N), "valid.csv": 8, "test.csv": len(T)}
    files["test.csv"] = table("id", [f"b{n}" for n in T])
    for name, count in columns.items():
        header, *rows = files[name].decode().split()
        files[name] = table(f"{header},age", [f"{row},{row and 20 + 7 * n % 41}" for n, row
                                              in enumerate(rows[:count])])  # fmt: skip
    in_process.run_project(files, fine_tune=True)
    oof = csvs.read(Path("reports/oof.csv"))
    assert len(oof) == len(N) + 8 and oof["id"].str.startswith("valid/").sum() == 8
    assert len(small.submission()) == len(T)


def test_of_the_same_images_in_several_sizes_one_table_is_offered(tmp_path: Path) -> None:
    """flower-classification-with-tpus: a folder per size, each with all tables."""
    files: Files = {"sample_submission.csv": table("id,label", [f"b{n},x" for n in T])}
    for size in (24, 64, 32):
        place = f"jpeg-{size}x{size}"
        parts = {"train": [f"a{n}" for n in N], "val": [f"v{n}" for n in range(8)]}
        parts["test"] = [f"b{n}" for n in T]
        for part, names in parts.items():
            rows = [f"{name},{'xyz'[n % 3]}" for n, name in enumerate(names)]
            is_test = part == "test"
            files[f"{place}/{part}.csv"] = table(
                "id" if is_test else "id,label", names if is_test else rows
            )
            for name in names:
                files[f"{place}/{part}/{name}.png"] = encode(np.full((size, size, 3), 9, np.uint8))
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["train_images"] == "jpeg-64x64/train"
    assert found.prepare["more_train_csv"] == ["jpeg-64x64/val.csv"]
    assert found.prepare["more_train_images"] == ["jpeg-64x64/val"]
    assert "8 labeled validation images" in found.guess("more_train_csv").reason
