import numpy as np
import pandas as pd
import pytest

from podium import submissions
from podium.errors import UserError
from podium.predictions import Predictions

CLASSES = ["ant", "bee"]
PREDICTED = Predictions(
    ["1", "2", "3"],
    np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)),
    {"classes": CLASSES},
)
SOLUTION = pd.DataFrame({"id": ["3", "2", "1"], "label": ["bee", "ant", "ant"]})


def sample(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({"Image ID": ["2", "3", "1"], **dict.fromkeys(columns, "0")})


def test_header_ids_and_order_are_those_of_the_sample() -> None:
    made = submissions.make(sample("Label"), PREDICTED, metric="accuracy")
    assert made.to_csv(index=False) == "Image ID,Label\n2,bee\n3,bee\n1,ant\n"


def test_one_column_a_class_holds_probabilities_in_the_samples_order_of_classes() -> None:
    made = submissions.make(sample("bee", "ant"), PREDICTED, metric="log_loss")
    assert list(made.columns) == ["Image ID", "bee", "ant"]
    assert made["bee"].tolist() == pytest.approx([0.8, 0.6, 0.1])
    assert (made["bee"] + made["ant"]).tolist() == pytest.approx([1, 1, 1])


def test_a_single_column_holds_a_probability_where_the_metric_wants_one() -> None:
    made = submissions.make(sample("target"), PREDICTED, metric="log_loss")
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
    columns: tuple[str, ...], metric: submissions.MetricName, expected: float
) -> None:
    made = submissions.make(sample(*columns), PREDICTED, metric=metric).astype(str)
    score = submissions.score(made, SOLUTION, CLASSES, metric=metric)
    assert score == pytest.approx(expected)


def test_ids_that_were_not_predicted_are_an_error() -> None:
    longer = pd.concat([sample("label"), pd.DataFrame({"Image ID": ["9"], "label": ["0"]})])
    with pytest.raises(UserError, match="1 images have no prediction: 9"):
        submissions.make(longer, PREDICTED, metric="accuracy")


def test_a_form_that_cannot_be_told_is_an_error() -> None:
    with pytest.raises(UserError, match="the columns Image ID, x, y: neither one label"):
        submissions.make(sample("x", "y"), PREDICTED, metric="accuracy")


def test_a_solution_of_other_images_is_an_error() -> None:
    made = submissions.make(sample("label"), PREDICTED, metric="accuracy")
    for wrong in (
        SOLUTION[:2],
        pd.concat([SOLUTION, SOLUTION[:1]]),
        SOLUTION.replace("bee", "wasp"),
    ):
        with pytest.raises(UserError, match="the solution does not fit"):
            submissions.score(made, wrong, CLASSES, metric="accuracy")
    with pytest.raises(UserError, match="must have two columns, id and label, not id"):
        submissions.score(made, SOLUTION[["id"]], CLASSES, metric="accuracy")
