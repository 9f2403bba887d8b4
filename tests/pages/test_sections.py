"""What the sections of the report say, on predictions whose faults are known."""

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from matplotlib.figure import Figure

from podium.pages import charts, classes, document, mistakes, pictures, report_page, scores
from podium.pages.document import Section, Table, render
from podium.pages.outcome import Outcome
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import LABEL_SEPARATOR, Task

RNG = np.random.default_rng(0)
COUNT, NAMES = 400, ["a", "b", "c", "d"]


def outcome(flipped: np.ndarray | None = None, *, metric: str = "accuracy") -> Outcome:
    """Predictions that are sure of the true classes, with the labels of the rows `flipped`
    replaced by the next class.
    """
    rng = np.random.default_rng(1)
    true = np.arange(COUNT) % 4
    logits = rng.normal(0, 1, (COUNT, 4))
    logits[np.arange(COUNT), true] += 3.5
    targets = true.copy()
    if flipped is not None:
        targets[flipped] = (targets[flipped] + 1) % 4
    task = Task("multiclass", NAMES)
    probabilities = task.probabilities(logits)
    predicted = probabilities.argmax(axis=1)
    return Outcome(
        task=task,
        metric=metrics.get(metric, task.name),
        scores={},
        ids=[f"i{n}" for n in range(COUNT)],
        images=[[f"i{n}"] for n in range(COUNT)],
        folds=np.arange(COUNT) % 5,
        actual=[NAMES[i] for i in targets],
        targets=targets,
        predicted=[NAMES[i] for i in predicted],
        predicted_targets=predicted,
        probabilities=probabilities,
        rule=DecisionRule(),
        test_labels=["a"],
        test_probabilities=probabilities[:1],
    )


def test_flipped_labels_are_found() -> None:
    flipped = RNG.choice(COUNT, COUNT // 20, replace=False)
    found = mistakes.label_issues(outcome(flipped))
    right = len(set(found) & set(flipped.tolist()))
    assert right / len(found) >= 0.6 and right / len(flipped) >= 0.6


def test_flipped_labels_of_a_multilabel_task_are_found() -> None:
    targets = (RNG.random((300, 3)) < 0.4).astype(np.float32)
    flipped = RNG.choice(300, 15, replace=False)
    probabilities = np.clip(targets * 0.86 + 0.07 + RNG.normal(0, 0.03, targets.shape), 0.01, 0.99)
    targets[flipped, 0] = 1 - targets[flipped, 0]
    base = outcome()
    task = Task("multilabel", NAMES[:3])
    made = Outcome(**{**vars(base), "task": task, "targets": targets,
                      "probabilities": probabilities})  # fmt: skip
    found = mistakes.label_issues(made)
    assert len(set(found) & set(flipped.tolist())) >= 9 and len(found) <= 25


def test_a_label_of_every_image_does_not_stop_the_search_for_label_errors() -> None:
    base = outcome()
    task = Task("multilabel", ["all", "none"])
    made = Outcome(**{**vars(base), "task": task, "targets": np.tile([1.0, 0.0], (COUNT, 1)),
                      "probabilities": np.full((COUNT, 2), 0.5)})  # fmt: skip
    assert mistakes.label_issues(made) == []


def test_a_mistake_is_as_sure_as_the_predicted_class_is_likely() -> None:
    base = outcome()
    probabilities = np.tile([0.85, 0.15], (COUNT, 1))  # a threshold of 0.1 makes it positive
    probabilities[7] = [0.4, 0.6]
    made = Outcome(**{**vars(base), "task": Task("binary", ["no", "yes"]),
                      "actual": ["no"] * COUNT, "predicted": ["yes"] * COUNT,
                      "targets": np.zeros(COUNT, int), "predicted_targets": np.ones(COUNT, int),
                      "probabilities": probabilities})  # fmt: skip
    assert mistakes.confident(made)[0] == 7


def test_the_list_of_label_errors_says_what_it_leaves_out() -> None:
    made = outcome(RNG.choice(COUNT, 60, replace=False))
    section = mistakes.label_errors(made, Store())  # type: ignore[arg-type]
    count = len(mistakes.label_issues(made))
    cards = section.parts[0]
    assert cards.caption == f"24 of {count}, most suspicious first"  # type: ignore[union-attr]
    assert f"The label of {count} of 400 images disagrees" in section.text
    assert "own mistakes" not in section.text


def test_a_weak_model_judges_no_labels() -> None:
    made = outcome()
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), COUNT)
    predicted = probabilities.argmax(axis=1)
    weak = replace(made, probabilities=probabilities, predicted_targets=predicted,
                   predicted=[NAMES[c] for c in predicted])  # fmt: skip
    section = mistakes.label_errors(weak, Store())  # type: ignore[arg-type]
    assert "too weak to judge labels" in section.text and not section.parts
    assert "too weak" in render("title", [], [section])
    assert mistakes.discrimination(made) > 0.9


