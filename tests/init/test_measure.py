"""What `make init` measures before it writes params.yaml."""

from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest

from podium.competition.archive import Archive
from podium.config.embeddings import Embedding
from podium.dataset.tables import Tables
from podium.init import measure
from podium.init.measured import Kind, Measured, Row
from podium.scoring.task import Task

PREPARE: dict[str, Any] = {"train_images": "train", "test_images": "test"}
BACKBONE = Embedding(architecture="test_resnet", pretrained=False, image_size=32)
IMAGES = 90


def wide(label: str, rng: np.random.Generator) -> np.ndarray:
    """An image whose label is visible at its left end only: uint8 [32, 128, 3]."""
    pixels = rng.integers(0, 60, (32, 128, 3))
    stripe = {"a": np.s_[:16, :40], "b": np.s_[16:, :40]}[label]
    pixels[stripe] += 190
    return pixels.astype(np.uint8)


def run(
    folder: Path, pictures: dict[str, np.ndarray], labels: list[str], **options: Any
) -> Measured | None:
    files = {f"train/{name}.png": competitions.encode(p) for name, p in pictures.items()}
    path = competitions.write_zip(folder / "x.zip", files)
    train = pd.DataFrame({"id": [*pictures], "label": labels})
    classes = sorted(set(labels))
    tables = Tables(train, pd.DataFrame({"id": ["t1", "t2"]}), pd.DataFrame(), classes)
    kind = "binary" if len(classes) == 2 else "multiclass"
    task = Task(kind, classes)
    with (
        Archive(path) as archive,
        measure.excerpt(archive, PREPARE, tables, task, image_size=BACKBONE.image_size) as few,
    ):
        return measure.compare(few, BACKBONE, **options) if few.is_comparable else None


def wide_competition(folder: Path, **options: Any) -> Measured | None:
    rng = np.random.default_rng(0)
    labels = ["a" if rng.random() < 0.5 else "b" for _ in range(IMAGES)]
    pictures = {f"i{n:03d}": wide(label, rng) for n, label in enumerate(labels)}
    return run(folder, pictures, labels, **options)


def losses_of(monkeypatch: pytest.MonkeyPatch, losses: dict[str, float]) -> list[str]:
    """Let each image size take its square in minutes, and these features have these losses; the
    rest 0.5. Returns the names of all that are measured.
    """
    measured = list[str]()

    def row(trial: measure._Trial, *kinds: Kind) -> Row:
        trial.minutes.update({kind: (kind.image_size / 32) ** 2 for kind in kinds})
        measured.append(" ".join(kind.name for kind in kinds))
        return Row(kinds, losses.get(measured[-1], 0.5), sum(trial.minutes[k] for k in kinds))

    monkeypatch.setattr(measure._Trial, "row", row)
    return measured


def test_it_does_not_crop_where_the_label_is_at_the_edge(tmp_path: Path) -> None:
    result = wide_competition(tmp_path)
    assert result is not None and result.images == IMAGES
    losses = {row.kinds: row.loss for row in result.rows}
    crop, squash, pad = (losses[(Kind(m, 32),)] for m in ("crop", "squash", "pad"))
    assert crop > 0.6 > 2 * min(squash, pad)  # of chance: 0.69
    assert result.resize_mode in ("squash", "pad")
    assert result.features != (Kind("crop", 32),)


def test_features_that_take_too_long_are_not_chosen(tmp_path: Path) -> None:
    result = wide_competition(tmp_path, max_minutes=0.0)
    assert result is not None and result.features == (Kind(result.resize_mode, 32),)


def test_square_images_have_one_resize_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses_of(monkeypatch, {"crop-64": 0.4})
    rng = np.random.default_rng(0)
    labels = [competitions.CLASSES[n % 3] for n in range(IMAGES)]
    pictures = {
        f"i{n}": competitions.picture(label, rng, (40, 40)) for n, label in enumerate(labels)
    }
    result = run(tmp_path, pictures, labels, max_minutes=10.0)
    assert result is not None
    kinds = [row.kinds for row in result.rows]
    assert kinds[:2] == [(Kind("crop", 32),), (Kind("crop", 64),)]
    assert {kind.resize_mode for row in kinds for kind in row} == {"crop"}


