"""What the sections on findings say."""

import numpy as np
import pandas as pd
import pytest
from planted_photos import Store, described, photos

from podium.explore import data_page, faults, overview
from podium.explore.data import Data
from podium.explore.findings import Findings
from podium.explore.label_errors import Issue, Issues
from podium.pages.document import Cards, Section
from podium.scoring.task import Task

COUNT = 12
IMAGES = photos(COUNT, size=(40, 40))


def data(task: Task, labels: list[str], *, units: list[str] | None = None) -> Data:
    ids = [str(n) for n in range(COUNT)]
    return Data(
        task=task,
        targets=["shape", "color"] if task.name == "multilabel" else [],
        ids=ids,
        labels=labels,
        folds=np.arange(COUNT) % 3,
        groups=None,
        units=units or ids,
        duplicates=pd.DataFrame(),
        files=None,
        shared=pd.DataFrame({"part": ["train"] * COUNT}),
        described=described(IMAGES),
        trained=False,
        store=Store(IMAGES),  # type: ignore[arg-type]
    )


def findings(issues: list[Issue], suspicious: int) -> Findings:
    neighbors = [[n for n in range(COUNT) if n != issue.row] for issue in issues]
    found = Issues(issues, suspicious, neighbors)
    return Findings([], np.full(COUNT, -1), found, None, [], [], [], np.arange(COUNT))


def lines(section: Section) -> list[list[str]]:
    (cards,) = section.parts
    assert isinstance(cards, Cards)
    return [card.lines for card in cards.cards]


def test_the_number_of_neighbors_is_that_of_the_others() -> None:
    made = data(Task("multiclass", ["cat", "dog"]), ["cat", "dog"] * 6)
    section = faults.label_errors(made, findings([Issue(0, 0.1, "dog", 3)], 1))
    assert "disagrees with the 11 nearest images" in section.text
    assert lines(section)[0][2] == "3 of its 11 nearest images are labeled cat"


def test_the_headline_says_how_many_are_not_listed() -> None:
    made = data(Task("multiclass", ["cat", "dog"]), ["cat", "dog"] * 6)
    found = findings([Issue(0, 0.1, "dog", 3)], 8)
    text = faults.label_errors(made, found).text
    assert "labels of 8 images disagree" in text
    assert (
        "Only the 1 most suspicious are listed (at most 5% of the images), not the other 7" in text
    )
    assert "likely label errors: 1 (the most suspicious of 8)" in data_page.summary(made, found)


def test_an_id_has_one_card_and_large_numbers_are_written_alike() -> None:
    units = [f"house {n // 4}" for n in range(COUNT)]
    labels = [str(1_000_000.0 * (n // 4 + 1)) for n in range(COUNT)]
    made = data(Task("regression", ["price"]), labels, units=units)
    issues = [Issue(row, 0.1, "5858000", 0) for row in (0, 1, 2, 3, 9)]
    found = findings(issues, 5)
    section = faults.label_errors(made, found)
    assert "The label of 2 ids disagrees" in section.text
    first, second = lines(section)
    assert first[:2] == ["given: 1,000,000", "suggested: 5,858,000"]
    assert second[0] == "given: 3,000,000"
    assert "likely label errors: 5 (images of 2 ids)" in data_page.summary(made, found)
    (cards,) = faults.label_errors(made, found).parts
    assert cards.caption == ""


@pytest.mark.parametrize("per_unit", [1, 2])
def test_the_caption_counts_what_the_cards_show(
    per_unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "ISSUES", 2)
    units = [f"unit {n // per_unit}" for n in range(COUNT)]
    made = data(Task("multiclass", ["cat", "dog"]), ["cat", "cat", "dog", "dog"] * 3, units=units)
    found = findings([Issue(row, 0.1, "dog", 3) for row in range(8)], 9)
    (cards,) = faults.label_errors(made, found).parts
    assert cards.caption == f"2 of {['8 images', '4 ids'][per_unit - 1]}, most likely first"


def test_numbers_of_ids_with_several_images_count_once() -> None:
    units = [f"house {n // 4}" for n in range(COUNT)]
    labels = [str(100.0 * (1 + n // 4)) for n in range(COUNT)]
    for given, noun, cards in ((units, "ids", 3), (None, "images", 8)):
        made = data(Task("regression", ["price"]), labels, units=given)
        chart, row = overview.classes(made).parts
        assert f">{noun}<" in chart.svg
        names = [card.pictures[0][1] for card in row.cards]
        assert len(names) == len(set(names)) == cards  # each image once
        page = data_page.html(made, findings([], 0), "houses", None)
        counts = "of 3 ids, regression" if given else "regression"
        assert f"<dd>{COUNT}<small>{counts}</small>" in page


@pytest.mark.parametrize(
    ("suggestion", "shown"),
    [("with shape: round", "shape: round"), ("without shape: round", "not shape: round")],
)
def test_the_suggestion_for_one_of_several_targets(suggestion: str, shown: str) -> None:
    made = data(Task("multilabel", ["shape: round", "color: red"]), ["color: red"] * COUNT)
    section = faults.label_errors(made, findings([Issue(0, 0.1, suggestion, 3)], 1))
    assert lines(section)[0][1] == f"suggested: {shown}"


def test_a_section_without_findings_is_a_sentence() -> None:
    made = data(Task("multiclass", ["cat", "dog"]), ["cat", "dog"] * 6)
    for section in (faults.label_errors, faults.near_duplicates):
        found = section(made, findings([], 0))
        assert not found.parts
        assert found.text.endswith(("None were found.", "on the image."))
