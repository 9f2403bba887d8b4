"""Choose how images become square, and their size, by linear probes on a sample of the images."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium.competition.archive import Archive
from podium.config.embeddings import Embedding
from podium.config.prepare import Prepare
from podium.core import machine, seeding
from podium.core.errors import UserError
from podium.dataset import build, splitting
from podium.dataset.tables import Tables
from podium.features import fitting, per_target
from podium.features.extract import Extractor
from podium.features.fitting import Blocks, Fitted
from podium.features.linear import head_for
from podium.features.neighbors import unit
from podium.features.per_target import FittedHeads
from podium.images.store import SHARD_SIZE, ImageStore
from podium.init.defaults import STORED_SIZE_FACTOR
from podium.init.facts import MAX_TINY_SIDE_PIXELS
from podium.init.measured import Kind, Measured, Row
from podium.params import libraries
from podium.planning import stopwatch
from podium.prediction.tta import VIEWS
from podium.scoring.task import Task

MAX_IMAGES = 400  # of the sample
FOLDS = 3
SEED = 0
MODES = ("crop", "squash", "pad")
GAIN = 0.97  # a loss of this times that of cheaper features is worth more time
LARGER = 1.4  # the next size, times the last
SIZE_STEP = 32
USUAL_SIZE = 160  # up to which all sizes are tried; a larger one only if the last was a gain
MAX_STEPS = 3  # to sizes above that
MAX_MINUTES = 3.0  # for the features of all images
MIN_IMAGES = 30
SQUARE = 1.02  # ratio of the sides; closer to 1, all ways to make an image square are alike


class Excerpt(NamedTuple):
    """Some of the training images, stored as the stage prepare does."""

    store: ImageStore
    train: pd.DataFrame  # id, label, and group if there is one
    task: Task
    total: int  # all training and test images
    seconds: float  # per image: to decode, downsize and store it, in one process
    processes: int  # that will do it

    @property
    def is_comparable(self) -> bool:
        """Whether there are enough images to compare features by."""
        return len(self.train) >= MIN_IMAGES


@contextmanager
def excerpt(
    archive: Archive, prepare: Mapping[str, Any], tables: Tables, task: Task, *, image_size: int
) -> Iterator[Excerpt]:
    """Store a sample for networks that take images of `image_size` or a little more, until the
    block ends.

    Raises:
        UserError: if images cannot be read.
    """
    order = seeding.generator(SEED, "measure").permutation(len(tables.train))
    train = tables.train.iloc[np.sort(order[:MAX_IMAGES])]
    with tempfile.TemporaryDirectory() as folder:
        size = round(STORED_SIZE_FACTOR * max(larger_sizes(image_size)))
        layout = Prepare(**{**prepare, "on_bad_image": "skip", "max_size": size})
        ids = {"train": train["id"].tolist()}
        start = stopwatch.now()
        build.store_images(archive, ids, folder=Path(folder), layout=layout, processes=1)
        seconds = (stopwatch.now() - start) / len(train)
        store = ImageStore(Path(folder) / "train")
        train = train[[image in store for image in train["id"]]]
        total = len(tables.train) + len(tables.test)
        shards = -(-total // SHARD_SIZE)
        processes = min(machine.decoding_processes(archive.path.stat().st_size), shards)
        few = Excerpt(store, train, task, total, seconds, processes)
        yield few


def compare(
    few: Excerpt,
    backbone: Embedding,
    *,
    max_minutes: float = MAX_MINUTES,
    max_images: int = MAX_IMAGES,
) -> Measured:
    """Compare the resize modes, and sizes from that of `backbone`, by up to `max_images`; then add
    the features that help most to the best, one by one (forward selection), as long as all
    together take up to `max_minutes` on this device.

    Raises:
        UserError: if the backbone does not take images of its size.
    """
    if len(few.train) > max_images:
        few = few._replace(train=few.train.sample(max_images, random_state=SEED).sort_index())
    trial = _Trial(few, backbone)
    modes = MODES[:1] if trial.are_square() else MODES
    size = trial.backbone.image_size
    if problem := trial.problem(Kind(modes[0], size)):
        raise UserError(problem)
    rows = [trial.row(Kind(mode, size)) for mode in modes]
    best = min(rows, key=lambda row: row.loss)
    (kind,) = best.kinds
    singles, widest = [best], best
    for size in larger_sizes(kind.image_size):
        larger = Kind(kind.resize_mode, size)
        if best.minutes * (size / kind.image_size) ** 2 > max_minutes or trial.problem(larger):
            break
        row = trial.row(larger)
        rows.append(row)
        if row.loss <= GAIN * widest.loss:
            singles.append(row)
            widest = row
        elif size >= USUAL_SIZE:
            break
    chosen = best
    for row in sorted(singles, key=lambda row: row.minutes):
        if row.minutes <= max_minutes and row.loss < GAIN * chosen.loss:
            chosen = row
    known = [single.kinds[0] for single in rows]
    others = [Kind(mode, chosen.kinds[0].image_size) for mode in modes]
    while joined := trial.best_with_one_more(chosen, {*known, *others}, max_minutes=max_minutes):
        rows.append(joined)
        if joined.loss >= GAIN * chosen.loss:
            break
        chosen = joined
    enlarged = min(chosen.kinds[0].image_size, USUAL_SIZE) if trial.are_tiny() else None
    return Measured(rows, len(trial.train), kind.resize_mode, enlarged, chosen.kinds)


def larger_sizes(size: int) -> Iterator[int]:
    """The sizes to try after `size`, each about 1.4 times the last."""
    steps = 0
    while steps < MAX_STEPS:
        size = max(size + SIZE_STEP, round(LARGER * size / SIZE_STEP) * SIZE_STEP)
        steps += size > USUAL_SIZE
        yield size


class _Trial:
    """A sample of the training images, and the features computed so far."""

    def __init__(self, few: Excerpt, backbone: Embedding) -> None:
        self.store, self.task, self.total, self.backbone = few.store, few.task, few.total, backbone
        table = splitting.make_folds(few.train, few.task, count=FOLDS, seed=SEED)
        self.train, self.folds = table["id"].tolist(), table["fold"].to_numpy()
        self.sides = np.array([self.store.decode(image).shape[:2] for image in self.train])
        self.targets = few.task.targets(table["label"].tolist())
        self.features: dict[Kind, np.ndarray] = {}
        self.minutes: dict[Kind, float] = {}

    def are_square(self) -> bool:
        """Whether almost all images are as wide as high."""
        return bool(np.quantile(self.sides.max(axis=1) / self.sides.min(axis=1), 0.9) < SQUARE)

    def are_tiny(self) -> bool:
        """Whether most images are as small as those of MNIST or CIFAR."""
        return bool(np.median(self.sides.min(axis=1)) <= MAX_TINY_SIDE_PIXELS)

    def problem(self, kind: Kind) -> str | None:
        """Why the backbone does not take images of this size; None if it does."""
        channels, embedding = self.store.channels, self._embedding(kind)
        problems = libraries.embedding_problems({kind.name: embedding}, channels=channels)
        return next((text for _, text in problems), None)

    def row(self, *kinds: Kind) -> Row:
        """The loss of a linear probe on the features of `kinds` together."""
        for kind in kinds:
            if kind not in self.features:
                self._extract(kind)
        values = [unit(self.features[kind]) for kind in kinds]  # as probes do by default
        fit: Callable[..., Fitted | FittedHeads] = partial(fitting.fit, head_for(self.task))
        if self.task.parts:
            fit = partial(per_target.fit, lambda _, task: head_for(task))
        loss = fit(
            np.concatenate(values, axis=2),
            self.targets,
            blocks=Blocks([part.shape[2] for part in values]),
            task=self.task,
            folds=self.folds,
            seed=SEED,
        ).loss
        return Row(kinds, loss, sum(self.minutes[kind] for kind in kinds))

    def best_with_one_more(
        self, row: Row, kinds: Collection[Kind], *, max_minutes: float
    ) -> Row | None:
        """The best row with one of `kinds` in addition to those of `row`; None if none fits into
        `max_minutes`.
        """
        left = max_minutes - row.minutes
        rows = [
            self.row(*row.kinds, kind)
            for kind in sorted({*kinds} - {*row.kinds})
            if self._expected_minutes(kind) <= left
        ]
        return min(rows, key=lambda row: row.loss, default=None)

    def _expected_minutes(self, kind: Kind) -> float:
        """Of its features, or of others of the same size: those of a mode were extracted."""
        known = {other.image_size: minutes for other, minutes in self.minutes.items()}
        return self.minutes.get(kind, known[kind.image_size])

    def _embedding(self, kind: Kind) -> Embedding:
        return self.backbone.model_copy(update={**kind._asdict(), "views": ["identity"]})

    def _extract(self, kind: Kind) -> None:
        extractor = Extractor(self._embedding(kind), seed=SEED, channels=self.store.channels)
        start = stopwatch.now()
        self.features[kind] = extractor.extract(self.store, self.train, [VIEWS["identity"]]).values
        seconds = (stopwatch.now() - start) / len(self.train) * self.total
        self.minutes[kind] = len(self.backbone.views) * seconds / 60