def test_tiny_images_are_enlarged_as_far_as_it_is_a_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    labels = [competitions.CLASSES[n % 3] for n in range(IMAGES)]
    pictures = {f"i{n}": competitions.picture(k, rng, (40, 40)) for n, k in enumerate(labels)}
    losses = {32: 0.5, 64: 0.6, 96: 0.4, 128: 0.39, 192: 0.41}
    monkeypatch.setattr(
        measure._Trial, "row", lambda _, *kinds: Row(kinds, losses[kinds[0].image_size], 0.01)
    )
    monkeypatch.setattr(measure._Trial, "_expected_minutes", lambda *_: 1e9)  # none is added
    result = run(tmp_path, pictures, labels, max_minutes=10.0)
    assert result is not None and [row.loss for row in result.rows] == [*losses.values()]
    assert result.image_size == 96 and result.features == (Kind("crop", 96),)
    larger = {
        name: np.kron(image, np.ones((2, 2, 1), np.uint8)) for name, image in pictures.items()
    }
    result = run(tmp_path, larger, labels)  # 80 pixels
    assert result is not None and result.image_size is None


def test_features_are_added_by_what_they_contribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {"squash-32": 0.4, "squash-64": 0.3}
    losses |= {"squash-64 squash-32": 0.25, "squash-64 pad-64": 0.2, "squash-64 crop-32": 0.28}
    losses |= {"squash-64 pad-64 crop-32": 0.15, "squash-64 pad-64 crop-32 pad-32": 0.149}
    measured = losses_of(monkeypatch, losses)
    result = wide_competition(tmp_path, max_minutes=100.0)
    assert result is not None and result.resize_mode == "squash"
    assert [kind.name for kind in result.features] == ["squash-64", "pad-64", "crop-32"]
    assert result.rows[-1].loss == 0.149  # no gain: not chosen, but shown
    assert measured[0] == "crop-32" and "squash-64 pad-64 crop-32 crop-64" in measured


def test_features_are_not_measured_if_all_together_would_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {"squash-32": 0.4, "squash-64": 0.3, "squash-64 pad-32": 0.2}
    losses["squash-64 pad-32 pad-64"] = 0.1
    measured = losses_of(monkeypatch, losses)
    result = wide_competition(tmp_path, max_minutes=6.0)  # 4 and 1 of them are used
    assert result is not None
    assert [kind.name for kind in result.features] == ["squash-64", "pad-32"]
    assert not any("pad-64" in names for names in measured)


def test_images_that_cannot_be_decoded_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["a", "b"] * (IMAGES // 2)
    pictures = {f"i{n}": wide(label, rng) for n, label in enumerate(labels)}
    files = {f"train/{name}.png": competitions.encode(p) for name, p in pictures.items()}
    files["train/i7.png"] = b"not an image"
    path = competitions.write_zip(tmp_path / "x.zip", files)
    train = pd.DataFrame({"id": [*pictures], "label": labels})
    tables = Tables(train, pd.DataFrame({"id": ["t"]}), pd.DataFrame(), ["a", "b"])
    task = Task("binary", ["a", "b"])
    with (
        Archive(path) as archive,
        measure.excerpt(archive, PREPARE, tables, task, image_size=32) as few,
    ):
        assert len(few.train) == IMAGES - 1
        assert few.total == IMAGES + 1 and few.seconds > 0


def test_too_few_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    few = {f"i{n}": wide("ab"[n % 2], rng) for n in range(8)}
    assert run(tmp_path, few, ["a", "b"] * 4) is None


def test_fewer_images_are_a_random_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["a"] * (IMAGES // 2) + ["b"] * (IMAGES // 2)  # as class folders are listed
    pictures = {f"i{n:03d}": wide(label, rng) for n, label in enumerate(labels)}
    result = run(tmp_path, pictures, labels, max_images=40)
    assert result is not None and result.images == 40
    assert max(row.loss for row in result.rows) > 0.2  # of a single class: 0


def test_the_same_images_give_the_same_losses(tmp_path: Path) -> None:
    first, second = (wide_competition(tmp_path, max_minutes=0.0) for _ in range(2))
    assert first is not None and second is not None
    assert [row.loss for row in first.rows] == [row.loss for row in second.rows]
