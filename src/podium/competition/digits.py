"""The built-in competition: scikit-learn's handwritten digits in Kaggle's format."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from podium.core import files, seeding

TEST_FRACTION = 0.25


def write_archive(path: Path) -> None:
    """Write the archive: train.csv, test.csv, sample_submission.csv, and 1,797 grayscale PNG images
    of 8 x 8 pixels in train/ and test/ (`sklearn.datasets.load_digits`).
    """
    from sklearn.datasets import load_digits  # takes a second, for this competition only

    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)  # [N, 8, 8], from 0..16
    train, test = _split()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as output:
        _add(output, "train.csv", _csv(train))
        _add(output, "test.csv", _csv(test[["id"]]))
        _add(output, "sample_submission.csv", _csv(test.assign(label=0)))
        for folder, part in (("train", train), ("test", test)):
            for name, image in zip(part["id"], images[part.index], strict=True):
                _add(output, f"{folder}/{name}.png", _png(image))
    files.write_bytes(path, buffer.getvalue())


def write_solution(path: Path) -> None:
    """Write the test labels: a CSV file with id and label."""
    files.write_csv(path, _split()[1])


def _split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test set: id and label, sorted by id, indexed as in scikit-learn."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    labels = load_digits().target
    ids = [seeding.digest("digits", scan).hex()[:12] for scan in range(len(labels))]
    table = pd.DataFrame({"id": ids, "label": labels}).sort_values("id")
    train, test = train_test_split(
        table, test_size=TEST_FRACTION, stratify=table["label"], random_state=0
    )
    return train.sort_values("id"), test.sort_values("id")


def _add(output: zipfile.ZipFile, name: str, data: bytes) -> None:
    output.writestr(zipfile.ZipInfo(name), data)  # with a fixed date, so the bytes are the same


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
