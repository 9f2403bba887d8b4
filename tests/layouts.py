"""Small competitions in each layout that `make init` understands, and what it should infer."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from competitions import CLASSES, competition, csv, encode, picture, tables, write_zip
from PIL import Image

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.dataset.tables import Tables
from podium.init.dry_run import dry_run
from podium.init.guesses import Guess
from podium.init.survey import survey
from podium.init.understand import understand

TRAIN, TEST = 36, 9


@dataclass(frozen=True)
class Built:
    """A competition's files, and what init should infer."""

    files: dict[str, bytes]
    task: str = "multiclass"
    metric: str = "accuracy"
    format: str = "auto"
    prepare: dict[str, Any] = field(default_factory=dict)  # the relevant keys of the section
    classes: list[str] = field(default_factory=lambda: [*CLASSES])


class Inspection:
    """What init infers from an archive, without asking."""

    def __init__(self, path: Path, **answers: str) -> None:
        """`answers`: by the last part of their keys, such as `id_column`."""
        self.archive = Archive(path)
        self.survey = survey(self.archive)
        self.layout = understand(self.survey, {_key(k): v for k, v in answers.items()})

    @property
    def prepare(self) -> dict[str, Any]:
        """The section of params.yaml, with its defaults."""
        return Prepare(**self.layout.prepare).model_dump()

    @property
    def tables(self) -> Tables:
        """What the stage prepare reads with it."""
        return dry_run(self.archive, self.layout)

    def guess(self, name: str) -> Guess:
        """The guess for a key, by its last part."""
        return self.layout.guess(_key(name))


def inspect(folder: Path, files: dict[str, bytes], **answers: str) -> Inspection:
    """The inspection of a competition with these files.

    Raises:
        UserError: if they cannot be used.
    """
    inspection = Inspection(write_zip(folder / "shapes.zip", files), **answers)
    if inspection.layout.error is not None:
        raise inspection.layout.error
    return inspection


def _key(name: str) -> str:
    return name if name in ("task", "metric") else f"prepare.{name}"


def photos(
    ids: list[str], labels: list[str], *, folder: str, kind: str = "PNG"
) -> dict[str, bytes]:
    """Path -> image of its label; `ids` have no extension."""
    rng = np.random.default_rng(len(ids))
    suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
    return {
        f"{folder}/{image}.{suffix}".lstrip("/"): encode(picture(label, rng), kind)
        for image, label in zip(ids, labels, strict=True)
    }


def known_and_hidden() -> tuple[pd.DataFrame, pd.DataFrame]:
    """id, label of the training and the test images."""
    return tables(TRAIN, TEST)


def all_photos(kind: str = "PNG") -> dict[str, bytes]:
    """The pictures of both parts, in train/ and test/."""
    known, hidden = known_and_hidden()
    return {
        **photos([*known["id"]], [*known["label"]], folder="train", kind=kind),
        **photos([*hidden["id"]], [*hidden["label"]], folder="test", kind=kind),
    }


def labeled(train: pd.DataFrame, sample: pd.DataFrame, **more: pd.DataFrame) -> dict[str, bytes]:
    """The plain competition's pictures with other tables; test.csv has the ids."""
    _, hidden = known_and_hidden()
    named = {"train": train, "test": hidden[["id"]], "sample_submission": sample, **more}
    return {**{f"{name}.csv": csv(table) for name, table in named.items()}, **all_photos()}


def plain() -> Built:
    """Ids without extension."""
    expected = {
        "train_csv": "train.csv",
        "test_csv": "test.csv",
        "sample_submission": "sample_submission.csv",
        "id_column": "id",
        "label_column": "label",
        "train_images": "train",
        "test_images": "test",
        "group_column": None,
    }
    return Built(competition(TRAIN, TEST), prepare=expected)


def named_files(kind: str) -> Built:
    """Ids with the extension."""
    suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
    known, hidden = (
        t.assign(id=t["id"] + f".{suffix}").rename(columns={"id": "file_name", "label": "category"})
        for t in known_and_hidden()
    )
    files = {
        "train.csv": csv(known),
        "test.csv": csv(hidden[["file_name"]]),
        "sample_submission.csv": csv(hidden.assign(category=CLASSES[0])),
        **all_photos(kind),
    }
    return Built(files, prepare={"id_column": "file_name", "label_column": "category"})


def kinds_of_files() -> Built:
    """Images of different file types, and ids with the extension."""
    known, hidden = known_and_hidden()
    both, rng, files = pd.concat([known, hidden]), np.random.default_rng(0), {}
    kinds = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP"}
    names = []
    for place, (image, label) in enumerate(both.to_numpy()):
        suffix = [*kinds][place % 5]
        names.append(f"{image}.{suffix}")
        folder = "train" if place < TRAIN else "test"
        files[f"{folder}/{names[-1]}"] = encode(picture(label, rng), kinds[suffix])
    known, hidden = known.assign(id=names[:TRAIN]), hidden.assign(id=names[TRAIN:])
    files |= {
        "train.csv": csv(known),
        "test.csv": csv(hidden[["id"]]),
        "sample_submission.csv": csv(hidden.assign(label=CLASSES[0])),
    }
    return Built(files, prepare={"id_column": "id", "train_images": "train"})


