"""The recipes on the photos that they are for, cut down to a minute. Skipped without the photos."""

import csv
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, Project
from ruamel.yaml import YAML

from podium.init import merge

sys.path.append(str(ROOT / "benchmarks"))  # its other names are those of our stages
import photos

SHARED = ROOT.parent / "shared"
WEIGHTS = SHARED / "weights" / "mobilenetv2_100-imagenet-backbone.safetensors"


def in_class_folders(name: str, folder: Path) -> tuple[Path, Path]:
    """The photos of a competition in one folder per class, as they are published: train, test."""
    with zipfile.ZipFile(SHARED / "data" / f"{name}.zip") as archive:
        table = next(
            n for n in archive.namelist() if n.lower() in ("train.csv", "training_set.csv")
        )
        train = [*csv.reader(io.StringIO(archive.read(table).decode()))][1:]
        with (SHARED / "data" / f"{name}-solution.csv").open() as file:
            test = [*csv.reader(file)][1:]
        for part, rows in (("train", train), ("test", test)):
            for image, label in rows:
                file_name = f"{Path(image).stem}.jpg"
                target = folder / part / label / file_name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(f"{part}/{file_name}"))
    return folder / "train", folder / "test"


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.skipif(not SHARED.exists(), reason="needs the photos")
@pytest.mark.parametrize("name", [pytest.param("ants-bees", marks=pytest.mark.long), "weather"])
def test_a_recipe_runs_from_the_photos_to_a_submission(tmp_path: Path, name: str) -> None:
    train, test = in_class_folders(name, tmp_path / "published")
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    data = project.folder / "data"
    photos.lay_out(name, photos.photos(train), photos.photos(test), data)
    recipe = (ROOT / "recipes" / f"{name}.yaml").read_text()
    params = merge.apply((ROOT / "params.yaml").read_text(), recipe)
    (project.folder / "params.yaml").write_text(params)

    def smaller(params: dict[str, Any]) -> None:
        model = next(iter(params["models"].values()))
        model |= {"image_size": 64, "phases": [{"epochs": 2, "trainable": "head", "lr": 0.01}]}
        params["models"] = {"small": model | {"pretrained": str(WEIGHTS)}}
        params["ensemble"]["members"] = ["small"]
        params["folds"]["run"] = [0]

    project.edit(smaller)
    project.repro("submission", "report")
    solution = pd.read_csv(data / f"{name}-solution.csv", dtype=str)
    submission = pd.read_csv(project.folder / "submissions" / f"{name}.csv", dtype=str)
    assert list(submission.columns) == list(solution.columns)
    both = submission.merge(solution, on="id", validate="one_to_one")
    assert len(both) == len(solution) == len(submission)
    accuracy = (both["label_x"] == both["label_y"]).mean()
    assert accuracy > 1.5 / both["label_y"].nunique()
    assert f"{accuracy:.4f}" in (project.folder / "reports/report.md").read_text()


def test_class_folders_become_a_competition_with_a_solution(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    train, test = photos.split(photos.photos(tmp_path / "photos"), 0.3, seed=0)
    photos.lay_out("pets", train, test, tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "data/pets.zip") as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    train_rows, test_ids, solution_rows = (
        text.splitlines()[1:]
        for text in (
            files["train.csv"],
            files["test.csv"],
            (tmp_path / "data/pets-solution.csv").read_text(),
        )
    )
    assert len(train_rows) == 7 and test_ids == [row.split(",")[0] for row in solution_rows]
    labels = dict(row.split(",") for row in (*train_rows, *solution_rows))
    assert labels == {str(number): ("cat", "dog")[number % 2] for number in range(10)}
    for image in labels:
        assert files[f"{'test' if image in test_ids else 'train'}/{image}.jpg"] == image


def test_recipes_for_photos_read_what_the_program_writes() -> None:
    recipes = {p.stem: YAML(typ="safe").load(p) for p in (ROOT / "recipes").glob("*.yaml")}
    named = {name: r["competition"] for name, r in recipes.items() if "competition" in r}
    sets = ("ants-bees", "weather", "houses", "clothing")
    assert set(named) == {name for name in recipes if any(s in name for s in sets)}
    for name, competition in named.items():
        photo_set = next(s for s in sets if s in name)
        assert competition["source"] == f"data/{photo_set}.zip"
        assert competition["solution"] == f"data/{photo_set}-solution.csv"
