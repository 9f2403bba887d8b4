"""Predicting with trained weights: one way for validation and test images."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor

from podium.config.models import Model
from podium.config.predict import Predict
from podium.core import console, machine
from podium.core.errors import UserError
from podium.core.provenance import PredictionProvenance
from podium.images import loading
from podium.images.augment import Augmentation
from podium.images.loading import Batch
from podium.images.store import ImageStore
from podium.models import device, weights
from podium.models.inference import infer
from podium.models.targets import TargetCodec
from podium.prediction.predictions import Predictions
from podium.prediction.tta import VIEWS

MEASURED = 4  # batches of each worker, after one that warms up


class Predictor:
    """A trained model with its test-time augmentation."""

    def __init__(self, path: Path, options: Predict) -> None:
        """Load the weights of `path`, with the config and the classes that stand in them."""
        self.net, self.training, self.weights_sha256 = weights.load(path)
        self.config, self.options = Model.model_validate(self.training.config), options
        self.views = list(options.views)
        self.accelerator = device.accelerator(self.config.precision)
        self.net = self.accelerator.prepare(self.net)

    def predict(self, store: ImageStore, ids: list[str]) -> Predictions[PredictionProvenance]:
        """The mean of the views' logits for the images `ids` of `store`."""
        options = {**self.options.model_dump(), "views": self.views}
        provenance = PredictionProvenance(
            training=self.training,
            weights_sha256=self.weights_sha256,
            predict=options,
            images_sha256=store.sha256(),
        )
        return Predictions(ids, self._infer(self._loader(store, ids)).numpy(), provenance)

    def keep_to_the_limit(self, store: ImageStore, ids: list[str]) -> None:
        """Measure how long the images `ids` will take, if there is a limit to it; where that is too
        long, leave views out if the options say so.

        Raises:
            UserError: if they will take longer than the limit.
        """
        limit = self.options.time_limit_minutes
        if limit is None:
            return
        while (minutes := self._minutes(store, ids)) > limit:
            found = (
                f"{len(ids)} images with {len(self.views)} views will take {minutes:.2g} minutes"
            )
            if self.options.on_timeout == "fail" or len(self.views) == 1:
                raise UserError(
                    f"{found} here; predict.time_limit_minutes is {limit:g}: take fewer views, a "
                    "smaller model or image_size, or on_timeout: fewer_views"
                )
            console.say(f"{found}, the limit is {limit:g}: leaving out {self.views.pop()}")
        console.say(
            f"{len(ids)} images with {len(self.views)} views will take about {minutes:.2g} of "
            f"{limit:g} minutes"
        )

    def _minutes(self, store: ImageStore, ids: list[str]) -> float:
        """How long `ids` will take, from the first few batches: the clock starts when as many are
        done as there are workers, or at once where there are too few.
        """
        warm = max(1, machine.loader_workers(self.accelerator.device.type))
        size = self.options.batch_size
        sample = ids[: (1 + MEASURED) * warm * size]
        warm = warm if len(sample) >= 2 * warm * size else 0
        start = time.perf_counter()

        def clocked() -> Iterator[Batch]:
            nonlocal start
            for done, batch in enumerate(self._loader(store, sample), start=1):
                yield batch
                if done == warm:
                    start = time.perf_counter()

        self._infer(clocked())
        measured = len(sample) - warm * size
        return (time.perf_counter() - start) / measured * len(ids) / 60

    def _loader(self, store: ImageStore, ids: list[str]) -> loading.Loader:
        plain = Augmentation(
            "none", size=self.config.image_size, resize_mode=self.config.resize_mode
        )
        return loading.in_order(
            loading.Images(store, ids, None, transforms=[plain]),
            self.options.batch_size,
            workers=machine.loader_workers(self.accelerator.device.type),
        )

    def _infer(self, batches: Iterable[Batch]) -> Tensor:
        try:
            return infer(
                self.net,
                batches,
                views=[VIEWS[view] for view in self.views],
                to_logits=TargetCodec.of(self.training).to_logits,
                accelerator=self.accelerator,
            )
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            size, where = self.options.batch_size, device.name(self.accelerator.device)
            raise UserError(
                f"predict.batch_size: {size} does not fit {where}: try {size // 2}"
            ) from None
