"""Small competitions of real image files, built for a test."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = ("circle", "square", "stripes")


def picture(label: str, rng: np.random.Generator, size: tuple[int, int] = (40, 32)) -> np.ndarray:
    """A noisy image that shows its label: uint8 [H, W, 3]."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    top, left = rng.integers(4, height // 2), rng.integers(4, width // 2)
    shape = {
        "circle": (y - top - 6) ** 2 + (x - left - 6) ** 2 < 49,
        "square": (abs(y - top - 6) < 7) & (abs(x - left - 6) < 7),
        "stripes": (x + left) % 8 < 4,
    }[label]
    pixels = rng.integers(0, 90, (height, width, 3))
    pixels[shape] += rng.integers(90, 160)
    return pixels.astype(np.uint8)


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file of `pixels`."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    """A NumPy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def tables(train: int, test: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The labels of the training and of the test images: id, label."""
    ids = [f"{number:04d}" for number in range(train + test)]
    labels = [CLASSES[number % len(CLASSES)] for number in range(train + test)]
    table = pd.DataFrame({"id": ids, "label": labels})
    return table[:train], table[train:].reset_index(drop=True)


def csv(table: pd.DataFrame) -> bytes:
    """The bytes of a CSV file."""
    return table.to_csv(index=False).encode()


def competition(train: int = 36, test: int = 9) -> dict[str, bytes]:
    """A competition's files by name: train.csv, test.csv, sample_submission.csv and PNG images."""
    known, hidden = tables(train, test)
    files = {
        "train.csv": csv(known),
        "test.csv": csv(hidden[["id"]]),
        "sample_submission.csv": csv(hidden.assign(label=CLASSES[0])),
    }
    rng = np.random.default_rng(0)
    for folder, table in (("train", known), ("test", hidden)):
        for row in table.itertuples():
            files[f"{folder}/{row.id}.png"] = encode(picture(row.label, rng))
    return files


def with_metadata(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The competition with columns that depend on the id's number only; some cells are empty."""
    result = dict(files)
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(io.BytesIO(files[name]), dtype=str)
        numbers = table["id"].str.extract(r"(\d+)", expand=False).astype(int)
        table["age"] = [str(20 + n * 7 % 50) if n % 4 else "" for n in numbers]
        table["site"] = [("head", "torso", "leg")[n % 3] for n in numbers]
        result[name] = csv(table)
    return result


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Pack files into a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
