"""Predict images with trained weights and test-time augmentation."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from podium.config.models import Model
from podium.config.predict import Predict
from podium.core import console
from podium.core.errors import UserError, counted
from podium.core.provenance import PredictionProvenance
from podium.images import ordered, sampling
from podium.images.loading import Batch
from podium.images.store import ImageStore
from podium.metadata.encoding import Encoding
from podium.models import device, heads, weights
from podium.models.inference import View, infer, infer_features
from podium.models.targets import TargetCodec
from podium.prediction import knn
from podium.prediction.predictions import Predictions
from podium.prediction.tta import VIEWS

IDENTITY = "identity"
MEASURED_BATCHES = 4  # per batch that does not count


class Predictor:
    """A trained model with its test-time augmentation."""

    def __init__(
        self, path: Path, options: Predict, reference: knn.Reference | None = None
    ) -> None:
        """Load the weights at `path`, with the config and the classes in their header.

        `reference`: the training images that vote, if `options.neighbors` asks for them.

        Raises:
            UserError: as `weights.load`; if the reference is of another network.
        """
        self.net, self.training, self.weights_sha256 = weights.load(path)
        self.config, self.options = Model.model_validate(self.training.config), options
        self.codec, self.views = TargetCodec.of(self.training), list(options.views)
        self.accelerator = device.accelerator(self.config.precision)
        self.net = self.accelerator.prepare(self.net)
        if reference is not None and reference.weights_sha256 != self.weights_sha256:
            raise UserError(f"{path} is not what the neighbors' features are of. Run `dvc repro`.")
        self.reference, self.encoding = reference, Encoding.of(self.training)

    def learn_neighbors(self, store: ImageStore, voters: pd.DataFrame, path: Path) -> None:
        """Let the training images in `voters` (id and label), which `store` has, vote with their
        labels, and write their features to `path`; nothing without `options.neighbors`. Metadata
        are not among these features.
        """
        if self.options.neighbors is None:
            return
        ids, labels = voters["id"].tolist(), voters["label"].tolist()
        views, self.views = self.views, [IDENTITY]
        loader = self._loader(store, ids)
        _, features = self._infer_features(loader, loader.batch_sampler.batch_size)
        self.views = views
        targets = self.codec.task.targets(labels)
        self.reference = knn.Reference.of(features[:, 0], targets, self.weights_sha256)
        knn.write(path, self.reference)
        console.say(f"{len(ids)} training images vote")

    def predict(
        self,
        store: ImageStore,
        ids: list[str],
        metadata: pd.DataFrame | None = None,
        units: pd.Series | None = None,
    ) -> Predictions[PredictionProvenance]:
        """Predict the images `ids` of `store`, averaged over the views. A model that was trained on
        metadata reads that of the images from the table `metadata`. One that pools the features of
        a unit's images predicts the same for all of them; `units` has the unit of each image id.

        Raises:
            UserError: if an image has no metadata, or there are no units.
        """
        options = {**self.options.model_dump(), "views": self.views}
        provenance = PredictionProvenance(
            training=self.training,
            weights_sha256=self.weights_sha256,
            predict=options,
            images_sha256=store.sha256(),
            averaging=self.codec.loss.averaging,
        )
        order, numbers = self._arrange(ids, units)
        arranged = [ids[row] for row in order]
        loader = self._loader(store, arranged, self._encode(metadata, arranged), numbers)
        size = loader.batch_sampler.batch_size
        if not ids:  # `prepare.hidden_test`
            logits = np.zeros((0, len(self.training.classes)), np.float32)
        elif self.options.neighbors is None:
            logits = self._infer(loader, size).numpy()
        else:
            assert self.reference is not None
            logits, features = self._infer_features(loader, size)
            logits = knn.blend(logits, features, self.reference, self.options.neighbors)
        return Predictions(ids, logits[np.argsort(order)], provenance)

    def enforce_time_limit(
        self,
        store: ImageStore,
        ids: list[str],
        metadata: pd.DataFrame | None = None,
        units: pd.Series | None = None,
    ) -> None:
        """If there is a time limit, estimate how long the images `ids` will take; if that is too
        long and `on_timeout` allows it, drop views.

        Raises:
            UserError: if the images will take longer than the limit.
        """
        limit = self.options.time_limit_minutes
        if limit is None or not ids:
            return
        while (minutes := self._estimate_minutes(store, ids, metadata, units)) > limit:
            views = counted(len(self.views), "view")
            estimate = f"{counted(len(ids), 'image')} with {views}: {minutes:.2g} minutes"
            if self.options.on_timeout == "fail" or len(self.views) == 1:
                raise UserError(
                    f"predict.time_limit_minutes: {estimate} here, the limit is {limit:g}. Use "
                    "fewer views, a smaller model or image_size, or set on_timeout: fewer_views."
                )
            console.say(f"{estimate}, the limit is {limit:g}: dropping {self.views.pop()}")
        console.say(
            f"{counted(len(ids), 'image')} with {counted(len(self.views), 'view')}: about "
            f"{minutes:.2g} of {limit:g} minutes"
        )

    def _estimate_minutes(
        self,
        store: ImageStore,
        ids: list[str],
        metadata: pd.DataFrame | None = None,
        units: pd.Series | None = None,
    ) -> float:
        """Estimate how long `ids` take, from the first few batches.

        The clock starts after the batches that were loaded while the first one was predicted; with
        too few images for that, it starts at once.
        """
        size, skipped = self.options.batch_size, 1 + self._loader(store, ids).ahead
        sample = ids[: (1 + MEASURED_BATCHES) * skipped * size]
        order, numbers = self._arrange(sample, units)
        sample = [sample[row] for row in order]
        loader = self._loader(store, sample, self._encode(metadata, sample), numbers)
        skipped = skipped if len(loader.batch_sampler) >= 2 * skipped else 0
        start, measured = time.perf_counter(), len(sample)

        def timed() -> Iterator[Batch]:
            nonlocal start, measured
            for count, batch in enumerate(loader, start=1):
                yield batch
                if count <= skipped:
                    start, measured = time.perf_counter(), measured - len(batch.inputs["image"])

        self._infer(timed(), loader.batch_sampler.batch_size)
        return (time.perf_counter() - start) / measured * len(ids) / 60

    def _arrange(
        self, ids: list[str], units: pd.Series | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The order in which the images `ids` are predicted, and the number of each one's unit in
        this order, if the network pools the features of a unit's images.
        """
        if self.config.image_pool is None or not ids:  # `prepare.hidden_test`
            return np.arange(len(ids)), None
        if units is None:
            raise UserError("the model pools the features of an id's images, but no ids are given.")
        return sampling.adjacent(units.loc[ids].tolist())

    def _loader(
        self,
        store: ImageStore,
        ids: list[str],
        metadata: np.ndarray | None = None,
        units: np.ndarray | None = None,
    ) -> ordered.InOrder:
        return ordered.for_inference(
            store,
            ids,
            size=self.config.image_size,
            resize_mode=self.config.resize_mode,
            batch_size=self.options.batch_size,
            device=self.accelerator.device.type,
            metadata=metadata,
            units=units,
        )

    def _encode(self, metadata: pd.DataFrame | None, ids: list[str]) -> np.ndarray | None:
        if self.encoding is None:
            return None
        if metadata is None:
            raise UserError("the model was trained on metadata, but there is none.")
        return self.encoding.encode(metadata, ids)

    def _infer_features(
        self, batches: Iterable[Batch], batch_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits [N, C], averaged over the views, and features [N, V, D] before the classifier."""
        layer = heads.classifier(self.accelerator.unwrap_model(self.net))
        with self._batch_size_errors():
            logits, features = infer_features(
                self.net,
                layer,
                batches,
                self.codec,
                accelerator=self.accelerator,
                batch_size=batch_size,
                views=self._views(),
            )
        return logits.numpy(), features.numpy()

    def _infer(self, batches: Iterable[Batch], batch_size: int) -> Tensor:
        with self._batch_size_errors():
            return infer(
                self.net,
                batches,
                self.codec,
                accelerator=self.accelerator,
                batch_size=batch_size,
                views=self._views(),
            )

    def _views(self) -> list[View]:
        return [VIEWS[view] for view in self.views]

    def _batch_size_errors(self) -> AbstractContextManager[None]:
        size, where = self.options.batch_size, self.accelerator.device
        return device.batch_size_errors("predict.batch_size", size, where)
