"""Small competitions with several targets."""

import io

import numpy as np
import pandas as pd
from competitions import csv, encode

TRAIN, TEST = 48, 8
ROOTS, VOWELS, CONSONANTS = 6, 3, 2


def _picture(hue: int, width: int, is_bright: int, rng: np.random.Generator) -> bytes:
    pixels = rng.integers(0, 60, (32, 32, 3))
    pixels[:, : 8 + 8 * width, hue % 3] += 90
    pixels[16 * (hue // 3) : 16 * (hue // 3) + 16] += 60
    return encode((pixels + 40 * is_bright).clip(0, 255).astype(np.uint8))


def _drawn(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "hue": rng.permutation(np.arange(count) % ROOTS),
            "width": rng.permutation(np.arange(count) % VOWELS),
            "bright": rng.permutation(np.arange(count) % CONSONANTS),
        }
    )


def _images(folder: str, ids: list[str], drawn: pd.DataFrame) -> dict[str, bytes]:
    rng = np.random.default_rng(7)
    return {
        f"{folder}/{image}.png": _picture(*row, rng)
        for image, row in zip(ids, drawn.itertuples(index=False), strict=True)
    }


def graphemes(test: int = TEST) -> dict[str, bytes]:
    """As bengaliai-cv19: three columns of class indices, and a row per image and target in the
    test table and the sample submission.
    """
    train, hidden = _drawn(TRAIN, 0), _drawn(TEST, 1)[:test]
    names = ("grapheme_root", "vowel_diacritic", "consonant_diacritic")
    known = [f"Train_{n}" for n in range(TRAIN)]
    shown = [f"Test_{n}" for n in range(test)]
    labels = pd.DataFrame({"image_id": known})
    for name, column in zip(names, train.columns, strict=True):
        labels[name] = train[column]
    labels["grapheme"] = [f"g{row.hue}{row.width}{row.bright}" for row in train.itertuples()]
    rows = [(f"{image}_{name}", image, name) for image in shown for name in sorted(names)]
    listed = pd.DataFrame(rows, columns=["row_id", "image_id", "component"])
    sample = listed[["row_id"]].assign(target=0)
    return {
        "train.csv": csv(labels),
        "test.csv": csv(listed),
        "sample_submission.csv": csv(sample),
        **_images("train", known, train),
        **_images("test", shown, hidden),
    }


def mixed(test: int = TEST) -> dict[str, bytes]:
    """A class and two numbers per image, of which the training table lacks some."""
    train, hidden = _drawn(TRAIN, 0), _drawn(TEST, 1)[:test]
    known = [f"a{n}" for n in range(TRAIN)]
    shown = [f"b{n}" for n in range(test)]
    labels = pd.DataFrame({"id": known, "kind": [f"k{hue}" for hue in train["hue"]]})
    labels["size"] = [f"{100 + 25.5 * width:.1f}" for width in train["width"]]
    labels["light"] = [f"{0.25 + 0.5 * bright:.3f}" for bright in train["bright"]]
    labels.loc[:3, "kind"] = "not sure"
    labels.loc[4:7, "light"] = ""
    sample = pd.DataFrame({"id": shown, "size": 0.5, "kind": "k0", "light": 0.5})
    return {
        "train.csv": csv(labels),
        "test.csv": csv(sample[["id"]]),
        "sample_submission.csv": csv(sample),
        **_images("train", known, train),
        **_images("test", shown, hidden),
    }


def labels(files: dict[str, bytes]) -> pd.DataFrame:
    """The training table of a competition."""
    return pd.read_csv(io.BytesIO(files["train.csv"]), dtype=str).fillna("")


def looked_up(test: int = TEST) -> dict[str, bytes]:
    """Two numbers per image, of which training images lack one, and a row for one number of each
    test image, as another table says.
    """
    contents = mixed(test)
    labels = pd.read_csv(io.BytesIO(contents["train.csv"])).drop(columns="kind")
    labels.loc[::2, "light"] = None
    shown = [f"b{n}" for n in range(test)]
    rows = pd.DataFrame({"RowId": range(1, test + 1), "ImageId": shown})
    rows["FeatureName"] = ["size" if n % 2 else "light" for n in range(test)]
    return {
        **contents,
        "train.csv": csv(labels),
        "lookup.csv": csv(rows),
        "sample_submission.csv": csv(rows[["RowId"]].assign(Location=0)),
    }
