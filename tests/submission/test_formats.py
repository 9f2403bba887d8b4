import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

IDS = ["2", "3", "1"]
BY_TASK: dict[str, tuple[list[str], list[list[float]]]] = {
    "binary": (["no", "yes"], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]),
    "multiclass": (["ant", "bee", "fly"], [[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.5, 0.2]]),
    "multilabel": (["ant", "bee", "fly"], [[0.9, 0.2, 0.8], [0.1, 0.2, 0.3], [0.3, 0.6, 0.2]]),
    "ordinal": (["0", "1", "2"], [[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.5, 0.2]]),
    "regression": (["age"], [[31.25], [4.5], [7.0]]),
}


def logits_of(task: str) -> np.ndarray:
    values = np.array(BY_TASK[task][1])
    if task == "multilabel":
        values = np.log(values / (1 - values))
    elif task != "regression":
        values = np.log(values)
    return values.astype(np.float32)


def fill(
    task: TaskName,
    metric: str,
    sample: dict[str, list[str]],
    thresholds: list[float] | None = None,
    **options: Any,
) -> str:
    """The rounded CSV of a submission like `sample`."""
    table = pd.DataFrame({"id": IDS, **sample})
    filled = write.fill(
        table,
        IDS,
        logits_of(task),
        task=Task(task, BY_TASK[task][0]),
        rule=DecisionRule(thresholds),
        metric=metrics.get(metric, task),
        options=Submission(**options),
    )
    return filled.round(4).to_csv(index=False)


@pytest.mark.parametrize(
    ("task", "metric", "sample", "expected"),
    [
        ("multiclass", "accuracy", {"label": ["ant"] * 3}, "label;ant;fly;bee"),
        ("multiclass", "accuracy", {"label": ["0", "1", "0"]}, "label;0;2;1"),
        ("multiclass", "accuracy", {"label": ["0", "0", "0"]}, "label;ant;fly;bee"),
        ("multiclass", "accuracy", {"label": [""] * 3}, "label;ant;fly;bee"),
        ("multiclass", "log_loss", {"fly": ["0"] * 3, "ant": ["0"] * 3, "bee": ["0"] * 3},
         "fly,ant,bee;0.1,0.6,0.3;0.7,0.1,0.2;0.2,0.3,0.5"),
        ("multiclass", "log_loss", {"label": [""] * 3},
         "ant,bee,fly;0.6,0.3,0.1;0.1,0.2,0.7;0.3,0.5,0.2"),
        ("multiclass", "map@2", {"label": ["ant bee fly"] * 3},
         "label;ant bee fly;fly bee ant;bee ant fly"),
        ("multiclass", "map@2", {"label": [""] * 3}, "label;ant bee;fly bee;bee ant"),
        ("multiclass", "accuracy", {"label": ["ant bee"] * 3}, "label;ant bee;fly bee;bee ant"),
        ("multiclass", "log_loss", {"label": ["ant", "bee", "ant"]}, "label;ant;fly;bee"),
        ("multiclass", "roc_auc", {"label": ["0", "1", "0"]}, "label;0;2;1"),
        ("multiclass", "map@3", {"label": ["ant"] * 3},
         "label;ant bee fly;fly bee ant;bee ant fly"),
        ("multiclass", "map@5", {"label": ["new|bee"] * 3}, "label;ant|bee;fly|bee;bee|ant"),
        ("multiclass", "gap", {"label": ["ant 0.5", "", "ant 0.9"]},
         "label;ant 0.600000;fly 0.700000;bee 0.500000"),
        ("binary", "roc_auc", {"target": ["0.5"] * 3}, "target;0.1;0.8;0.6"),
        ("binary", "roc_auc", {"target": ["0"] * 3}, "target;0.1;0.8;0.6"),
        ("binary", "roc_auc", {"no": ["0.5"] * 3}, "no;0.9;0.2;0.4"),
        ("binary", "roc_auc", {"yes": ["0.5"] * 3}, "yes;0.1;0.8;0.6"),
        ("binary", "roc_auc", {"target": ["no"] * 3}, "target;no;yes;yes"),
        ("multilabel", "samples_f1", {"labels": ["ant|bee"] * 3}, "labels;ant|fly;;bee"),
        ("binary", "accuracy", {"target": ["no"] * 3}, "target;no;yes;yes"),
        ("multilabel", "samples_f1", {"labels": ["ant"] * 3}, "labels;ant fly;;bee"),
        ("multilabel", "roc_auc", {"ant": ["0"] * 3, "bee": ["0"] * 3, "fly": ["0"] * 3},
         "ant,bee,fly;0.9,0.2,0.8;0.1,0.2,0.3;0.3,0.6,0.2"),
        ("multilabel", "macro_f1", {"ant": ["0"] * 3, "bee": ["0"] * 3, "fly": ["0"] * 3},
         "ant,bee,fly;1,0,1;0,0,0;0,1,0"),
        ("ordinal", "quadratic_weighted_kappa", {"grade": ["0"] * 3}, "grade;0;2;1"),
        ("ordinal", "rmse", {"grade": ["0"] * 3}, "grade;0.5;1.6;0.9"),
        ("regression", "rmse", {"age": ["0"] * 3}, "age;31.25;4.5;7.0"),
        ("regression", "quadratic_weighted_kappa", {"age": ["0"] * 3}, "age;31;4;7"),
    ],
)  # fmt: skip
def test_the_format_is_inferred_from_the_sample_the_task_and_the_metric(
    task: TaskName, metric: str, sample: dict[str, list[str]], expected: str
) -> None:
    header, *rows = expected.split(";")
    lines = [f"id,{header}", *(f"{i},{row}" for i, row in zip(IDS, rows, strict=True))]
    assert fill(task, metric, sample).replace('""', "").splitlines() == lines


