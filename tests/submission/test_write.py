import numpy as np
import pandas as pd
import provenances
import pytest

from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.prediction.predictions import Predictions
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

CLASSES = ["ant", "bee"]
PREDICTED = Predictions(
    ["1", "2", "3"],
    np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)),
    provenances.ensemble(classes=CLASSES),
)
SOLUTION = pd.DataFrame({"id": ["3", "2", "1"], "label": ["bee", "ant", "ant"]})


def sample(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({"Image ID": ["2", "3", "1"], **dict.fromkeys(columns, "0")})


def make(like: pd.DataFrame, metric: str) -> pd.DataFrame:
    chosen = metrics.get(metric, "multiclass")
    return write.make_submission(like, PREDICTED, metric=chosen, options=Submission())


def score(made: pd.DataFrame, solution: pd.DataFrame, metric: str) -> float:
    task, chosen = Task("multiclass", CLASSES), metrics.get(metric, "multiclass")
    like = sample(*made.columns[1:])
    form = SubmissionFormat.detect(like, task, chosen, Submission())
    return write.score(made, solution, task, form=form, metric=chosen)


def test_header_ids_and_order_are_those_of_the_sample() -> None:
    made = make(sample("Label"), "accuracy")
    assert made.to_csv(index=False) == "Image ID,Label\n2,bee\n3,bee\n1,ant\n"


def test_one_column_a_class_holds_probabilities_in_the_samples_order_of_classes() -> None:
    made = make(sample("bee", "ant"), "log_loss")
    assert list(made.columns) == ["Image ID", "bee", "ant"]
    assert made["bee"].tolist() == pytest.approx([0.8, 0.6, 0.1])
    assert (made["bee"] + made["ant"]).tolist() == pytest.approx([1, 1, 1])


def test_a_single_column_holds_a_probability_where_the_metric_wants_one() -> None:
    made = make(sample("target"), "log_loss")
    assert made["target"].tolist() == pytest.approx([0.8, 0.6, 0.1])


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
    made = make(sample(*columns), metric).astype(str)
    assert score(made, SOLUTION, metric) == pytest.approx(expected)


def test_ids_that_were_not_predicted_are_an_error() -> None:
    longer = pd.concat([sample("label"), pd.DataFrame({"Image ID": ["9"], "label": ["0"]})])
    with pytest.raises(UserError, match="1 images have no prediction: 9"):
        make(longer, "accuracy")


def test_a_form_that_cannot_be_told_is_an_error() -> None:
    with pytest.raises(
        UserError,
        match=r"columns Image ID, x, y: that does not go with .*format: columns",
    ):
        make(sample("x", "y"), "accuracy")


def test_a_solution_of_other_images_is_an_error() -> None:
    made = make(sample("label"), "accuracy")
    for wrong in (
        SOLUTION[:2],
        pd.concat([SOLUTION, SOLUTION[:1]]),
        SOLUTION.replace("bee", "wasp"),
    ):
        with pytest.raises(UserError, match="the solution does not fit"):
            score(made, wrong, "accuracy")
    with pytest.raises(
        UserError, match=r"must have two columns, id and label, or one a class .*, not id"
    ):
        score(made, SOLUTION[["id"]], "accuracy")