def in_two_sizes(built: Built) -> Built:
    """The same pictures in two sizes, those of both parts in one folder."""
    files = {name: data for name, data in built.files.items() if "/" not in name}
    for folder, scale in (("images_large", 1), ("images_small", 2)):
        for name, data in built.files.items():
            if "/" in name:
                pixels = np.asarray(Image.open(io.BytesIO(data)))[::scale, ::scale]
                path = f"{folder}/{name.rpartition('/')[2]}"
                files[path] = encode(np.ascontiguousarray(pixels))
    expected = {"train_images": "images_large", "test_images": "images_large"}
    return replace(built, files=files, prepare=built.prepare | expected)


def several_folders() -> Built:
    """The same pictures in two sizes."""
    return in_two_sizes(plain())


def in_one_folder(built: Built) -> Built:
    """Train and test images side by side."""
    files = {
        (f"images/{name.partition('/')[2]}" if "/" in name else name): data
        for name, data in built.files.items()
    }
    expected = {"train_images": "images", "test_images": "images"}
    return replace(built, files=files, prepare=built.prepare | expected)


def one_folder() -> Built:
    """Train and test images side by side."""
    return in_one_folder(plain())


def class_folders() -> Built:
    """One folder per class, a flat test folder, no table."""
    known, hidden = known_and_hidden()
    files = photos([*hidden["id"]], [*hidden["label"]], folder="test", kind="JPEG")
    for label, rows in known.groupby("label"):
        files |= photos([*rows["id"]], [*rows["label"]], folder=f"train/{label}", kind="JPEG")
    expected = {
        "train_csv": None,
        "test_csv": None,
        "sample_submission": None,
        "train_images": "train",
        "test_images": "test",
    }
    return Built(files, prepare=expected)


def class_folders_at_top() -> Built:
    """Class folders next to the test folder, and a sample submission."""
    _, hidden = known_and_hidden()
    files = {name.removeprefix("train/"): data for name, data in class_folders().files.items()}
    sample = pd.DataFrame({"file": hidden["id"] + ".jpg", "species": CLASSES[1]})
    files["sampleSubmission.csv"] = csv(sample)
    expected = {
        "train_csv": None,
        "sample_submission": "sampleSubmission.csv",
        "train_images": "",
        "test_images": "test",
        "id_column": "file",
        "label_column": "species",
    }
    return Built(files, prepare=expected)


def named_after_classes(name: str = "{label}.{number}") -> Built:
    """Labels in the files' names; the sample submission names the test images."""
    known, hidden = known_and_hidden()
    names = [name.format(label=label, number=n) for n, label in enumerate(known["label"])]
    files = {
        **photos(names, [*known["label"]], folder="train"),
        **photos([*hidden["id"]], [*hidden["label"]], folder="test"),
        "sample_submission.csv": csv(hidden.assign(label=CLASSES[0])),
    }
    expected = {"train_csv": None, "train_images": "train", "test_images": "test"}
    return Built(files, prepare=expected)


def _pixel_files(rows: dict[str, np.ndarray], columns: list[str]) -> dict[str, bytes]:
    """train.csv, test.csv without ids and a sample submission that counts the rows."""
    known, hidden = known_and_hidden()
    labels = known["label"].map({name: place for place, name in enumerate(CLASSES)})
    train = pd.DataFrame(rows["train"], columns=columns)
    train.insert(0, "label", labels)
    sample = pd.DataFrame({"ImageId": range(1, len(hidden) + 1), "Label": 0})
    return {
        "train.csv": csv(train),
        "test.csv": csv(pd.DataFrame(rows["test"], columns=columns)),
        "sample_submission.csv": csv(sample),
    }


def _squares(*, color: bool) -> dict[str, np.ndarray]:
    """Pictures of 16 x 16 pixels: uint8 [N, 16, 16, 3], smooth where they have colors."""
    known, hidden = known_and_hidden()
    rng = np.random.default_rng(0)
    expected = {}
    for part, table in (("train", known), ("test", hidden)):
        images = np.stack([picture(label, rng, (16, 16)) for label in table["label"]])
        if color:
            shapes = images.max(axis=3, keepdims=True) > 100
            images = np.where(shapes, [220, 120, 20], [30, 90, 160]).astype(np.uint8)
        expected[part] = images
    return expected


def pixels_gray() -> Built:
    """The Digit Recognizer's layout."""
    rows = {
        part: images[..., 0].reshape(len(images), -1)
        for part, images in _squares(color=False).items()
    }
    expected = {
        "train_csv": "train.csv",
        "test_csv": "test.csv",
        "id_column": None,
        "label_column": "label",
        "pixel_columns": "pixel",
    }
    files = _pixel_files(rows, [f"pixel{n}" for n in range(256)])
    return Built(files, prepare=expected, classes=["0", "1", "2"])


