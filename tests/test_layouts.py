"""Every documented layout is understood, and the stage prepare accepts what is inferred."""

from pathlib import Path
from typing import Any

import layouts
import pytest
from conftest import ROOT
from layouts import Inspection, inspect

DATA = ROOT.parent / "shared" / "data"


@pytest.mark.parametrize("name", layouts.BUILDERS)
def test_a_layout_is_understood_and_prepare_takes_it(name: str, tmp_path: Path) -> None:
    competition = layouts.BUILDERS[name]()
    found = inspect(tmp_path, competition.files)
    goal = found.layout.task, found.layout.metric, found.layout.submission["format"]
    assert goal == (competition.task, competition.metric, competition.format)
    prepare = found.prepare
    assert {key: prepare[key] for key in competition.prepare} == competition.prepare
    made = found.tables
    assert made.classes == competition.classes
    assert (len(made.train), len(made.test)) == (layouts.TRAIN, layouts.TEST)
    assert found.guess("metric").confidence == "guess"


def test_the_targets_of_clothing_are_understood() -> None:
    if not (DATA / "clothing.zip").is_file():
        pytest.skip("the photos are not at hand")
    found = Inspection(DATA / "clothing.zip")
    assert found.prepare["label_column"] == {"label": "multiclass", "kids": "binary"}
    assert found.prepare["no_label"] == {"label": ["Not sure", "Skip"]}
    assert (found.layout.task, found.layout.metric) == ("multitarget", "accuracy")
    label, kids = found.tables.task("multitarget").parts
    assert (len(label.task.classes), kids.task.classes) == (18, ["False", "True"])


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("ants-bees", 2, {"train_csv": "train.csv", "sample_submission": "sample_submission.csv"}),
        (
            "weather",
            5,
            {
                "train_csv": "Training_set.csv",
                "test_csv": "Testing_set.csv",
                "sample_submission": None,
                "id_column": "filename",
            },
        ),
    ],
)
def test_the_photo_competitions_are_understood(
    name: str, classes: int, expected: dict[str, Any]
) -> None:
    if not (DATA / f"{name}.zip").is_file():
        pytest.skip("the photos are not at hand")
    found = Inspection(DATA / f"{name}.zip")
    prepare = found.prepare
    both = {**expected, "label_column": "label", "train_images": "train", "test_images": "test"}
    assert {key: prepare[key] for key in both} == both
    assert len(found.tables.classes) == classes and found.layout.metric == "accuracy"
    assert found.layout.task == ("binary" if classes == 2 else "multiclass")
    assert not found.layout.notes
