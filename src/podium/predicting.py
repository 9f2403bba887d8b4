"""Predicting with trained weights: one way for validation and test images."""

from pathlib import Path
from typing import Any

from podium import device, loading, machine, weights
from podium.augment import Augmentation
from podium.infer import infer
from podium.predictions import Predictions
from podium.schema import Model, Predict
from podium.store import ImageStore


class Predictor:
    """A trained model with its test-time augmentation."""

    def __init__(self, path: Path, options: Predict) -> None:
        """Load the weights of `path`, with the config and the classes that stand in them."""
        self.net, self.made_from = weights.load(path)
        self.config, self.options = Model.model_validate(self.made_from["config"]), options
        self.accelerator = device.accelerator(self.config.precision)
        self.net = self.accelerator.prepare(self.net)

    def predict(self, store: ImageStore, ids: list[str]) -> Predictions:
        """The mean of the views' logits for the images `ids` of `store`."""
        plain = Augmentation([], size=self.config.image_size, fit=self.config.fit)
        loader = loading.in_order(
            loading.Images(store, ids, None, transform=plain),
            self.options.batch_size,
            workers=machine.loader_workers(self.accelerator.device.type),
        )
        logits = infer(self.net, loader, views=self.options.views, accelerator=self.accelerator)
        made_from: dict[str, Any] = {**self.made_from, "predict": self.options.model_dump()}
        return Predictions(ids, logits.numpy(), made_from)