@pytest.mark.parametrize(
    ("task", "cell", "hint"),
    [("binary", "no", "format: probability."), ("multiclass", "ant", "page.")],
)
def test_labels_for_a_metric_of_probabilities_come_with_a_warning(
    capsys: pytest.CaptureFixture[str], task: TaskName, cell: str, hint: str
) -> None:
    fill(task, "roc_auc", {"y": [cell] * 3})
    printed = capsys.readouterr().out
    assert "so labels are written, but the metric roc_auc scores probabilities" in printed
    assert printed.strip().endswith(hint)
    fill(task, "roc_auc", {"y": [cell] * 3}, format="label")
    fill(task, "accuracy", {"y": [cell] * 3})
    assert not capsys.readouterr().out


def test_tuned_thresholds_are_applied() -> None:
    binary = fill("binary", "macro_f1", {"y": ["no"] * 3}, [0.7])
    assert binary.splitlines()[1:] == ["2,no", "3,yes", "1,no"]
    ordinal = fill("ordinal", "quadratic_weighted_kappa", {"y": ["0"] * 3}, [0.3, 1.7])
    assert ordinal.splitlines()[1:] == ["2,1", "3,1", "1,1"]
    multilabel = fill("multilabel", "macro_f1", {"y": ["ant"] * 3}, [0.95, 0.1, 0.25])
    assert multilabel.splitlines()[1:] == ["2,bee fly", "3,bee fly", "1,bee"]


@pytest.mark.parametrize(
    ("task", "metric", "options", "expected"),
    [
        ("multiclass", "accuracy", {"format": "number"}, ["0", "2", "1"]),
        ("multiclass", "accuracy", {"format": "top_k", "top": 2, "separator": ";"},
         ["ant;bee", "fly;bee", "bee;ant"]),
        ("binary", "accuracy", {"format": "probability"}, ["0.1", "0.8", "0.6"]),
        ("ordinal", "quadratic_weighted_kappa", {"format": "value"}, ["0.5", "1.6", "0.9"]),
        ("multilabel", "map@3", {"format": "labels", "separator": "|"}, ["ant|fly", "", "bee"]),
    ],
)  # fmt: skip
def test_params_can_set_another_format(
    task: TaskName, metric: str, options: dict[str, object], expected: list[str]
) -> None:
    text = fill(task, metric, {"y": ["x"] * 3}, **options).replace('""', "")
    assert [line.split(",")[1] for line in text.splitlines()[1:]] == expected


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("regression", "label"),
        ("multiclass", "probability"),
        ("multiclass", "labels"),
        ("multilabel", "label"),
        ("binary", "value"),
    ],
)
def test_a_format_that_does_not_suit_the_task_is_an_error(task: TaskName, name: str) -> None:
    metric = metrics.get(None, task).name
    with pytest.raises(UserError, match=f"submission.format: {name} .*task: {task}"):
        fill(task, metric, {"y": ["x"] * 3}, format=name)