def test_ids_with_several_images_are_not_called_images() -> None:
    made = outcome(RNG.choice(COUNT, 60, replace=False))
    made = replace(made, images=[[f"{n}-0", f"{n}-1"] for n in range(COUNT)])
    table = classes.per_class(made).parts[-1]
    assert table.rows[0][1] == "ids"  # type: ignore[union-attr]
    assert "of 400 ids disagrees" in mistakes.label_errors(made, Store()).text  # type: ignore[arg-type]
    assert "in ids" in classes.confusion(made).parts[0].caption
    shares = classes.distribution(made).parts[0]
    assert ">share of ids<" in shares.svg and "test ids" in shares.svg  # type: ignore[union-attr]
    assert "on test ids" in shares.caption and "images" not in shares.caption


@pytest.mark.parametrize("tuned", [False, True])
def test_a_label_without_positives_has_no_f1_and_no_panel(tuned: bool) -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((COUNT, 3)) < [0.5, 0.3, 0.0]).astype(np.float32)
    probabilities = np.clip(targets * 0.8 + 0.1 + rng.normal(0, 0.05, targets.shape), 0, 1)
    labels = [LABEL_SEPARATOR.join(np.array(NAMES[:3])[row > 0]) for row in targets]
    rule = DecisionRule(thresholds=[0.4, 0.5, 0.5]) if tuned else DecisionRule()
    made = replace(outcome(), task=Task("multilabel", NAMES[:3]), targets=targets, rule=rule,
                   predicted_targets=(probabilities > 0.5).astype(np.float32), actual=labels,
                   predicted=labels, probabilities=probabilities)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart, table = classes.per_class(made).parts
        panels = classes.thresholds(made).parts[0]
    rows = {row[0]: row[1:] for row in table.rows}  # type: ignore[union-attr]
    assert rows["c"] == ["0", *["\N{EN DASH}"] * 3] and table.rows[-1][0] == "c"  # type: ignore[union-attr]
    assert ">c<" not in panels.svg and ">b<" in panels.svg  # type: ignore[union-attr]
    assert ">c<" not in chart.svg  # type: ignore[union-attr]
    assert panels.caption.endswith("tuned on these images." if tuned else "0.5, not tuned.")


def test_names_of_classes_with_equal_scores_are_not_printed_over_each_other() -> None:
    names = [f"class {n}" for n in range(4)]
    targets = np.arange(COUNT) % 4
    made = replace(outcome(), task=Task("multiclass", names), targets=targets,
                   predicted_targets=targets)  # fmt: skip
    svg = str(classes.per_class(made).parts[0].svg)  # type: ignore[union-attr]
    assert svg.count(">class ") == 1 and ">99.8<" not in svg and ">100<" in svg


def test_the_mistakes_name_the_model_of_their_heat_maps_and_the_prediction() -> None:
    made = outcome(np.arange(40))
    section = mistakes.mistakes(made, Store(), {}, "The heat maps are those of m.")  # type: ignore[arg-type]
    assert "those of m." in section.text and "their labels" not in section.text
    for card in section.parts[0].cards:  # type: ignore[union-attr]
        assert card.lines[0].startswith("actual: ") and card.lines[1].startswith("predicted: ")


