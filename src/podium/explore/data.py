"""The prepared data for the checks: one row per image, training images first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from podium.config.embeddings import Embedding
from podium.core import paths
from podium.core.manifest import Manifest
from podium.explore import features
from podium.explore.features import Described
from podium.explore.image_stats import STATISTICS
from podium.images import channels
from podium.images.store import ImageStore, JoinedStores
from podium.pages.document import counted
from podium.scoring.task import LABEL_SEPARATOR, Task

TEST = "\ntest\n"  # prefix of test ids in the joined store; ids have no line breaks


@dataclass(frozen=True)
class Data:
    """Tables, measurements and features of all images."""

    task: Task  # multilabel for several targets
    targets: list[str]  # the names of several targets; empty for one
    ids: list[str]  # [N], training images first
    units: list[str]  # of the images that share a row of the submission the same: [N]
    labels: list[str]  # of the training images, [M]
    folds: np.ndarray  # of the training images, int [M]
    groups: list[str] | None  # of the training images
    duplicates: pd.DataFrame  # part, id, pixels, set
    files: pd.DataFrame | None  # `FileFacts` [N]; None for images in tables
    shared: pd.DataFrame  # rows of both tables: part, id, group ("": none), shared columns
    described: Described
    trained: bool  # whether the features are those of a pretrained network
    store: JoinedStores

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return len(self.labels)

    @property
    def noun(self) -> str:
        """What has a label: "image", or "id" if some have several training images."""
        return "image" if len(set(self.units[: self.n_train])) == self.n_train else "id"

    def counted(self, rows: Sequence[int]) -> str:
        """How many `noun`s the rows have: "2 ids"."""
        return counted(len({self.units[row] for row in rows}), self.noun)

    @property
    def is_test(self) -> np.ndarray:
        """Which rows are test images, bool [N]."""
        return np.arange(len(self.ids)) >= self.n_train

    def decode(self, row: int) -> np.ndarray:
        """The pixels of an image as RGB: uint8 [H, W, 3]."""
        stored = _stored(self.ids[row], is_test=row >= self.n_train)
        return channels.as_rgb(self.store.decode(stored))

    def identical(self) -> list[list[int]]:
        """The rows of each set of images with the same pixels."""
        table = self.duplicates
        parts = ["train"] * self.n_train + ["test"] * (len(self.ids) - self.n_train)
        rows = {key: row for row, key in enumerate(zip(parts, self.ids, strict=True))}
        table = table[table["pixels"].duplicated(keep=False)]
        by_pixels = table.assign(
            row=[rows[key] for key in zip(table["part"], table["id"], strict=True)]
        ).groupby("pixels", sort=False)
        return [sorted(group["row"].tolist()) for _, group in by_pixels]

    def units_of_rows(self) -> list[str]:
        """The unit of each row of `shared`: that of its images, or else the row's id."""
        units = dict(zip(self.units, self.units, strict=True))
        for row, (image, unit) in enumerate(zip(self.ids, self.units, strict=True)):
            units[_stored(image, is_test=row >= self.n_train)] = unit
        stored = [
            _stored(row_id, is_test=part == "test")
            for row_id, part in zip(self.shared["id"], self.shared["part"], strict=True)
        ]
        return [units.get(name, name) for name in stored]

    def content(self) -> dict[str, np.ndarray]:
        """Statistics of the images' content, by name: [N] each."""
        return {name: self.described.stats.statistic(name) for name in STATISTICS}

    def facts(self) -> dict[str, np.ndarray]:
        """Facts about files and their names: numbers or text [N], by name of the fact."""
        sizes = self.described.stats.sizes.astype(np.float64)
        names, files = self.ids, self.files
        result: dict[str, np.ndarray] = {}
        if files is not None:
            names = files["file"].tolist()
            columns = {name: files[name].astype(float).to_numpy() for name in ("width", "height")}
            if (columns["width"] > 0).all():
                sizes = np.stack([columns["height"], columns["width"]], axis=1)
            size = files["bytes"].astype(float).to_numpy()
            result |= {"file size": size, "bytes per pixel": size / sizes.prod(axis=1)}
            result |= {"file format": files["format"].to_numpy(object)}
            result |= {"channels": files["mode"].to_numpy(object)}
            result |= {"EXIF tags": files["exif"].astype(float).to_numpy()}
        result |= {"width": sizes[:, 1], "height": sizes[:, 0]}
        result |= {"aspect ratio": sizes[:, 1] / sizes[:, 0]}
        return result | _facts_of_names([PurePosixPath(name).name for name in names])


