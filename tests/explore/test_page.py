"""The stage explore: its page and lists for each task, and what reruns it."""

import json
import re
from pathlib import Path
from typing import Any

import competitions
import in_process
import numpy as np
import pandas as pd
import pytest
import several_targets
from conftest import Project
from planted_photos import jpeg, photos

from podium.core import csvs
from podium.explore import data_page, faults, findings, label_errors, overview
from podium.explore.data import read

pytestmark = pytest.mark.slow

STAGES = ("check", "fetch", "prepare", "folds", "explore")
TITLES = ["Classes", "Folds", "Images", "Near-duplicates", "Likely label errors", "Drift",
          "Shortcuts", "Method"]  # fmt: skip


def with_copies() -> dict[str, bytes]:
    """60 training and 15 test photos; 0003 is a copy of 0001 with another label, and 0061 is one of
    0002.
    """
    known, hidden = competitions.tables(60, 15)
    images = photos(75, size=(48, 64))
    images[3], images[61] = jpeg(images[1]), np.ascontiguousarray(jpeg(images[2])[:, ::-1])
    files = {
        "train.csv": competitions.csv(known.assign(site=["A", "B"] * 30)),
        "test.csv": competitions.csv(hidden[["id"]].assign(site="C")),
        "sample_submission.csv": competitions.csv(hidden.assign(label="circle")),
    }
    for number, pixels in enumerate(images):
        folder = "train" if number < 60 else "test"
        files[f"{folder}/{number:04d}.png"] = competitions.encode(pixels)
    return files


def relabel(files: dict[str, bytes], label: Any) -> dict[str, bytes]:
    """The competition with other labels: text -> text."""
    changed = dict(files)
    for name in ("train.csv", "sample_submission.csv"):
        table = pd.read_csv(pd.io.common.BytesIO(files[name]), dtype=str)
        changed[name] = competitions.csv(table.assign(label=table["label"].map(label)))
    return changed


def explore(project: Project) -> str:
    for stage in STAGES:
        done = project.stage(stage)
        assert done.returncode == 0, done.stdout
    return (project.folder / "reports/data.html").read_text()


def titles(page: str) -> list[str]:
    return re.findall("<h2>(.*)</h2>", page)


def test_copies_are_shown_and_listed_and_the_lists_are_accepted(project: Project) -> None:
    project.write_archive(with_copies())
    page = explore(project)
    assert titles(page) == TITLES
    assert len(page) < 8_000_000 and "<script" not in page and 'src="http' not in page
    assert "different labels: 0001 = 0003" in page and "0002 = 0061" in page
    assert "column site" in page
    path = project.folder / "reports/near_duplicates.csv"
    listed = csvs.read(path)
    sets = listed.groupby("set")[["part", "id"]].apply(lambda t: sorted(t.to_numpy().tolist()))
    assert sorted(sets) == [[["test", "0061"], ["train", "0002"]],
                            [["train", "0001"], ["train", "0003"]]]  # fmt: skip
    before = page, path.read_bytes()
    assert project.stage("explore").returncode == 0
    assert before == ((project.folder / "reports/data.html").read_text(), path.read_bytes())

    copy = project.folder / "custom/lists/near_duplicates.csv"
    copy.write_bytes(path.read_bytes())
    name = "custom/lists/near_duplicates.csv"
    project.edit(lambda params: params["prepare"].update(near_duplicates=name))
    explore(project)
    folds = csvs.read(project.folder / "data/folds.csv").set_index("id")["fold"]
    assert folds["0001"] == folds["0003"]
    assert csvs.read(path)["set"].nunique() == 2  # still reported


@pytest.mark.parametrize(("limit", "classes"), [(20, 300), (50_000, 2)])
def test_the_page_says_what_was_limited(
    project: Project, monkeypatch: pytest.MonkeyPatch, limit: int, classes: int
) -> None:
    files = with_copies()
    files["train/0040.png"] = files["train/0050.png"]  # identical
    project.write_archive(files)
    page = explore(project)
    assert "sample" not in page and "no classifier" not in page
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(findings, "MAX_SEARCHED", limit)
    monkeypatch.setattr(label_errors, "MAX_CLASSES", classes)
    monkeypatch.setattr(faults, "MAX_CLASSES", classes)
    data = read(None, seed=42)
    found = findings.find(data, seed=42)
    page = data_page.html(data, found, "shapes", None)
    is_limited = limit == 20
    assert ("searched of 35 of 75 images, a random sample" in page) == is_limited
    assert ("Only 20 of 60 training images were checked" in page) == is_limited
    assert ("of 35 of 75" in "".join(data_page.summary(data, found))) == is_limited
    assert ("With more than 2 classes, no classifier" in page) == (classes == 2)
    assert (40, 50, "identical") in {(pair.a, pair.b, pair.kind) for pair in found.pairs}
    again = findings.find(data, seed=42)
    assert again.pairs == found.pairs and again.issues == found.issues