def pixels_by_row_and_column() -> Built:
    """The layout of MNIST in CSV."""
    rows = {
        part: images[..., 0].reshape(len(images), -1)
        for part, images in _squares(color=False).items()
    }
    columns = [f"{y}x{x}" for y in range(1, 17) for x in range(1, 17)]
    expected = {"id_column": None, "pixel_columns": ""}
    return Built(_pixel_files(rows, columns), prepare=expected, classes=["0", "1", "2"])


def pixels_in_a_cell() -> Built:
    """The layout of FER-2013."""
    rows = {
        part: np.array([[" ".join(map(str, image[..., 0].ravel()))] for image in images])
        for part, images in _squares(color=False).items()
    }
    expected = {"id_column": None, "pixel_columns": "pixels", "label_column": "label"}
    return Built(_pixel_files(rows, ["pixels"]), prepare=expected, classes=["0", "1", "2"])


def pixels_interleaved() -> Built:
    """RGB, RGB, …"""
    rows = {part: images.reshape(len(images), -1) for part, images in _squares(color=True).items()}
    files = _pixel_files(rows, [f"p{n}" for n in range(768)])
    expected = {"pixel_columns": "p", "pixel_order": "interleaved"}
    return Built(files, prepare=expected, classes=["0", "1", "2"])


def pixels_planar() -> Built:
    """All R, all G, all B."""
    rows = {
        part: images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        for part, images in _squares(color=True).items()
    }
    files = _pixel_files(rows, [f"p{n}" for n in range(768)])
    expected = {"pixel_columns": "p", "pixel_order": "planar"}
    return Built(files, prepare=expected, classes=["0", "1", "2"])


def pixels_with_ids() -> Built:
    """Tables of pixels whose rows have ids."""
    known, hidden = known_and_hidden()
    files = dict(pixels_gray().files)
    for name, table in (("train.csv", known), ("test.csv", hidden)):
        rows = pd.read_csv(io.BytesIO(files[name]))
        files[name] = csv(pd.concat([("a" + table["id"]).reset_index(drop=True), rows], axis=1))
    files["sample_submission.csv"] = csv(pd.DataFrame({"id": "a" + hidden["id"], "label": 0}))
    expected = {"id_column": "id", "pixel_columns": "pixel"}
    return Built(files, prepare=expected, classes=["0", "1", "2"])


def one_hot() -> Built:
    """One column per class, in the order of the sample submission."""
    known, hidden = known_and_hidden()
    order = ["stripes", "circle", "square"]
    train = pd.DataFrame(
        {"id": known["id"], **{c: (known["label"] == c).astype(int) for c in order}}
    )
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(order, 1 / 3)})
    files = labeled(train, sample)
    return Built(files, metric="log_loss", prepare={"label_column": order}, classes=order)


