"""The recipes on the real photos that they are for, cut down to a minute. Skipped without them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, Project
from ruamel.yaml import YAML

from podium.init import merge

SHARED = ROOT.parent / "shared"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="needs the photos of ../shared")


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["ants-bees", "weather"])
def test_a_recipe_runs_from_the_archive_to_a_submission(tmp_path: Path, name: str) -> None:
    (tmp_path / "shared").symlink_to(SHARED)
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    recipe = (ROOT / "recipes" / f"{name}.yaml").read_text()
    params = merge.apply((ROOT / "params.yaml").read_text(), recipe)
    (project.folder / "params.yaml").write_text(params)

    def smaller(params: dict[str, Any]) -> None:
        model = next(iter(params["models"].values()))
        model |= {"image_size": 64, "phases": [{"epochs": 2, "trainable": "head", "lr": 0.01}]}
        params["models"] = {"small": model}
        params["ensemble"]["members"] = ["small"]
        params["folds"]["run"] = [0]

    project.edit(smaller)
    project.repro()
    solution = pd.read_csv(SHARED / "data" / f"{name}-solution.csv", dtype=str)
    made = pd.read_csv(project.folder / "submissions" / f"{name}.csv", dtype=str)
    assert list(made.columns) == list(solution.columns)
    both = made.merge(solution, on=solution.columns[0], validate="one_to_one")
    assert len(both) == len(solution) == len(made)
    right = (both["label_x"] == both["label_y"]).mean()
    assert right > 1.5 / both["label_y"].nunique()
    report = (project.folder / "reports/report.md").read_text()
    assert f"Score on the held-back test labels: **{right:.4f}**" in report


def test_recipes_name_files_that_are_there() -> None:
    recipes = {p.stem: YAML(typ="safe").load(p) for p in (ROOT / "recipes").glob("*.yaml")}
    competitions = {name: r["competition"] for name, r in recipes.items() if "competition" in r}
    photos = {name for name in recipes if "ants-bees" in name or "weather" in name}
    assert photos and set(competitions) == photos
    for competition in competitions.values():
        assert (ROOT / competition["source"]).exists() and (ROOT / competition["solution"]).exists()
