"""Boxes, masks and several objects per image are recognized, not taken for classes."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from competitions import competition, csv
from layouts import inspect

from podium.core.errors import UserError
from podium.init import printout
from podium.init.guesses import Guess
from podium.init.other_jobs import are_boxes, are_masks

RNG = random.Random(0)
TRAIN = [f"{n:04d}" for n in range(36)]


def files(train: pd.DataFrame, target: str = "label", cell: str = "x") -> dict[str, bytes]:
    hidden = pd.DataFrame({"id": [f"{n:04d}" for n in range(36, 45)], target: cell})
    return {**competition(36, 9), "train.csv": csv(train), "sample_submission.csv": csv(hidden)}


def box() -> list[int]:
    return [RNG.randrange(1000) for _ in range(4)]


def text(*parts: object) -> str:
    return " ".join(map(str, parts))


def runs() -> str:
    start, parts = 1, list[int]()
    for _ in range(4):
        start += RNG.randrange(40)
        parts += [start, length := RNG.randrange(1, 9)]
        start += length
    return text(*parts)


def per_image(cell) -> list[str]:  # type: ignore[no-untyped-def]
    return [cell() for _ in TRAIN]


@pytest.mark.parametrize(
    ("column", "cells", "job"),
    [
        ("labels", per_image(lambda: text("U+306F", *box(), "U+304C", *box())), "object detection"),
        ("bbox", per_image(lambda: str([float(n) for n in box()])), "object detection"),
        ("annotations", per_image(lambda: str([dict(zip("xywh", box(), strict=True))])), "object"),
        ("objects", per_image(lambda: text(0, 0.5, *box(), 14, 0.75, *box())), "object detection"),
        ("boxes", [text(*box()) if n % 2 else "" for n in range(36)], "object detection"),
        ("mask", per_image(runs), "segmentation"),
        ("pixels", [runs() if n % 2 else "" for n in range(36)], "segmentation"),
    ],
)
def test_cells_of_boxes_or_masks(tmp_path: Path, column: str, cells: list[str], job: str) -> None:
    train = pd.DataFrame({"id": TRAIN, column: cells})
    with pytest.raises(UserError, match=f"train.csv: this is {job}.*{column}.*--label-column"):
        inspect(tmp_path, files(train, "labels"))


NAMES = [
    ["x", "y", "w", "h"],
    ["x", "y", "width", "height"],
    ["XMin", "YMin", "XMax", "YMax"],
    ["x_min", "y_min", "x_max", "y_max"],
    ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"],
    ["Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2"],
]


def with_boxes(names: list[str], repeat: int) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"id": image, **dict(zip(names, box(), strict=True)), "kind": "abc"[int(image) % 3]}
        for image in TRAIN
        for _ in range(repeat)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("names", NAMES)
def test_columns_of_boxes(tmp_path: Path, names: list[str]) -> None:
    train = with_boxes(names, repeat=2)
    with pytest.raises(UserError, match=rf"object detection \({names[0]}, .*72 for 36 images"):
        inspect(tmp_path, files(train))
    found = inspect(tmp_path, files(train), label_column="kind")
    assert found.layout.task == "multiclass" and found.tables.classes == ["a", "b", "c"]


def test_one_box_per_image_is_not_used(tmp_path: Path) -> None:
    found = inspect(tmp_path, files(with_boxes(NAMES[0], repeat=1), "kind", "a"))
    assert (found.layout.task, found.tables.classes) == ("multiclass", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("target", "job"),
    [
        ("PredictionString", "object detection"),
        ("EncodedPixels", "segmentation"),
        ("rle_mask", "segmentation"),
    ],
)
def test_what_is_submitted_tells_the_job(tmp_path: Path, target: str, job: str) -> None:
    train = pd.DataFrame({"id": TRAIN, "kind": ["a", "b"] * 18})
    with pytest.raises(UserError, match=f"{job}.*{target}"):
        inspect(tmp_path, files(train, target))


def test_one_row_per_label_is_several_labels(tmp_path: Path) -> None:
    names = ["red fox", "toad", "wasp"]
    pairs = [
        (image, names[(int(image) + k) % 3]) for image in TRAIN for k in range(1 + int(image) % 2)
    ]
    train = pd.DataFrame(pairs, columns=["id", "label"])
    found = inspect(tmp_path, files(train, cell="toad"))
    guess = found.guess("task")
    assert (guess.value, guess.confidence) == ("multilabel", "likely")
    assert "1.5 different ones per image" in guess.reason
    assert found.tables.classes == names
    assert found.tables.train["label"].tolist()[:2] == ["red fox", "toad|wasp"]


def test_lists_of_classes_are_neither() -> None:
    lists = [[str(RNG.randrange(28)) for _ in range(RNG.choice([2, 4]))] for _ in range(99)]
    assert not are_masks(lists) and not are_boxes(lists)
    four = [[str(RNG.randrange(28)) for _ in range(4)] for _ in range(99)]
    assert not are_masks(four) and not are_boxes(four)
    assert not are_masks([["haze", "primary"]] * 9)


def test_boxes_with_names_may_have_the_same_coordinates(tmp_path: Path) -> None:
    cells = [text("U+306F", n % 7, 50, 20, 20, "U+304B", 9, 8, 20, 20) for n in range(36)]
    train = pd.DataFrame({"id": TRAIN, "labels": cells})
    with pytest.raises(UserError, match=r"this is object detection \(labels lists boxes"):
        inspect(tmp_path, files(train, "labels", "U+306F 1 1 U+304B 2 2"))


def matching(prefix: str, other: int) -> dict[str, bytes]:
    """Products to match; each row of the sample submission lists itself and `other` rows."""
    products = [f"{prefix}{n:04d}" for n in range(45)]
    train = {
        "posting_id": products[:36],
        "image": TRAIN,
        "label_group": [n // 2 for n in range(36)],
    }
    tests = products[36:]
    lists = [" ".join([tests[n], *tests[:other]]) for n in range(9)]
    sample = pd.DataFrame({"posting_id": tests, "matches": lists})
    test = pd.DataFrame({"posting_id": tests, "image": [f"{n:04d}" for n in range(36, 45)]})
    return {
        **competition(36, 9),
        "train.csv": csv(pd.DataFrame(train)),
        "test.csv": csv(test),
        "sample_submission.csv": csv(sample),
    }


@pytest.mark.parametrize(("prefix", "other"), [("post_", 0), ("post_", 3), ("7", 2)])
def test_lists_of_test_ids_are_matching(tmp_path: Path, prefix: str, other: int) -> None:
    with pytest.raises(UserError, match=r"matching of images \(matches lists ids.*--label-column"):
        inspect(tmp_path, matching(prefix, other))
    found = inspect(tmp_path, matching(prefix, other), label_column="label_group")
    assert found.layout.prepare["label_column"] == "label_group"


def test_numbers_that_are_ids_by_chance_are_labels(tmp_path: Path) -> None:
    train = pd.DataFrame({"id": TRAIN, "level": [n % 5 for n in range(36)]})
    sample = pd.DataFrame({"id": [f"{n}" for n in range(36, 45)], "level": ["36"] * 9})
    found = inspect(tmp_path, {**files(train), "sample_submission.csv": csv(sample)})
    assert found.layout.prepare["label_column"] == "level"


def test_the_command_has_the_option_that_the_refusal_names() -> None:
    ids = Guess("prepare.id_column", "id", "likely", "identifies images")
    error = UserError("this is segmentation. If a column contains labels, name it: --label-column.")
    hint = printout.correction_hint(error, [ids], "a.zip")
    assert 'ARGS="--label-column VALUE"\nor --id-column' in hint