def classes_as_columns() -> Built:
    """A column of labels, and a sample submission with one column per class."""
    known, hidden = known_and_hidden()
    order = ["square", "stripes", "circle"]
    train = known.rename(columns={"label": "kind"}).assign(source=["a", "b"] * (TRAIN // 2))
    sample = pd.DataFrame({"id": hidden["id"], **dict.fromkeys(order, 1 / 3)})
    files = labeled(train, sample)
    return Built(files, metric="log_loss", prepare={"label_column": "kind"}, classes=order)


def integers() -> Built:
    """Whole numbers as labels."""
    known, hidden = known_and_hidden()
    place = {name: number for number, name in enumerate(CLASSES)}
    files = labeled(known.replace({"label": place}), hidden.assign(label=0))
    return Built(files, prepare={"label_column": "label"}, classes=["0", "1", "2"])


def numbers_of_names() -> Built:
    """Class names in the training table, class indices in the sample submission."""
    known, hidden = known_and_hidden()
    files = labeled(known, hidden.assign(label=0))
    return Built(files, format="number")


def two_classes(value: float = 0.5) -> Built:
    """Labels 0 and 1, and a probability to submit."""
    known, hidden = known_and_hidden()
    train = pd.DataFrame({"id": known["id"], "is_round": (known["label"] == "circle").astype(int)})
    train["patient_id"] = [f"P{place // 3}" for place in range(TRAIN)]
    sample = pd.DataFrame({"id": hidden["id"], "is_round": value})
    expected = {"label_column": "is_round", "group_column": "patient_id"}
    files = labeled(train, sample)
    return Built(files, task="binary", metric="roc_auc", prepare=expected, classes=["0", "1"])


def top_lists(labels: str = "square circle", count: int = 2) -> Built:
    """The highest-scoring labels in one cell (often five on Kaggle)."""
    known, hidden = known_and_hidden()
    sample = pd.DataFrame({"Image": hidden["id"], "Id": labels})
    files = labeled(known.set_axis(["Image", "Id"], axis=1), sample)
    files["test.csv"] = csv(hidden[["id"]].set_axis(["Image"], axis=1))
    expected = {"id_column": "Image", "label_column": "Id"}
    return Built(files, metric=f"map@{count}", prepare=expected)


def _several() -> tuple[dict[str, bytes], list[list[str]], list[str], list[str]]:
    """Pictures of one or two shapes: the files, the labels, training ids and test ids."""
    rng = np.random.default_rng(0)
    sets = [[a] if a == b else sorted([a, b]) for a in CLASSES for b in CLASSES]
    files, labels = {}, []
    known, hidden = known_and_hidden()
    ids = {"train": [*known["id"]], "test": [*hidden["id"]]}
    for part, names in ids.items():
        for place, image in enumerate(names):
            shapes = sets[place % len(sets)]
            pixels = np.maximum.reduce([picture(label, rng) for label in shapes])
            files[f"{part}/{image}.png"] = encode(pixels)
            labels.append(shapes)
    return files, labels[:TRAIN], ids["train"], ids["test"]


def several_labels(separator: str) -> Built:
    """Several labels in a cell."""
    files, labels, known, hidden = _several()
    train = pd.DataFrame({"id": known, "labels": [separator.join(names) for names in labels]})
    sample = pd.DataFrame({"id": hidden, "labels": separator.join(CLASSES[:2])})
    files |= {"train.csv": csv(train), "sample_submission.csv": csv(sample)}
    expected = {"label_column": "labels", "label_separator": separator, "test_csv": None}
    return Built(files, task="multilabel", metric="samples_f1", prepare=expected)


def lists_in_brackets(write: Callable[[list[str]], str]) -> Built:
    """Several labels in a cell, as `write` writes lists."""
    files, labels, known, hidden = _several()
    train = pd.DataFrame({"id": known, "labels": [write([*names]) for names in labels]})
    sample = pd.DataFrame({"id": hidden, "labels": write([*CLASSES][:2])})
    files |= {"train.csv": csv(train), "sample_submission.csv": csv(sample)}
    return Built(
        files,
        task="multilabel",
        metric="samples_f1",
        prepare={"label_column": "labels", "test_csv": None},
    )


def one_row_per_label() -> Built:
    """Several rows per image, with a label each."""
    files, labels, known, hidden = _several()
    pairs = [(name, label) for name, names in zip(known, labels, strict=True) for label in names]
    sample = pd.DataFrame({"id": hidden, "label": "|".join([*CLASSES][:2])})
    files |= {
        "train.csv": csv(pd.DataFrame(pairs, columns=["id", "label"])),
        "sample_submission.csv": csv(sample),
    }
    return Built(files, task="multilabel", metric="samples_f1", prepare={"test_csv": None})


def several_columns() -> Built:
    """One column per class; several or none are 1."""
    files, labels, known, hidden = _several()
    flags = {name: [int(name in names) for names in labels] for name in CLASSES}
    train = pd.DataFrame({"id": known, **flags})
    train.loc[0, [*CLASSES]] = 0
    sample = pd.DataFrame({"id": hidden, **dict.fromkeys(CLASSES, 0.5)})
    files |= {"train.csv": csv(train), "sample_submission.csv": csv(sample)}
    return Built(files, task="multilabel", metric="roc_auc", prepare={"label_column": [*CLASSES]})


def _shades(values: dict[str, list[float]]) -> dict[str, bytes]:
    """Pictures as bright as their values from 0 to 1."""
    rng = np.random.default_rng(0)
    files, place = {}, 0
    for part, numbers in values.items():
        for number in numbers:
            pixels = rng.integers(0, 60, (40, 32, 3)) + int(190 * number)
            files[f"{part}/{place:04d}.png"] = encode(pixels.astype(np.uint8))
            place += 1
    return files


def _measured(name: str, labels: np.ndarray, value: Any) -> dict[str, bytes]:
    """Pictures whose brightness is a label from 0 to its largest."""
    shares = (labels / labels.max()).tolist()
    ids = [f"{place:04d}" for place in range(TRAIN + TEST)]
    train = pd.DataFrame({"id": ids[:TRAIN], name: labels[:TRAIN]})
    sample = pd.DataFrame({"id": ids[TRAIN:], name: value})
    return {
        "train.csv": csv(train),
        "sample_submission.csv": csv(sample),
        **_shades({"train": shares[:TRAIN], "test": shares[TRAIN:]}),
    }


def numbers() -> Built:
    """A number to predict."""
    labels = np.random.default_rng(1).random(TRAIN + TEST).round(3) * 10
    files = _measured("weight", labels, 5.0)
    expected = {"label_column": "weight", "test_csv": None}
    return Built(files, task="regression", metric="rmse", prepare=expected, classes=["weight"])


def whole_numbers() -> Built:
    """A count to predict."""
    labels = np.random.default_rng(1).permutation(TRAIN + TEST) + 1
    files = _measured("Pawpularity", labels, 20)
    expected = {"label_column": "Pawpularity"}
    return Built(files, task="regression", metric="rmse", prepare=expected, classes=["Pawpularity"])


def grades() -> Built:
    """Grades from 0 to 4."""
    files = _measured("diagnosis", np.arange(TRAIN + TEST) % 5, 0)
    return Built(
        files,
        task="ordinal",
        metric="quadratic_weighted_kappa",
        prepare={"label_column": "diagnosis"},
        classes=[*"01234"],
    )


def nest(built: Built, compression: int = zipfile.ZIP_DEFLATED) -> Built:
    """train.zip and test.zip in the archive, as Kaggle ships them."""
    files = dict(built.files)
    for part in ("train", "test"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as inner:
            for name in [name for name in files if name.startswith(f"{part}/")]:
                inner.writestr(name.removeprefix(f"{part}/"), files.pop(name))
        files[f"{part}.zip"] = buffer.getvalue()
    expected = {"train_images": "train", "test_images": "test"}
    return replace(built, files=files, prepare=built.prepare | expected)


def nested(compression: int) -> Built:
    """The plain competition in nested archives."""
    return nest(plain(), compression)


def other_names(train: str, test: str | None) -> Built:
    """Tables with other names."""
    files = competition(TRAIN, TEST)
    files[train] = files.pop("train.csv")
    ids = files.pop("test.csv")
    if test is not None:
        files[test] = ids
    return Built(files, prepare={"train_csv": train, "test_csv": test})


def no_sample() -> Built:
    """No sample submission: the ids are the test table's."""
    files = competition(TRAIN, TEST)
    del files["sample_submission.csv"]
    return Built(files, prepare={"sample_submission": None, "test_csv": "test.csv"})


def other_test_id() -> Built:
    """No sample submission; the test table calls its id column differently."""
    built = no_sample()
    test = built.files["test.csv"].replace(b"id", b"image", 1)
    return replace(
        built,
        files={**built.files, "test.csv": test},
        prepare={**built.prepare, "test_id_column": "image"},
    )


def no_test_table_and_no_sample() -> Built:
    """The test images are the files of their folder."""
    files = competition(TRAIN, TEST)
    del files["sample_submission.csv"], files["test.csv"]
    expected = {"sample_submission": None, "test_csv": None, "test_images": "test"}
    return Built(files, prepare=expected)


def extra_columns() -> Built:
    """Tabular columns alongside the images, and several images per patient."""
    known, hidden = known_and_hidden()
    more = {
        "age": [30 + place % 40 for place in range(TRAIN)],
        "sex": ["f", "m"] * (TRAIN // 2),
        "patient_id": [f"P{place // 3}" for place in range(TRAIN)],
    }
    files = labeled(known.assign(**more), hidden.assign(label=CLASSES[0]))
    return Built(files, prepare={"label_column": "label", "group_column": "patient_id"})


def paths_as_ids() -> Built:
    """Ids that are paths below folders of their own."""
    known, hidden = (
        t.assign(id=[f"site{n % 2}/{image}.png" for n, image in enumerate(t["id"])])
        for t in known_and_hidden()
    )
    files = {
        "train.csv": csv(known),
        "test.csv": csv(hidden[["id"]]),
        "sample_submission.csv": csv(hidden.assign(label=CLASSES[0])),
    }
    for part, table in (("train", known), ("test", hidden)):
        ids = table["id"].str.removesuffix(".png").tolist()
        files |= photos(ids, [*table["label"]], folder=f"data/{part}")
    return Built(files, prepare={"train_images": "data/train", "test_images": "data/test"})


BUILDERS: dict[str, Callable[[], Built]] = {
    "plain": plain,
    **{
        f"named_{kind.lower()}": (lambda kind=kind: named_files(kind))
        for kind in ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
    },
    "kinds_of_files": kinds_of_files,
    "several_folders": several_folders,
    "one_folder": one_folder,
    "class_folders": class_folders,
    "class_folders_at_top": class_folders_at_top,
    "named_after_classes": named_after_classes,
    "named_after_classes_spaces": lambda: named_after_classes("{label} ({number})"),
    "named_after_classes_together": lambda: named_after_classes("{label}{number}"),
    "pixels_gray": pixels_gray,
    "pixels_by_row_and_column": pixels_by_row_and_column,
    "pixels_in_a_cell": pixels_in_a_cell,
    "pixels_interleaved": pixels_interleaved,
    "pixels_planar": pixels_planar,
    "pixels_with_ids": pixels_with_ids,
    "one_hot": one_hot,
    "classes_as_columns": classes_as_columns,
    "integers": integers,
    "numbers_of_names": numbers_of_names,
    "two_classes": two_classes,
    "two_classes_all_0": lambda: two_classes(0),
    "top_lists": top_lists,
    "top_lists_new": lambda: top_lists("new_whale w_1 w_2 w_3 w_4", 5),
    "top_lists_comma": lambda: top_lists("new_whale, square, circle", 3),
    "several_labels_space": lambda: several_labels(" "),
    "several_labels_bar": lambda: several_labels("|"),
    "several_labels_comma": lambda: several_labels(","),
    "several_labels_semicolon": lambda: several_labels(";"),
    "one_row_per_label": one_row_per_label,
    "lists_in_brackets_python": lambda: lists_in_brackets(str),
    "lists_in_brackets_json": lambda: lists_in_brackets(json.dumps),
    "lists_in_brackets_numpy": lambda: lists_in_brackets(lambda names: str(np.array(names))),
    "several_columns": several_columns,
    "numbers": numbers,
    "whole_numbers": whole_numbers,
    "grades": grades,
    "nested_stored": lambda: nested(zipfile.ZIP_STORED),
    "nested_compressed": lambda: nested(zipfile.ZIP_DEFLATED),
    "train_labels": lambda: other_names("train_labels.csv", None),
    "labels": lambda: other_names("labels.csv", None),
    "training_set": lambda: other_names("Training_set.csv", "Testing_set.csv"),
    "no_sample": no_sample,
    "other_test_id": other_test_id,
    "no_test_table_and_no_sample": no_test_table_and_no_sample,
    "extra_columns": extra_columns,
    "paths_as_ids": paths_as_ids,
}  # fmt: skip

# Per row of docs/layouts.md about what is recognized: the builders that test it, and the
# competition of test_any_competition.py that tests it in the whole pipeline.
DOCUMENTED: dict[str, tuple[tuple[str, ...], str]] = {
    "Ids without extension": (("plain",), "a number, labels.csv"),
    "Ids with extension (jpg, png, tif, webp, bmp, …)": (
        (
            "named_jpeg",
            "named_png",
            "named_tiff",
            "named_webp",
            "named_bmp",
            "kinds_of_files",
        ),
        "kinds of files, top lists",
    ),
    "Ids that are paths, such as `site1/0001.png`": (
        ("paths_as_ids",),
        "paths, other columns, class indices",
    ),
    "Several folders with the same images": (("several_folders",), "several folders, one-hot"),
    "Training and test images in one folder": (
        ("one_folder",),
        "one folder, two classes, patients",
    ),
    "One folder per class, test images in a folder of their own, no tables": (
        ("class_folders", "class_folders_at_top"),
        "class folders alone",
    ),
    "Labels in file names (`cat.0.jpg`, `beagle_12.jpg`, `cat (3).jpg`), no training table": (
        (
            "named_after_classes",
            "named_after_classes_spaces",
            "named_after_classes_together",
        ),
        "labels in file names",
    ),
    "Pixels in the tables, grayscale (MNIST as CSV)": (
        ("pixels_gray", "pixels_by_row_and_column", "pixels_with_ids"),
        "gray pixels",
    ),
    "Pixels in the tables, RGB": (("pixels_planar", "pixels_interleaved"), "RGB pixels"),
    "All pixels of an image in one cell (FER-2013)": (("pixels_in_a_cell",), "pixels in a cell"),
    "Zip archives inside the zip": (
        ("nested_compressed", "nested_stored"),
        "several labels, nested",
    ),
    "Test ids in a column of another name (`image` for `id`), no sample submission": (
        ("other_test_id",),
        "several columns, no sample, Training_set.csv",
    ),
    "One column of names or integers": (
        ("plain", "integers", "two_classes"),
        "one folder, two classes, patients",
    ),
    "One column per class, exactly one of them 1": (("one_hot",), "several folders, one-hot"),
    "One column per class, any number of them 1": (
        ("several_columns",),
        "several columns, no sample, Training_set.csv",
    ),
    "Several labels in one column": (
        (
            "several_labels_space",
            "several_labels_bar",
            "several_labels_comma",
            "several_labels_semicolon",
        ),
        "several labels, nested",
    ),
    "Lists in brackets (`['cat', 'dog']`, as Python, NumPy and JSON write them)": (
        ("lists_in_brackets_python", "lists_in_brackets_json", "lists_in_brackets_numpy"),
        "lists in brackets",
    ),
    "One row per label, several per image": (("one_row_per_label",), "one row per label"),
    "Numbers": (("numbers", "whole_numbers"), "a number, labels.csv"),
    "A few integers in a column such as `diagnosis` or `grade`": (
        ("grades",),
        "grades, train_labels.csv",
    ),
    "Other names for `train.csv` (`train_labels.csv`, `labels.csv`, `Training_set.csv`)": (
        ("train_labels", "labels", "training_set"),
        "grades, train_labels.csv",
    ),
    "No test table": (("labels", "train_labels"), "a number, labels.csv"),
    "No sample submission": (("no_sample",), "several columns, no sample, Training_set.csv"),
    "Neither": (("no_test_table_and_no_sample",), "class folders alone"),
    "Other columns": (("extra_columns",), "paths, other columns, class indices"),
    "A patient, scene or group column": (
        ("extra_columns", "two_classes"),
        "one folder, two classes, patients",
    ),
    "One column of labels": (("plain", "grades"), "grades, train_labels.csv"),
    "One column of integers, although the classes are names": (
        ("numbers_of_names",),
        "paths, other columns, class indices",
    ),
    "One column of fractions, with two classes": (
        ("two_classes",),
        "one folder, two classes, patients",
    ),
    "The same integer in all rows, with two classes": (
        ("two_classes_all_0",),
        "one folder, two classes, patients",
    ),
    "One column per class": (("one_hot", "classes_as_columns"), "several folders, one-hot"),
    "One column with several labels, for several labels per image": (
        ("several_labels_space",),
        "several labels, nested",
    ),
    "One column with k labels, for one label per image": (
        ("top_lists", "top_lists_new", "top_lists_comma"),
        "kinds of files, top lists",
    ),
    "One column of numbers": (("numbers",), "a number, labels.csv"),
}

# Per row of docs/layouts.md about further layouts: the tests that pin it.
FURTHER: dict[str, tuple[str, ...]] = {
    "The sample submission's ids in another column than the first": (
        "test_small_competitions.test_the_ids_may_be_in_any_column",
        "test_small_competitions.test_a_submission_has_the_ids_where_the_sample_has_them",
    ),
    "Ids that are part of image names (`<id>_left.png`, `<id>-1.jpg`, `<id>/1.png`, "
    "`photo_<id>.jpg`), several images per id": (
        "test_small_competitions.test_ids_that_are_part_of_image_names",
        "init.test_real_layouts.test_flags_are_not_the_ids_of_numbered_slices",
        "init.test_real_layouts.test_ids_in_the_names_of_nested_files",
        "test_small_competitions.test_images_of_an_id_share_a_fold_and_a_prediction",
    ),
    "Several columns with the images of a row (`left`, `right`), whose names contain the row's "
    "id": ["init.test_several_per_id.test_columns_that_name_the_images_of_an_id_give_its_pattern"],
    "Images that no table lists (`<id>_2.jpg` next to `<id>.jpg`)": [
        "init.test_several_per_id."
        "test_images_that_no_table_lists_are_noted_with_the_way_to_use_them"
    ],
    "A grayscale image per id and channel (`<id>_red.png`, …, `<id>_s1_w1.png`, …), the same set "
    "for each id": (
        "test_stacks.test_a_file_per_channel_is_recognized_and_stacked_in_order",
        "test_stacks.test_views_are_not_stacked_unless_the_user_says_so",
        "test_stacks.test_stacked_images_lead_to_a_submission",
    ),
    "A submission with a row per patient, breast or study, whose images the test table lists": (
        "test_small_competitions.test_a_submission_by_patient",
        "init.test_truth.test_units_are_the_columns_whose_values_are_in_the_submission_id",
    ),
    "Several columns of classes, or of classes and numbers": (
        "test_several_targets.test_a_class_and_two_numbers_some_of_them_missing",
        "test_several_targets.test_columns_of_integers_that_recur_are_classes_and_others_numbers",
    ),
    "Values such as `Not sure`, `Skip` or `unknown` in one of several label columns": (
        "test_several_targets.test_what_init_infers_about_each_target",
    ),
    "One row per image and target (`Test_0_vowel_diacritic`) in the sample submission, and "
    "perhaps in the test table": (
        "test_several_targets.test_three_columns_of_classes_and_a_row_per_image_and_target",
    ),
    "Such rows for some targets of an image only, listed by another table (`IdLookupTable.csv`: "
    "`RowId,ImageId,FeatureName`) or told by the ids": (
        "test_lookup_rows.test_a_table_says_what_each_row_is_about",
        "test_lookup_rows.test_a_submission_with_rows_for_some_targets",
        "test_lookup_rows.test_rows_that_are_hidden_may_ask_for_other_labels",
        "test_lookup_rows.test_ids_that_end_with_some_of_the_labels",
    ),
    "Such rows with a column per class (`study_spinal_canal,normal_mild,moderate,severe`)": (
        "test_lookup_rows.test_rows_may_have_a_column_per_class",
        "test_lookup_rows.test_a_submission_with_a_row_per_target_and_a_column_per_class",
    ),
    "Several numbers per image, one column each": (
        "test_small_competitions.test_several_numbers_per_image",
    ),
    "Several numbers per image, some of them missing in more than 10 % of the rows": (
        "test_lookup_rows.test_a_table_says_what_each_row_is_about",
    ),
    "Label columns with longer or shorter names than in the sample submission (`X4_mean` for "
    "`X4`)": (
        "init.test_label_columns.test_targets_whose_names_are_longer_in_the_training_table",
        "init.test_label_columns.test_a_common_affix_makes_targets_likely",
    ),
    "Attributes such as `male` next to the label": (
        "init.test_label_columns.test_an_attribute_is_not_the_label",
        "init.test_label_columns.test_what_the_test_table_also_has_is_not_the_label",
    ),
    "A submission with one row per image and label (`ID_7_epidural`); the training table has such "
    "rows, too, or one column per label": (
        "test_submission_rows.test_a_submission_with_a_row_per_label",
        "init.test_real_layouts.test_one_image_with_several_targets",
    ),
    "Several rows per image with different labels, such as those of several raters": (
        "test_raters.test_raters_who_disagree_give_the_label_of_the_majority",
        "test_raters.test_models_train_on_soft_labels",
    ),
    "Further sample submissions, such as benchmarks (`all_zeros_benchmark.csv`)": (
        "init.test_roles.test_further_sample_submissions_are_neither_training_nor_test_tables",
    ),
    "Tables of the same name in several folders": (
        "init.test_roles.test_of_tables_of_the_same_name_the_outer_one_counts",
        "init.test_roles.test_the_tables_of_one_folder_belong_together",
    ),
    "Class folders that are finer than the submission's 0 and 1 (`Cover/`, `JMiPOD/`, `UERD/`)": (
        "init.test_real_layouts.test_class_folders_finer_than_0_and_1",
    ),
    "Class folders, or labels in file names, next to a list of the classes (`1,cat`)": (
        "init.test_class_lists.test_a_list_of_classes_is_no_training_table",
        "init.test_class_lists.test_a_list_of_the_labels_in_file_names_is_none_either",
        "init.test_class_lists.test_the_list_says_which_labels_the_folders_stand_for",
    ),
    "The same file names in several class folders (versions of one picture)": (
        "init.test_real_layouts.test_versions_of_a_picture_in_several_folders_stay_in_one_fold",
        "init.test_real_layouts.test_numbers_in_each_class_folder_are_no_versions",
    ),
    "Class folders for training and validation (`train/`, `val/`)": (
        "init.test_truth.test_labeled_validation_images_are_offered",
        "init.test_truth.test_models_train_on_validation_images_too",
    ),
    "Tables for training and validation (`train.csv`, `val.csv`)": (
        "init.test_more_tables.test_a_table_of_validation_images_is_offered",
        "init.test_more_tables.test_models_train_on_them_too",
    ),
    "An unnamed index, `Usage`, or another column in the sample submission that is not a "
    "prediction": (
        "test_submission_rows.test_a_column_that_is_not_a_prediction_is_copied",
        "test_submission_rows.test_an_index_without_a_name_is_in_the_submission",
    ),
    "Other columns that both the training and the test table have": (
        "init.test_metadata_guess.test_usable_columns_of_both_tables_are_proposed",
        "init.test_metadata_guess.test_a_column_that_gives_the_label_away_is_named",
    ),
    "A label and its confidence in one cell (`137790 0.98`)": (
        "test_small_competitions.test_a_label_and_its_confidence",
    ),
    "Labels in JSON: COCO's `images` and `annotations`, a list of objects, labels by id": (
        "test_small_competitions.test_labels_in_json",
    ),
    "Tables named `.tsv` or `.txt`": ("test_small_competitions.test_tables_with_other_suffixes",),
    "No test images until Kaggle scores (code competition)": (
        "test_small_competitions.test_no_test_images_until_kaggle_scores",
        "init.test_truth.test_where_hidden_test_images_will_be",
    ),
    "A public test set of a few images, or a sample submission with other ids than the test "
    "table": (
        "init.test_truth.test_a_public_test_set_of_one_image_is_that_of_a_code_competition",
        "init.test_truth.test_a_test_table_with_other_ids_than_the_sample_is_not_used",
    ),
    "A test set split by a column (`location` of camera traps), with no values in common": (
        "init.test_truth.test_a_column_by_which_the_test_set_is_split_makes_groups",
    ),
    "Groups within groups (recordings of patients)": (
        "init.test_groups.test_of_nested_groups_the_coarsest_is_chosen",
    ),
    "A folder of images per patient, a single one in the public test set": (
        "init.test_real_layouts.test_hidden_test_images_will_be_in_further_folders",
        "init.test_real_layouts.test_where_hidden_test_images_will_be_if_some_are_there",
    ),
    "The same images in several sizes, a folder each": (
        "init.test_more_tables.test_of_the_same_images_in_several_sizes_one_table_is_offered",
    ),
    "Rows of two kinds in the sample submission (images, and labels of studies)": (
        "init.test_real_layouts.test_a_sample_with_rows_of_two_kinds_is_refused",
    ),
    "Numbered places or series of photos (`camera`, `seq_id`) in both tables": (
        "init.test_groups.test_places_and_series_are_groups_but_not_features",
    ),
    "A training table whose ids match no images, next to class folders": (
        "init.test_truth.test_a_training_table_without_image_ids_is_not_dropped_silently",
    ),
    "Labels in one table, image ids in another": (
        "init.test_truth.test_labels_in_another_table_than_the_image_ids_are_an_error_that_says_so",
    ),
    "Image paths made of several columns (`HEPG2-01/Plate1/B02_s1_w1.png`)": (
        "init.test_joined_ids.test_columns_that_name_images_together_give_their_pattern",
        "init.test_joined_ids.test_wells_are_stacked_and_submitted_by_their_codes",
    ),
    "The same with something else between the columns": (
        "init.test_joined_ids.test_paths_made_of_several_columns_are_named",
    ),
    "Submission ids that are not file names (`id,file_name` in the test table)": (
        "init.test_truth.test_ids_that_are_not_file_names",
        "init.test_real_layouts.test_image_names_in_another_column_and_other_ids_in_the_sample",
    ),
    "Ids without images, where an id may have any number of images": (
        "init.test_real_layouts.test_ids_may_have_no_images",
    ),
    "Most of the images missing": ("init.test_truth.test_most_images_may_be_missing",),
    "No image files: videos, volumes, …": (
        "test_small_competitions.test_a_blank_column_is_ignored",
    ),
    "An image much larger than the others": (
        "test_small_competitions.test_an_image_much_larger_than_the_others_is_downsized",
    ),
}
