"""`prepare.positive_class`: which of two classes is the second, in all that follows."""

from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.dataset import tables
from podium.dataset.tables import Tables
from podium.params import schema
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write

LABELS = ["benign", "malignant", "benign", "malignant", "benign"]
# What a model says of these images, if its classes are in sorted order.
PROBABILITY_OF_MALIGNANT = np.array([0.1, 0.8, 0.6, 0.7, 0.75])


def read(folder: Path, sample: str = "id,label\n9,0\n", **layout: Any) -> Tables:
    rows = "".join(f"{number},{label}\n" for number, label in enumerate(LABELS))
    files = {
        "train.csv": f"id,label\n{rows}",
        "test.csv": "id\n9\n",
        "sample_submission.csv": sample,
    }
    path = competitions.write_zip(folder / "files.zip", {n: t.encode() for n, t in files.items()})
    return tables.read(Archive(path), Prepare(**layout), "binary")


def score(result: Tables, metric: str) -> float:
    task = Task("binary", result.classes)
    columns = [["benign", "malignant"].index(name) for name in task.classes]
    probabilities = np.stack([1 - PROBABILITY_OF_MALIGNANT, PROBABILITY_OF_MALIGNANT], axis=1)
    targets = task.targets(result.train["label"].tolist())
    return metrics.get(metric, "binary").function(targets, probabilities[:, columns])


def submitted(result: Tables, metric: str, **options: Any) -> Any:
    probabilities = np.array([[0.25, 0.75]])
    sample = result.sample
    filled = write.fill(
        sample,
        sample["id"].tolist(),
        np.log(probabilities).astype(np.float32),
        task=Task("binary", result.classes),
        rule=DecisionRule(),
        metric=metrics.get(metric, "binary"),
        options=Submission(**options),
    )
    return filled.iloc[0, 1]


def test_the_positive_class_is_the_second_and_is_printed(tmp_path: Path) -> None:
    for positive in (None, *LABELS[:2]):
        result = read(tmp_path, positive_class=positive)
        assert result.classes[1] == (positive or "malignant")
        assert tables.summary(result, "binary").endswith(f"positive class is {result.classes[1]}")


def test_a_label_that_is_a_number_may_be_written_as_one() -> None:
    assert Prepare.model_validate({"positive_class": 0}).positive_class == "0"


def test_metrics_are_those_of_the_positive_class(tmp_path: Path) -> None:
    scores = {
        positive: score(read(tmp_path, positive_class=positive), "average_precision")
        for positive in LABELS[:2]
    }
    assert scores == {"malignant": pytest.approx(5 / 6), "benign": pytest.approx(11 / 12)}
    symmetric = {score(read(tmp_path, positive_class=name), "roc_auc") for name in LABELS[:2]}
    assert len(symmetric) == 1


@pytest.mark.parametrize("positive", ["benign", "malignant"])
def test_the_submission_is_the_positive_classs_probability(tmp_path: Path, positive: str) -> None:
    result = read(tmp_path, positive_class=positive)
    assert submitted(result, "roc_auc") == pytest.approx(0.75)  # for the second class
    assert submitted(result, "accuracy", format="number") == 1
    assert submitted(result, "accuracy", format="label") == positive


def test_a_column_called_like_a_class_has_its_probability(tmp_path: Path) -> None:
    result = read(tmp_path, "id,benign\n9,0\n")
    assert submitted(result, "roc_auc") == pytest.approx(0.25)
    assert len(result.warnings) == 1 and "positive_class: benign" in result.warnings[0]
    result = read(tmp_path, "id,benign\n9,0\n", positive_class="benign")
    assert submitted(result, "roc_auc") == pytest.approx(0.75) and not result.warnings


def test_the_order_of_the_samples_columns_gives_way_to_the_positive_class(tmp_path: Path) -> None:
    sample = "id,malignant,benign\n9,0,0\n"
    assert read(tmp_path, sample).classes == ["malignant", "benign"]
    assert read(tmp_path, sample, positive_class="malignant").classes == ["benign", "malignant"]


def test_images_that_are_dropped_leave_the_positive_class(tmp_path: Path) -> None:
    result = tables.drop(read(tmp_path, positive_class="benign"), ["0"], "binary")
    assert result.classes == ["malignant", "benign"]


def test_an_unknown_class_is_an_error_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"positive_class: .*malign: did you mean malignant\?"):
        read(tmp_path, positive_class="malign")
    with pytest.raises(UserError, match=r"positive_class: .*xyz.* benign, malignant"):
        read(tmp_path, positive_class="xyz")


def test_it_requires_a_binary_task() -> None:
    for task in ("multiclass", "multilabel", "ordinal"):
        params = {**PARAMS, "task": task, "metric": None}
        params["prepare"] = {**params["prepare"], "positive_class": "a"}
        with pytest.raises(UserError, match="positive_class: requires task: binary"):
            schema.validate(params)


def test_the_table_keeps_its_rows(tmp_path: Path) -> None:
    plain, other = read(tmp_path), read(tmp_path, positive_class="benign")
    pd.testing.assert_frame_equal(plain.train, other.train)