@pytest.mark.parametrize("weight", [None, 0.0, 0.4])
def test_the_model_of_the_heat_maps_is_named(
    weight: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fine-tuned model with the highest weight."""
    weights = {"probe": 0.6, **({} if weight is None else {"tuned": weight, "other": 0.0})}
    members = {name: {"weight": value, "folds": {"0": 1}} for name, value in weights.items()}
    made = replace(outcome(np.arange(40)), scores={"members": members}, folds=np.zeros(COUNT, int))
    heat = np.zeros((8, 8, 3), np.uint8), np.ones((2, 2))

    class Explainer:
        def __init__(self, path: Path) -> None:
            assert "tuned" in str(path)
            self.codec = SimpleNamespace(task=made.task)

        def explain(self, _: object, images: list[str], *__: object) -> tuple[list, list]:
            return [heat[0]] * len(images), [heat[1]] * len(images)

    monkeypatch.setattr(report_page, "Explainer", Explainer)
    metrics_of = {"probe": {}, "tuned": {"epoch": 3}, "other": {"epoch": 3}}
    monkeypatch.setattr(
        report_page.files,
        "read_json",
        lambda path: next(value for name, value in metrics_of.items() if name in str(path)),
    )
    heats, text = report_page._heats(made, Store(), 24)  # type: ignore[arg-type]
    assert bool(heats) == (weight is not None)
    assert ("no model was fine-tuned" in text) == (weight is None)
    assert ("whose weight in the ensemble is 0" in text) == (weight == 0)


def test_the_surest_mistakes_come_first() -> None:
    made = outcome(np.arange(40))
    rows = mistakes.confident(made)
    assert len(rows) == mistakes.MISTAKES and all(made.wrong[row] for row in rows)
    sureness = made.confidence[rows]
    assert (np.diff(sureness) <= 0).all() and sureness[0] == made.confidence[made.wrong].max()


class Store:
    """Gray images, as bright as their name's length."""

    def decode(self, image: str) -> np.ndarray:
        return np.full((8, 8, 3), 40 * len(image), np.uint8)


def test_a_mistake_shows_all_images_of_its_id_each_with_its_heat_map() -> None:
    base = outcome(np.arange(40))
    made = replace(base, images=[[f"i{n}-{side}" for side in "ab"] for n in range(COUNT)])
    first, second = mistakes.confident(made)[:2]
    heat = np.zeros((8, 8, 3), np.uint8), np.ones((2, 2))
    section = mistakes.mistakes(made, Store(), {first: [heat, heat]})  # type: ignore[arg-type]
    cards = section.parts[0].cards  # type: ignore[union-attr]
    names = [[name for _, name in card.pictures] for card in cards[:2]]
    a, b = made.images[first]
    assert names == [[a, f"{a}, heat map", b, f"{b}, heat map"], made.images[second]]
    assert len({source for source, _ in cards[0].pictures}) == 2  # the image, and its heat map
    many = replace(made, images=[[str(n)] * 9 for n in range(COUNT)])
    card = mistakes.mistakes(many, Store(), {}).parts[0].cards[0]  # type: ignore[arg-type,union-attr]
    assert len(card.pictures) == pictures.MAX_IMAGES and "4 of its 9 images" in card.lines


def test_the_heat_of_a_missing_label_is_that_of_the_most_likely_one() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.9, 0.7, 0.2]])
    targets = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    task = Task("multilabel", NAMES[:3])
    made = replace(outcome(), task=task, targets=targets, probabilities=probabilities)
    assert report_page._explained_class(made, 0, 3) == 0  # the third is missing
    assert report_page._explained_class(made, 1, 3) == 0  # which is wrong


def test_sections_of_a_group_are_together_in_the_menu_and_have_its_name() -> None:
    parts = [Table([["a"], ["b"]])]
    sections = [Section("Scores", parts)]
    sections += [Section(title, parts, group="50 % & more") for title in ("Classes", "Empty")]
    sections[2] = replace(sections[2], parts=[])
    page = render("title", [], sections)
    assert "<h2>50 % &amp; more: Classes</h2>" in page and "Empty" not in page
    link = "50-%25-%26-more%3A-classes"  # a browser decodes it to the id
    assert f'<b>50 % &amp; more</b><a href="#{link}">Classes</a>' in page
    assert 'id="50-%-&amp;-more:-classes"' in page


def test_nouns_agree_with_their_numbers() -> None:
    assert [document.counted(n, "image") for n in (0, 1, 1200)] == [
        "0 images", "1 image", "1,200 images"]  # fmt: skip


def test_the_interval_of_accuracy_is_that_of_a_proportion() -> None:
    made = outcome()
    low, high = scores.interval(made) or (0.0, 0.0)
    accuracy = 1 - made.wrong.mean()
    deviation = (accuracy * (1 - accuracy) / COUNT) ** 0.5
    assert low < accuracy < high
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.2)


def test_the_interval_of_a_perfect_accuracy_is_not_a_point() -> None:
    made = outcome()
    made = replace(made, predicted_targets=made.targets, predicted=made.actual)
    low, high = scores.interval(made) or (1.0, 1.0)
    assert (low, high) == (pytest.approx(1 - 3.8415 / (COUNT + 3.8415), abs=1e-4), 1.0)
    assert scores.interval(replace(made, metric=metrics.get("macro_f1", "multiclass"))) is None


