import numpy as np
import pandas as pd
import pytest

from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

CLASSES = ["ant", "bee"]
IDS = ["1", "2", "3"]
LOGITS = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32))
SOLUTION = pd.DataFrame({"id": ["3", "2", "1"], "label": ["bee", "ant", "ant"]})


def sample(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({"Image ID": ["2", "3", "1"], **dict.fromkeys(columns, "0")})


def fill(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    return write.fill(
        table,
        IDS,
        LOGITS,
        task=Task("multiclass", CLASSES),
        rule=DecisionRule(),
        metric=metrics.get(metric, "multiclass"),
        options=Submission(),
    )


def score(submission: pd.DataFrame, solution: pd.DataFrame, metric_name: str) -> float:
    task, metric = Task("multiclass", CLASSES), metrics.get(metric_name, "multiclass")
    detected = SubmissionFormat.detect(sample(*submission.columns[1:]), task, metric, Submission())
    return write.score(submission, solution, task, submission_format=detected, metric=metric)


def test_header_ids_and_order_are_the_samples() -> None:
    assert (
        fill(sample("Label"), "accuracy").to_csv(index=False)
        == "Image ID,Label\n2,bee\n3,bee\n1,ant\n"
    )


def test_columns_per_class_are_filled_in_the_samples_order() -> None:
    submission = fill(sample("bee", "ant"), "log_loss")
    assert list(submission.columns) == ["Image ID", "bee", "ant"]
    assert submission["bee"].tolist() == pytest.approx([0.8, 0.6, 0.1])
    assert (submission["bee"] + submission["ant"]).tolist() == pytest.approx([1, 1, 1])


def test_a_single_column_is_filled_with_a_probability_if_the_metric_takes_one() -> None:
    submission = fill(sample("target"), "log_loss")
    assert submission["target"].tolist() == pytest.approx([0.8, 0.6, 0.1])


@pytest.mark.parametrize(
    ("columns", "metric", "expected"),
    [
        (("label",), "accuracy", 2 / 3),
        (("bee", "ant"), "accuracy", 2 / 3),
        (("target",), "log_loss", -np.log([0.9, 0.2, 0.6]).mean()),
        (("bee", "ant"), "log_loss", -np.log([0.9, 0.2, 0.6]).mean()),
    ],
)
def test_a_submission_scores_what_the_leaderboard_would_show(
    columns: tuple[str, ...], metric: str, expected: float
) -> None:
    submission = fill(sample(*columns), metric).astype(str)
    assert score(submission, SOLUTION, metric) == pytest.approx(expected)


def test_ids_that_were_not_predicted_are_an_error() -> None:
    longer = pd.concat([sample("label"), pd.DataFrame({"Image ID": ["9"], "label": ["0"]})])
    with pytest.raises(UserError, match=r"1 image has .*\(9\)"):
        fill(longer, "accuracy")


def test_a_sample_whose_columns_are_not_the_classes_is_an_error() -> None:
    with pytest.raises(UserError, match=r"submission.format: columns .*Image ID, x, y"):
        fill(sample("x", "y"), "accuracy")


def test_a_solution_of_other_images_is_an_error() -> None:
    submission = fill(sample("label"), "accuracy")
    for wrong in (
        SOLUTION[:2],
        pd.concat([SOLUTION, SOLUTION[:1]]),
        SOLUTION.replace("bee", "wasp"),
    ):
        with pytest.raises(UserError, match="solution"):
            score(submission, wrong, "accuracy")
    with pytest.raises(UserError, match=r"Check wasp\."):  # without the quotes of a KeyError
        score(submission, SOLUTION.replace("bee", "wasp"), "accuracy")
    with pytest.raises(UserError, match="columns id and label, or"):
        score(submission, SOLUTION[["id"]], "accuracy")