def test_a_sample_with_other_labels_than_class_names_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill("multiclass", "accuracy", {"label": ["0"] * 3})
    assert "submission.format: number" in capsys.readouterr().out
    fill("multiclass", "accuracy", {"label": ["ant"] * 3})
    fill("multiclass", "accuracy", {"label": ["0"] * 3}, format="label")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("task", "metric", "sample", "truth", "expected"),
    [
        ("multilabel", "samples_f1", {"y": ["ant"] * 3}, ["ant", "bee", "bee"],
         (2 / 3 + 0 + 1) / 3),
        ("multilabel", "macro_f1", {"ant": ["0"] * 3, "bee": ["0"] * 3, "fly": ["0"] * 3},
         ["ant fly", "", "bee"], 1.0),
        ("multiclass", "map@2", {"y": [""] * 3}, ["bee", "fly", "fly"], (1 / 2 + 1 + 0) / 3),
        ("multiclass", "accuracy", {"y": ["0", "1", "2"]}, ["ant", "fly", "fly"], 2 / 3),
        ("ordinal", "quadratic_weighted_kappa", {"y": ["0"] * 3}, ["0", "2", "1"], 1.0),
        ("ordinal", "mae", {"y": ["0"] * 3}, ["0", "2", "1"], (0.5 + 0.4 + 0.1) / 3),
        ("binary", "roc_auc", {"y": ["0.5"] * 3}, ["yes", "no", "yes"], 0.0),
        ("binary", "roc_auc", {"no": ["0.5"] * 3}, ["yes", "no", "yes"], 0.0),
        ("regression", "mae", {"age": ["0"] * 3}, ["30.25", "4.5", "8"], 2 / 3),
    ],
)  # fmt: skip
def test_every_format_is_scored_as_the_leaderboard_would(
    task: TaskName, metric: str, sample: dict[str, list[str]], truth: list[str], expected: float
) -> None:
    table = pd.DataFrame({"id": IDS, **sample})
    solution = pd.DataFrame({"id": IDS, "label": truth})
    assert score(task, metric, table, solution) == pytest.approx(expected, abs=1e-6)


def score(task: TaskName, metric_name: str, sample: pd.DataFrame, solution: pd.DataFrame) -> float:
    """The score of a submission like `sample`, read back as text."""
    spec, metric = Task(task, BY_TASK[task][0]), metrics.get(metric_name, task)
    filled = write.fill(
        sample,
        IDS,
        logits_of(task),
        task=spec,
        rule=DecisionRule(),
        metric=metric,
        options=Submission(),
    )
    detected = SubmissionFormat.detect(sample, spec, metric, Submission())
    return write.score(
        filled.astype(str), solution, spec, submission_format=detected, metric=metric
    )


def test_a_solution_can_have_one_column_per_class() -> None:
    sample = pd.DataFrame({"id": IDS, "ant": "0", "bee": "0", "fly": "0"})
    solution = pd.DataFrame({"id": IDS, "fly": list("101"), "bee": list("001"), "ant": list("100")})
    found = score("multilabel", "accuracy", sample, solution)
    assert found == pytest.approx(2 / 3)  # "ant fly" and none are correct, "bee" is not


@pytest.mark.parametrize(
    ("task", "metric", "cell", "expected"),
    [
        ("multilabel", "samples_f1", "['bee', 'ant']", ["['ant', 'fly']", "[]", "['bee']"]),
        ("multilabel", "samples_f1", '["ant"]', ['["ant", "fly"]', "[]", '["bee"]']),
        (
            "multiclass",
            "map@2",
            "['ant' 'fly']",
            ["['ant' 'bee']", "['fly' 'bee']", "['bee' 'ant']"],
        ),
    ],
)
def test_lists_in_brackets_are_written_and_read(
    task: TaskName, metric: str, cell: str, expected: list[str]
) -> None:
    filled = fill(task, metric, {"y": [cell] * 3})
    table = pd.read_csv(io.StringIO(filled), dtype=str)
    assert table["y"].tolist() == expected
    names = Task(task, BY_TASK[task][0])
    detected = SubmissionFormat.detect(table, names, metrics.get(metric, task), Submission())
    again = detected.read(names, table)
    assert (again > 0).sum() == sum(text.count("'") + text.count('"') for text in expected) / 2
    solution = pd.DataFrame({"id": IDS, "y": expected if task == "multilabel" else list("012")})
    if task == "multilabel":
        assert score(task, metric, table, solution) == 1


def test_a_number_between_levels_with_gaps_is_read_exactly() -> None:
    task = Task("ordinal", ["0", "1", "2", "4"])
    table = pd.DataFrame({"id": IDS, "y": ["3.2", "0.25", "9"]})
    detected = SubmissionFormat.detect(table, task, metrics.get("mae", "ordinal"), Submission())
    assert task.values(detected.read(task, table)).tolist() == pytest.approx([3.2, 0.25, 4])


def test_class_names_must_not_contain_the_separator() -> None:
    task = Task("multilabel", ["red fox", "toad"])
    table = pd.DataFrame({"id": IDS, "y": ["red fox|toad"] * 3})
    metric = metrics.get("samples_f1", "multilabel")
    assert SubmissionFormat.detect(table, task, metric, Submission()).lists.separator == "|"
    with pytest.raises(UserError, match=r"submission.separator: 1 .*' ' \(red fox\)"):
        SubmissionFormat.detect(table.assign(y="red fox"), task, metric, Submission())
