from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import classification_report

from podium.scoring.task import Task
from podium.submission import report

SCORES = {
    "metric": "accuracy",
    "ensemble": {"folds": {"0": 0.75, "1": 0.5}, "mean": 0.625, "std": 0.25, "oof": 0.6},
    "members": {
        "a": {"weight": 1.0, "folds": {"0": 0.5, "1": 0.5}, "mean": 0.5, "std": 0.0, "oof": 0.5},
    },
}
LETTERS = Task("multiclass", ["x", "y", "z"])
OOF = pd.DataFrame({"actual": list("xxxxyyz"), "predicted": list("xxxyyxx")})


def render(oof: pd.DataFrame, task: Task, test_scores: dict[str, float] | None = None) -> str:
    return report.render(
        SCORES,
        submission=Path("submissions/x.csv"),
        rows=9,
        seconds={"a": 12.3},
        test_scores=test_scores,
        oof=oof,
        task=task,
    )


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table rows that begin with the cell `first`."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return [row for row in cells if row and row[0] == first]


def test_models_and_ensemble_have_their_fold_scores_test_scores_and_seconds() -> None:
    text = render(OOF, LETTERS, {"a": 0.1234, "ensemble": 0.5})
    (row,) = rows(text, "a")
    assert row == ["a", "1.000", "0.5000", "0.5000", "0.5000 ± 0.0000", "0.5000", "0.1234", "12"]
    assert rows(text, "**ensemble**")[0][-2:] == ["0.5000", "12"]
    assert "**0.5000**" in text
    without = render(OOF, LETTERS)
    assert "**0.5000**" not in without and "0.1234" not in without


def test_the_positive_class_of_a_binary_task_is_printed() -> None:
    task = Task("binary", ["x", "y"])
    assert "positive class: y" in render(OOF[OOF["actual"] != "z"], task)
    assert "positive" not in render(OOF, LETTERS)


def test_each_class_has_scikit_learns_precision_recall_and_f1() -> None:
    text = render(OOF, LETTERS)
    expected = classification_report(
        OOF["actual"], OOF["predicted"], output_dict=True, zero_division=0.0
    )
    for name in "xyz":
        scores, row = expected[name], rows(text, name)[0]
        assert int(row[1]) == scores["support"]
        assert [float(cell) for cell in row[2:]] == pytest.approx(
            [scores["precision"], scores["recall"], scores["f1-score"]], abs=1e-4
        )
    assert float(rows(text, "**mean**")[0][-1]) == pytest.approx(
        expected["macro avg"]["f1-score"], abs=1e-4
    )


def test_the_mean_is_over_the_classes_that_occur() -> None:
    oof = pd.DataFrame({"actual": list("xxyy"), "predicted": list("xxyy")})
    assert rows(render(oof, LETTERS), "**mean**")[0][2:] == ["1.0000"] * 3


def test_few_classes_have_a_confusion_matrix() -> None:
    text = render(OOF, LETTERS)
    assert [rows(text, name)[1] for name in "xyz"] == [
        ["x", "3", "1", "0"],
        ["y", "1", "1", "0"],
        ["z", "1", "0", "0"],
    ]


def test_many_classes_have_a_list_of_the_most_frequent_mistakes() -> None:
    classes = [f"c{n:02d}" for n in range(20)]
    oof = pd.DataFrame(
        {
            "actual": ["c02"] * 3 + ["c01"] * 5 + classes,
            "predicted": ["c01"] * 3 + ["c03"] * 5 + classes,
        }
    )
    _, mistakes = render(oof, Task("multiclass", classes)).split("actual", 1)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in mistakes.splitlines()]
    assert cells[-2:] == [["c01", "c03", "5"], ["c02", "c01", "3"]]


def test_numbers_are_confused_by_range() -> None:
    numbers = [str(float(number)) for number in range(10)]
    oof = pd.DataFrame({"id": numbers, "actual": numbers, "predicted": ["99", *numbers[:-1]]})
    table = report.confusion_rows(oof, Task("regression", ["age"]))
    assert table["actual"].value_counts().tolist() == [2] * 5
    assert table["predicted"].tolist()[:2] == ["4: from 7.2", "0: below 1.8"]
    assert report.confusion_rows(oof, Task("multiclass", numbers)) is oof


def test_several_labels_are_confused_one_by_one() -> None:
    oof = pd.DataFrame(
        {"id": list("1234"), "actual": ["x|y", "", "y", ""], "predicted": ["x", "x", "y", ""]}
    )
    table = report.confusion_rows(oof, Task("multilabel", ["x", "y"]))
    assert table.to_numpy().tolist() == [
        ["1", "x", "x"],
        ["1", "y", "(none)"],
        ["2", "(none)", "x"],
        ["3", "y", "y"],
    ]


def test_several_labels_have_precision_recall_and_f1_each() -> None:
    oof = pd.DataFrame(
        {"id": list("123"), "actual": ["x|y", "", "y"], "predicted": ["x", "x", "y"]}
    )
    text = render(oof, Task("multilabel", ["x", "y"]))
    assert rows(text, "x") == [["x", "1", "0.5000", "1.0000", "0.6667"]]
    assert rows(text, "y") == [["y", "2", "1.0000", "0.5000", "0.6667"]]


def test_numbers_have_their_errors_by_range_and_the_largest() -> None:
    actual = [float(number) for number in range(20)]
    predicted = [number + (9 if number == 7 else 1) for number in actual]
    oof = pd.DataFrame(
        {"id": [f"i{n}" for n in range(20)], "actual": actual, "predicted": predicted}
    )
    text = render(oof.astype(str), Task("regression", ["age"]))
    assert rows(text, "all")[0] == ["all", "20", "9.5", "10.9", "1.4", "2.236"]
    assert rows(text, "4 to 7")[0][:4] == ["4 to 7", "4", "5.5", "8.5"]
    assert rows(text, "i7")[0] == ["i7", "7", "16"]