def test_a_metric_that_is_undefined_on_a_sample_has_no_interval() -> None:
    made = outcome(metric="log_loss")
    assert scores.interval(made) is not None
    rounded = Outcome(**{**vars(made), "task": Task("regression", ["y"])})
    by_labels = Outcome(**{**vars(rounded), "metric": metrics.get("accuracy", "multiclass")})
    assert scores.interval(by_labels) is None
    alike = Outcome(**{**vars(made), "task": Task("binary", ["a", "b"]),
                       "metric": metrics.get("roc_auc", "binary"),
                       "targets": (np.arange(COUNT) == 0).astype(int),
                       "probabilities": made.probabilities[:, :2]})  # fmt: skip
    assert scores.interval(alike) is None


def test_a_single_model_has_one_row() -> None:
    row = {"folds": {"0": 0.9, "1": 0.8}, "oof": 0.85, "mean": 0.85, "std": 0.05}
    summary = {"members": {"m": {**row, "weight": 1.0}}, "ensemble": row}
    made = replace(outcome(), scores=summary)
    table = scores.members(made, {"m": None, "ensemble": None}, {}).parts[1]
    assert [cells[0] for cells in table.rows[1:]] == ["m"]  # type: ignore[union-attr]
    better = replace(made, scores={**summary, "ensemble": {**row, "oof": 0.86}})  # tuned
    table = scores.members(better, {"m": None, "ensemble": None}, {}).parts[1]
    assert [cells[0] for cells in table.rows[1:]] == ["m", "ensemble"]  # type: ignore[union-attr]


def test_expected_calibration_error() -> None:
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 10 + [True] * 4 + [False] * 6)
    error = classes.expected_calibration_error(confidence, right)
    assert error == pytest.approx((0.05 + 0.15) / 2)
    assert classes.expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0


@pytest.mark.slow
def test_the_page_of_a_project_shows_all_its_parts(finished_project: Project) -> None:
    page = (finished_project.folder / "reports/report.html").read_text()
    assert len(page) < 8_000_000 and "<script" not in page and 'src="http' not in page
    for title in ("Scores", "Confusion matrix", "Most confident mistakes", "Calibration",
                  "Classes", "Predicted classes", "Learning curves"):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    assert "out of fold" in page
    assert "weights and thresholds that are fitted to the other folds" in page
    assert "weights in the table are those of the submission, fitted to all folds" in page
    assert ", heat map" not in page  # 32 pixels leave a single cell
    assert "There are no heat maps: no layer of " in page


@pytest.mark.slow
def test_each_member_has_an_interval_around_its_score(finished_project: Project) -> None:
    page = (finished_project.folder / "reports/report.html").read_text()
    scored = json.loads(finished_project.read("metrics/ensemble.json"))
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in page.split("<tr>")]
    found = {row[0]: row[2:4] for row in rows if len(row) > 3 and " to " in row[3]}
    assert found.keys() == {*scored["members"], "ensemble"}
    for name, (oof, between) in found.items():
        low, high = map(float, between.split(" to "))
        row = scored["ensemble"] if name == "ensemble" else scored["members"][name]
        assert low <= float(oof) <= high and float(oof) == round(row["oof"], 4)
    assert len({between for _, between in found.values()}) > 1


@pytest.mark.slow
def test_a_new_public_score_writes_the_page_again_and_nothing_else(
    finished_project: Project, tmp_path: Path
) -> None:
    project = finished_project.copy(tmp_path / "project")
    row = "time,competition,file,sha256,commit,params,metric,oof,public,message,ref,status\n"
    row += "2026-01-01,shapes,s.csv,0,0,0,accuracy,0.91,0.87,m,1,COMPLETE\n"
    history = project.folder / "submissions/history.csv"
    history.write_text(row)
    assert project.repro() == {"page"}
    page = (project.folder / "reports/report.html").read_text()
    assert "<h2>Leaderboard</h2>" in page


@pytest.mark.parametrize(("epochs", "marker"), [(1, "o"), (3, "None")])
def test_learning_curves_of_one_epoch_are_dots(
    epochs: int, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = list[Figure]()
    written = charts.svg
    monkeypatch.setattr(
        charts, "svg", lambda made, label: figures.append(made) or written(made, label)
    )
    numbers = np.arange(1, epochs + 1)
    table = pd.DataFrame(
        {"epoch": numbers, "train_loss": 1 / numbers, "valid_loss": 2 / numbers, "score": 0.5}
    )
    section = scores.learning_curves({"m": {"fold 0": scores.Curves(table, 1)}}, "accuracy")
    assert ("One epoch" in section.parts[0].caption) == (epochs == 1)
    assert [line.get_marker() for line in figures[0].axes[0].lines] == [marker] * 2