@pytest.mark.parametrize(
    ("task", "label"),
    [
        ("multilabel", {"circle": "round filled", "square": "filled", "stripes": "striped"}),
        ("ordinal", {"circle": "1", "square": "2", "stripes": "3"}),
        ("regression", {"circle": "1.5", "square": "2.25", "stripes": "-3"}),
    ],
)
def test_each_task_has_a_page(project: Project, task: str, label: dict[str, str]) -> None:
    project.write_archive(relabel(competitions.competition(), label))
    project.edit(lambda params: params.update(task=task, metric=None))
    page = explore(project)
    first = "Numbers" if task == "regression" else "Classes"
    assert titles(page)[0] == first and set(titles(page)) >= {*TITLES[1:-1]}


def test_labels_are_counted_per_fold_and_group(project: Project) -> None:
    known, _ = competitions.tables(60, 15)
    groups = ["big"] * 12 + [f"g{n % 12}" for n in range(48)]
    files = {**competitions.competition(60, 15), "train.csv": competitions.csv(
        known.assign(patient=groups))}  # fmt: skip
    project.write_archive(files)
    project.edit(lambda params: params["prepare"].update(group_column="patient"))
    page = explore(project)
    assert "13 groups of 4 to 12 images" in page
    varied = known["label"].groupby(groups).nunique().gt(1).sum()
    assert f"Groups with images of different labels: {varied}." in page
    assert "Images per class and group, of the 8 largest groups" in page
    table = page[page.index("<figcaption>Images per class and group") :]
    assert re.findall("<th scope=.col.>(.*?)</th>", table)[:2] == ["class", "big"]
    first = re.search('<th scope="row">(.*?)</th><td>(.*?)</td>', table)
    assert first is not None
    assert int(first[2]) == (known["label"][:12] == first[1]).sum()


def test_several_targets_have_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    in_process.run_project(several_targets.mixed())
    in_process.explore_project()
    page = Path("reports/data.html").read_text()
    assert "<small>multitarget</small>" in page
    assert "10 classes of 3 targets: size, kind, light." in page
    for name in ("kind: k0", "size up to its median", "light above its median"):
        assert f"<strong>{name}</strong>" in page


def test_a_competition_without_test_images_or_files_has_a_page(project: Project) -> None:
    rng = np.random.default_rng(0)
    known, hidden = competitions.tables(36, 9)
    files = {"sample_submission.csv": competitions.csv(hidden.assign(label="circle"))}
    for name, table in (("train.csv", known), ("test.csv", hidden[["id"]])):
        pixels = pd.DataFrame(rng.integers(0, 256, (len(table), 64))).add_prefix("pixel")
        files[name] = competitions.csv(table.join(pixels))
    project.write_archive(files)
    project.edit(lambda params: params["prepare"].update(pixel_columns="pixel"))
    assert "All images are 8 x 8. Sizes are as stored." in explore(project)

    project.write_archive(competitions.competition())
    hidden_test = {"hidden_test": True}
    project.edit(lambda params: params.update(prepare=hidden_test))
    assert "Drift" not in titles(explore(project))


def test_the_first_pretrained_network_is_used_and_only_its_change_reruns_the_stage(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import safetensors.torch
    import timm

    weights: Path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), weights)
    first = project.repro("explore")
    assert "explore" in first
    chosen = project.folder / "data/explore.json"
    assert json.loads(chosen.read_text()) is None
    assert "gradient histograms" in (project.folder / "reports/data.html").read_text()

    project.edit(lambda params: params["models"]["a"]["phases"][0].update(lr=0.001))
    assert project.repro("explore") == {"check"}
    project.edit(lambda params: params["models"]["a"].update(pretrained=str(weights)))
    assert project.repro("explore") == {"check", "explore"}
    assert json.loads(chosen.read_text())["architecture"] == "test_resnet"
    assert "test_resnet, 32 px, frozen" in (project.folder / "reports/data.html").read_text()


@pytest.mark.parametrize("count", [1, 3, 8, 500])
def test_samples_are_distinct_and_include_both_ends(count: int) -> None:
    rows = overview._spread([*range(100, 100 + count)], 8)
    assert len(rows) == len({*rows}) == min(8, count)
    assert (rows[0], rows[-1]) == (100, 99 + count)