def read(backbone: Embedding | None, *, seed: int) -> Data:
    """Read the prepared tables, and measure all images.

    Raises:
        UserError: if a file of an earlier stage is missing or damaged.
    """
    prepared = Manifest(paths.PREPARED)
    train, test = prepared.csv("train.csv"), prepared.csv("test.csv")
    folds = Manifest(paths.FOLDS).csv("folds.csv").set_index("id")["fold"]
    stores = {part: ImageStore(paths.IMAGES / part) for part in ("train", "test")}
    store = JoinedStores(stores["train"], {TEST: stores["test"]})
    ids = [*train["id"], *test["id"]]
    stored = [_stored(image, is_test=row >= len(train)) for row, image in enumerate(ids)]
    files = prepared.csv("files.csv")
    parts = ["train"] * len(train) + ["test"] * len(test)
    if len(files):
        index = pd.MultiIndex.from_arrays([parts, ids])
        files = files.set_index(["part", "id"]).reindex(index).reset_index(drop=True)
        unreadable = {"file": pd.Series(ids), "format": "", "mode": ""}
        files = files.fillna(unreadable).fillna("0")
    submitted = Task.submitted(prepared)
    task, labels = _with_one_target(submitted, train["label"].tolist())
    return Data(
        task=task,
        targets=[part.name for part in submitted.parts],
        ids=ids,
        units=[
            _stored(unit, is_test=part is test)
            for part in (train, test)
            for unit in part["unit" if "unit" in part else "id"]
        ],
        labels=labels,
        folds=folds.reindex(train["id"]).astype(int).to_numpy(),
        groups=train["group"].tolist() if "group" in train else None,
        duplicates=prepared.csv("duplicates.csv"),
        files=files if len(files) else None,
        shared=_shared(prepared),
        described=features.describe(store, stored, backbone, seed=seed),
        trained=backbone is not None,
        store=store,
    )


def _shared(prepared: Manifest) -> pd.DataFrame:
    """The rows of both tables, with numbers as float64 (NaN: missing) and categories as text."""
    table = prepared.csv("shared_columns.csv")
    for name, kind in prepared.facts["shared_columns"].items():
        if kind != "categorical":
            table[f"column {name}"] = pd.to_numeric(table[f"column {name}"], errors="coerce")
    return table


def _with_one_target(task: Task, labels: list[str]) -> tuple[Task, list[str]]:
    """Several targets as labels of one: an image's classes of all targets, and whether its numbers
    are above their medians. Other tasks are unchanged.
    """
    if not task.parts:
        return task, labels
    targets, classes = task.targets(labels), list[str]()
    rows = [list[str]() for _ in labels]
    for part in task.parts:
        own, places = part.of_labeled(targets), np.flatnonzero(part.labeled(targets))
        names = task.classes[part.columns]
        if part.task.name == "regression":
            names = [f"{part.name} up to its median", f"{part.name} above its median"]
            own = (own[:, 0] > np.median(own)).astype(int)
        for row, label in zip(places, own, strict=True):
            rows[row].append(names[label])
        classes += names
    return Task("multilabel", classes), [LABEL_SEPARATOR.join(row) for row in rows]


def _stored(image: str, *, is_test: bool) -> str:
    return TEST + image if is_test else image


def _facts_of_names(names: list[str]) -> dict[str, np.ndarray]:
    """The names' natural sort order and their length."""
    keys = [
        [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _parts(name)]
        for name in names
    ]
    ranks = np.empty(len(names))
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return {"file name order": ranks, "file name length": np.array([*map(len, names)], float)}


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(\d{1,18})", name) if part]
