"""Measure embeddings and probes for a few seconds, with the code that they run."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from podium.config.embeddings import Embedding
from podium.config.probes import Probe
from podium.features import probe
from podium.features.extract import Extractor
from podium.images.store import ImageStore
from podium.metadata.encoding import Encoding
from podium.planning import stopwatch
from podium.planning.cost import HeadTime, Rate
from podium.planning.memory_use import PeakMemory
from podium.planning.stopwatch import Stopwatch
from podium.prediction.tta import VIEWS
from podium.training.build import TrainingData


class EmbeddingTime(NamedTuple):
    """What one embedding costs."""

    network: float  # seconds: create it, read its pretrained weights
    images: Rate  # with all views
    memory: int  # bytes
    features: np.ndarray  # of the images that it was measured with: [N, V, D]


def measure_embedding(
    config: Embedding, store: ImageStore, ids: list[str], *, seed: int
) -> EmbeddingTime:
    """Compute the features of some of the images `ids`.

    Raises:
        UserError: if the weights cannot be read, or a batch does not fit the device's memory.
    """
    start = stopwatch.now()
    extractor = Extractor(config, seed=seed, channels=store.channels)
    network = stopwatch.now() - start
    device = extractor.accelerator.device
    memory, watch = PeakMemory(device), Stopwatch(device)
    batches = stopwatch.timed(extractor.loader(store, ids), watch)
    features = extractor.features(batches, [VIEWS[view] for view in config.views])
    return EmbeddingTime(network, watch.rate(), memory.bytes(), features)


def measure_head(
    config: Probe,
    features: Sequence[np.ndarray],
    labels: TrainingData,
    ids: list[str],
    *,
    seed: int,
) -> HeadTime:
    """How long fitting a probe's head takes in one fold.

    Args:
        config: the probe.
        features: of the first of the images `ids`, by each of the probe's embeddings: [N, V, D].
        labels: has the labels and folds of these images.
        ids: of the images.
        seed: of the fit.
    """
    count = min(map(len, features), default=len(ids))
    parts, sizes = [values[:count] for values in features], [values.shape[2] for values in features]
    metadata = None
    if config.has_metadata and labels.metadata is not None:
        encoding = Encoding.fit(labels.metadata.loc[ids[:count]])
        metadata = encoding.encode(labels.metadata, ids[:count])
        sizes.append(encoding.size)
    rows = labels.folds.set_index("id").loc[ids[:count]]
    task = labels.task
    start = stopwatch.now()
    probe.fit(
        config,
        probe.inputs(config, parts, metadata),
        task.targets(rows["label"].tolist()),
        sizes=sizes,
        task=task,
        folds=rows["fold"].to_numpy(),
        seed=seed,
    )
    seconds, inner = stopwatch.now() - start, rows["fold"].nunique()
    return HeadTime(seconds, count * max(1, len(features)), inner)
