import copy
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import classification_report

from podium.scoring.task import Task
from podium.submission import report, target_tables, text_tables

SCORES: dict[str, Any] = {
    "metric": "accuracy",
    "ensemble": {"folds": {"0": 0.75, "1": 0.5}, "mean": 0.625, "std": 0.25, "oof": 0.6},
    "members": {
        "a": {"weight": 1.0, "folds": {"0": 0.5, "1": 0.5}, "mean": 0.5, "std": 0.0, "oof": 0.5},
    },
}
LETTERS = Task("multiclass", ["x", "y", "z"])
OOF = pd.DataFrame({"actual": list("xxxxyyz"), "predicted": list("xxxyyxx")})


def render(
    oof: pd.DataFrame,
    task: Task,
    test_scores: dict[str, float] | None = None,
    members: int = 1,
    noun: str = "image",
) -> str:
    scores = copy.deepcopy(SCORES)
    names = ["a", *(f"m{n:02d}" for n in range(1, members))]
    for number, name in enumerate(names):
        alone = {**scores["members"]["a"], "weight": 1 / members, "ensemble_without": number / 100}
        scores["members"][name] = {**alone, "all_folds": number > 0}
    correlations = {
        name: {other: 1.0 if name == other else 0.25 for other in names} for name in names
    }
    if members > 2:
        correlations["a"]["m01"] = None
    return report.render(
        scores,
        submission=Path("submissions/x.csv"),
        rows=9,
        seconds=dict.fromkeys(names, 12.3),
        test_scores=test_scores,
        oof=report.OofTable(oof, task, noun),
        correlations=correlations,
    )


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table rows that begin with the cell `first`."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return [row for row in cells if row and row[0] == first]


def test_models_and_ensemble_have_their_fold_scores_test_scores_and_seconds() -> None:
    text = render(OOF, LETTERS, {"a": 0.1234, "ensemble": 0.5})
    assert "trained on all folds" not in text
    assert "\n- Also trained on all folds, for the test images only: m01, m02\n" in render(
        OOF, LETTERS, members=3
    )
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


def test_each_member_has_its_weight_and_the_scores_alone_and_without_it() -> None:
    text = render(OOF, LETTERS, members=3)
    (header,) = [row for row in rows(text, "model") if "alone" in row]
    assert header == ["model", "weight", "alone", "ensemble without it"]
    assert ["m02", "0.3333", "0.5000", "0.0200"] in rows(text, "m02")
    assert ["**ensemble**", "", "0.6000", ""] in rows(text, "**ensemble**")
    matrix = [row for number in "123" for row in rows(text, number)]
    assert matrix == [
        ["1", "a", "1.00", "", "0.25"],
        ["2", "m01", "0.25", "1.00", "0.25"],
        ["3", "m02", "0.25", "0.25", "1.00"],
    ]


def test_one_member_is_not_compared_and_a_large_matrix_is_left_out() -> None:
    assert "without it" not in render(OOF, LETTERS) and "errors" not in render(OOF, LETTERS)
    dozen, more = (render(OOF, LETTERS, members=number) for number in (12, 13))
    assert rows(dozen, "12")[0][1] == "m11" and not rows(more, "12")
    assert "without it" in more
    width = max(len(line) for line in dozen.split("without it")[1].splitlines() if "|" in line)
    assert width < 110


def test_ids_with_several_images_are_not_called_images() -> None:
    numbers = [str(float(number)) for number in range(20)]
    values = pd.DataFrame({"id": numbers, "actual": numbers, "predicted": numbers})
    many = [f"c{n:02d}" for n in range(20)]
    wrong = pd.DataFrame({"actual": many, "predicted": [*many[1:], many[0]]})
    cases = [
        (OOF, LETTERS),
        (values, Task("regression", ["age"])),
        (wrong, Task("multiclass", many)),
    ]
    for oof, task in cases:
        found, of_ids = render(oof, task), render(oof, task, noun="id")
        assert "each image is predicted" in found and "each id is predicted" in of_ids
        assert "image" not in of_ids and "images" in found.split("##", 1)[1]
        assert re.search(r"\| +ids \|", of_ids)


def test_scores_and_errors_of_prices_are_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"folds": {"0": 407_601.5, "1": 12_345.6}, "mean": 209_973.55, "std": 5_000.4,
           "oof": 210_000.7}  # fmt: skip
    members = {"a": {**row, "weight": 1.0}}
    monkeypatch.setitem(SCORES, "ensemble", row)
    monkeypatch.setitem(SCORES, "members", members)
    actual = [1_000_000.0 * number for number in range(1, 11)]
    oof = pd.DataFrame({"id": [f"i{n}" for n in range(10)], "actual": actual, "predicted": actual})
    oof.loc[4, "predicted"] = 5_858_000.0
    text = render(oof.astype(str), Task("regression", ["price"]), {"a": 99_999.5, "ensemble": 1e5})
    (line,) = rows(text, "a")
    assert line[2:-1] == ["407,602", "12,346", "209,974 ± 5,000", "210,001", "100,000"]
    assert rows(text, "i4") == [["i4", "5,000,000", "5,858,000"]]
    assert rows(text, "1,000,000 to 2,000,000")[0][2] == "1,500,000"
    assert "e+" not in text and "**100,000**" in text
    names = report.confusion_rows(oof, Task("regression", ["price"]))["actual"]
    assert set(names) >= {"0: below 2,800,000", "4: from 8,200,000"}


def test_the_scores_of_targets_adapt_to_their_magnitude() -> None:
    def summary(scale: float) -> dict[str, Any]:
        targets = {"price": scale * 407_601.5, "color": scale * 0.91}
        return {"targets": {name: {"oof": oof, "metric": "m", "weight": 0.5}
                            for name, oof in targets.items()}}  # fmt: skip

    members = {"a": summary(1), "b": summary(0.5)}
    table = target_tables.scores({"members": members, "ensemble": summary(0.25)})
    assert [row[3:] for row in table[1:]] == [
        ["407,602", "203,801", "101,900"],
        ["0.9100", "0.4550", "0.2275"],
    ]
    aligned = text_tables.markdown([["model", "score"], ["a", "1,234 ± 5,678"], ["b", "-"]])
    assert "1,234 ± 5,678" in aligned and text_tables.markdown(table).count(": |") == 4
