"""Shortcuts and drift: features that predict a label or the test set without the content."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import test_faults
from planted_photos import described, photos

from podium.explore import drift, findings, shortcuts, univariate
from podium.explore.data import TEST
from podium.explore.image_stats import CELLS, STATISTICS
from podium.explore.shortcuts import Labels
from podium.scoring.task import Task

COUNT = 240
IMAGES = photos(COUNT, seed=1)
CLASSES = np.arange(COUNT) % 3
LABELS = Labels(["a", "b", "c"], np.eye(3)[CLASSES])
FOLDS = univariate.split(COUNT, np.random.default_rng(0))


def logo(pixels: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    marked = pixels.copy()
    cv2.putText(marked, "LOGO", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return marked


def regions(images: list[np.ndarray]) -> list[shortcuts.Shortcut]:
    return shortcuts.of_regions(described(images).stats.cells, LABELS, FOLDS)


@pytest.mark.parametrize(
    ("place", "words"),
    [((2, 14), "at the top left"), ((88, 92), "at the bottom right"), ((46, 52), "in the center")],
)
def test_a_watermark_on_one_class_is_found(place: tuple[int, int], words: str) -> None:
    images = [logo(i, place) if c == 1 else i for i, c in zip(IMAGES, CLASSES, strict=True)]
    (found,) = regions(images)
    assert found.label == "b" and found.auc > 0.8
    assert found.feature.endswith(words)


def test_a_frame_of_one_class_is_found() -> None:
    images = [image.copy() for image in IMAGES]
    for image, c in zip(images, CLASSES, strict=True):
        if c == 2:
            image[:14] = image[-14:] = 0
    (found,) = regions(images)
    assert found.label == "c"


def test_photos_without_a_watermark_have_none() -> None:
    assert regions(IMAGES) == []


def test_a_watermark_on_all_images_reveals_nothing() -> None:
    assert regions([logo(image, (88, 92)) for image in IMAGES]) == []


def test_objects_at_the_same_place_are_no_watermark() -> None:
    """Digits, for example: each class has its own region."""
    places = ((10, 30), (60, 60), (80, 85))
    assert regions([logo(i, places[c]) for i, c in zip(IMAGES, CLASSES, strict=True)]) == []


def random_cells(count: int, classes: int, seed: int) -> tuple[np.ndarray, Labels, np.ndarray]:
    """Cells and labels that are independent, and folds."""
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(count, CELLS, CELLS, len(STATISTICS)))
    values = np.eye(classes)[rng.integers(0, classes, count)]
    labels = Labels([str(c) for c in range(classes)], values).frequent()
    return cells, labels, univariate.split(count, rng)


@pytest.mark.parametrize(("count", "classes"), [(96, 8), (60, 3), (40, 2)])
def test_random_cells_and_facts_of_few_images_reveal_nothing(count: int, classes: int) -> None:
    differing = 0
    for seed in range(10):
        cells, labels, folds = random_cells(count, classes, seed)
        assert shortcuts.of_regions(cells, labels, folds) == []
        facts = {f"fact {n}": cells[:, 0, n % CELLS, n // CELLS] for n in range(40)}
        assert not any(s.is_reported for s in shortcuts.of_facts(facts, labels, folds))
        is_test = labels.values[:, 0] > 0
        found = drift.compare(facts, is_test, np.random.default_rng(seed))
        differing += any(difference.is_reported for difference in found)
    assert differing <= 1  # expected: 10 * 0.023


def test_a_region_of_a_binary_task_is_reported_once() -> None:
    cells, labels, folds = random_cells(250, 2, seed=0)
    assert len(labels.names) == 1
    cells[labels.values[:, 0] > 0, 7, 3, 2] += 1.7
    (found,) = shortcuts.of_regions(cells, labels, folds)
    assert found.cell == (7, 3) and 0.8 < found.auc < 0.9


def test_of_two_complementary_labels_the_rarer_one_is_kept() -> None:
    other = np.arange(COUNT) % 2
    values = np.stack([CLASSES != 0, CLASSES == 0, other], axis=1).astype(float)
    assert Labels(["not a", "a", "other"], values).frequent().names == ["other", "a"]


def test_facts_that_reveal_a_label_are_found_and_others_not() -> None:
    rng = np.random.default_rng(0)
    facts = {
        "width": np.where(CLASSES == 0, 640.0, 641.0),
        "file name order": np.argsort(np.argsort(CLASSES * 1000 + np.arange(COUNT))).astype(float),
        "file format": np.where((CLASSES == 2) & (rng.random(COUNT) < 0.95), "PNG", "JPEG"),
        "height": rng.integers(400, 500, COUNT).astype(float),
        "EXIF tags": np.zeros(COUNT),
        "brightness": CLASSES + 0.1 * rng.normal(size=COUNT),
    }
    found = shortcuts.of_facts(facts, LABELS, FOLDS, content=["brightness"])
    reported = {s.feature for s in found if s.is_reported}
    assert reported == {"width", "file name order", "file format"}
    by_name = {s.feature: s for s in found}
    assert by_name["width"].label == "a" and by_name["width"].auc == 1
    assert by_name["file format"].label == "c" and by_name["file format"].auc > 0.9
    assert by_name["brightness"].auc > 0.95 and "EXIF tags" not in by_name
    assert by_name["height"].auc < 0.62


def test_rare_labels_are_left_out() -> None:
    values = np.eye(2)[(np.arange(COUNT) < 5).astype(int)]
    assert Labels(["a", "b"], values).frequent().names == []


def test_darker_test_images_are_found_and_equal_ones_not() -> None:
    is_test = np.arange(COUNT) >= 160
    darker = [
        (image * 0.7).astype(np.uint8) if test else image
        for image, test in zip(IMAGES, is_test, strict=True)
    ]
    for images, expected in ((IMAGES, False), (darker, True)):
        seen = described(images)
        rng = np.random.default_rng(0)
        found = drift.measure(seen.features, is_test, groups=np.arange(COUNT), rng=rng)
        facts = {name: seen.stats.statistic(name) for name in ("brightness", "saturation")}
        differences = {d.name: d for d in drift.compare(facts, is_test, rng)}
        assert found is not None and differences["brightness"].is_reported == expected
        assert found.is_reported == expected
        if expected:
            assert found.test_like[is_test].mean() > 0.5 > found.test_like[~is_test].mean()


def test_columns_that_differ_are_found() -> None:
    rng = np.random.default_rng(0)
    is_test = np.arange(COUNT) >= 160
    facts = {
        "site": np.where(is_test & (rng.random(COUNT) < 0.7), "C", rng.choice(["A", "B"], COUNT)),
        "age": rng.normal(50, 10, COUNT),
    }
    assert [d.name for d in drift.compare(facts, is_test, rng) if d.is_reported] == ["site"]
    assert drift.compare(facts, np.zeros(COUNT, bool), rng) == []
    assert (
        drift.measure(np.eye(COUNT), np.zeros(COUNT, bool), groups=np.arange(COUNT), rng=rng)
        is None
    )


def test_images_of_an_id_and_near_duplicates_share_a_fold() -> None:
    units = ["a", "a", "b", "b", "c", "d", "e"]
    groups = findings.merged(units, np.array([-1, 0, 0, -1, -1, 1, 1]))
    assert [{*np.flatnonzero(groups == group)} for group in np.unique(groups)] == [
        {0, 1, 2, 3},
        {4},
        {5, 6},
    ]
    assert len({*findings.merged(units, np.full(7, -1))}) == 5


def test_many_images_of_a_few_ids_are_no_evidence() -> None:
    units = np.arange(COUNT) // 20
    is_test, rng = units % 4 == 0, np.random.default_rng(0)
    facts = {"brightness": 1.3 * is_test + rng.normal(size=COUNT)}
    (alone,) = drift.compare(facts, is_test, np.random.default_rng(0))
    (together,) = drift.compare(facts, is_test, np.random.default_rng(0), units)
    assert alone.is_reported and not together.is_reported
    labels = Labels(["a"], is_test[:, None].astype(float))
    number = {"file size": units * 7.0 + rng.random(COUNT)}
    folds = univariate.split(COUNT, np.random.default_rng(0))
    by_unit = univariate.split(COUNT, np.random.default_rng(0), units)
    (leaked,) = shortcuts.of_facts(number, labels, folds)
    (found,) = shortcuts.of_facts(number, labels, by_unit, weights=univariate.weights(units))
    assert leaked.is_reported and not found.is_reported


@pytest.mark.parametrize("kind", ["rows of an image", "rows of a group", "rows"])
def test_many_rows_of_a_few_images_or_groups_are_no_evidence(kind: str) -> None:
    """Each of 12 images, or groups, has the same age in its 30 rows."""
    images = np.repeat(np.arange(12), 30)
    is_test, rng = images >= 8, np.random.default_rng(0)
    names = images if kind == "rows of an image" else np.arange(len(images)) + 100
    groups = [f"patient {n}" if kind == "rows of a group" else "" for n in images]
    age = {"column age": rng.normal(50, 10, 12)[images]}
    parts = np.where(is_test, "test", "train")
    shared = pd.DataFrame({"part": parts, "id": names.astype(str), "group": groups, **age})
    ids = [str(n) for n in range(12)]
    made = test_faults.data(Task("multiclass", ["a", "b"]), ["a", "b"] * 4)
    made = replace(made, shared=shared, units=[*ids[:8], *(TEST + i for i in ids[8:])])
    found = findings._differences(made, np.arange(12), np.random.default_rng(0))
    (column,) = [difference for difference in found if difference.name == "column age"]
    assert column.is_reported == (column.auc > 0.9) == (kind == "rows")


def test_a_row_is_of_the_unit_of_its_image() -> None:
    ids = [str(n) for n in range(12)]
    units = [*(f"house {n // 2}" for n in range(8)), *(f"{TEST}house {n // 2}" for n in range(4))]
    made = test_faults.data(Task("multiclass", ["a", "b"]), ["a", "b"] * 4)
    rows = [("train", "3"), ("train", "house 1"), ("test", "9"), ("test", "house 1"), ("test", "x")]
    shared = pd.DataFrame(rows, columns=["part", "id"])
    made = replace(made, ids=ids, units=units, shared=shared.assign(group=["", "p", "", "", "p"]))
    assert made.units_of_rows() == ["house 1", "house 1", TEST + "house 0", TEST + "house 1",
                                    TEST + "x"]  # fmt: skip
    groups = findings.groups_of_rows(made, pd.factorize(np.array(units))[0])
    assert groups[0] == groups[1] and len({*groups}) == 4  # not across train and test


def test_duplicates_across_train_and_test_do_not_join_the_groups_of_columns() -> None:
    """Near-duplicates would join most sites to one group, of which nothing is predicted."""
    rng = np.random.default_rng(0)
    sites = np.arange(260) // 20  # 9 of training images, 4 of test images
    is_test, ids = sites >= 9, [str(n) for n in range(260)]
    parts = np.where(is_test, "test", "train")
    exposure = np.where(is_test, rng.normal(1600, 300, 260), rng.normal(1000, 300, 260))
    shared = pd.DataFrame({"part": parts, "id": ids, "group": sites.astype(str)})
    made = test_faults.data(Task("multiclass", ["a", "b"]), ["a", "b"] * 90)
    units = [TEST + name if test else name for name, test in zip(ids, is_test, strict=True)]
    made = replace(
        made, ids=ids, units=units, shared=shared.assign(**{"column exposure": exposure})
    )
    copies = np.arange(260)
    copies[180:260:10] = np.arange(0, 160, 20)  # of an image of eight sites each
    groups = findings.groups_of_rows(made, copies)
    assert len(np.unique(groups)) == 13
    (found,) = drift.compare({"exposure": exposure}, is_test, np.random.default_rng(0), groups)
    assert found.auc > 0.85 and found.verdict in ("yes", "unclear")
