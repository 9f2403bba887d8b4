"""Compute the pooled features of images with a frozen backbone."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from podium.config.embeddings import Embedding
from podium.core import console, files, seeding, signals
from podium.core.errors import UserError
from podium.core.provenance import EmbeddingProvenance
from podium.features.tables import Features
from podium.images import ordered
from podium.images.loading import Batch
from podium.images.store import ImageSource, ImageStore
from podium.models import device, factory, pretrained
from podium.models.inference import View
from podium.models.inputs import Preprocess


class Extractor:
    """A frozen backbone: batch norm uses its stored statistics, and nothing is trained."""

    def __init__(
        self,
        config: Embedding,
        *,
        seed: int,
        channels: int = 3,
        state: dict[str, Tensor] | None = None,
    ) -> None:
        """Create the network for images with `channels`, with its pretrained weights, or with
        random ones from `seed`; or with those of `state`.

        Raises:
            UserError: as `models.factory.create`.
        """
        self.config, self.seed, self.channels = config, seed, channels
        model = config.network()
        seeding.set_global(seed, "embedding", 0)
        self.accelerator = device.accelerator(config.precision)
        net = factory.create(model, outputs=1, channels=channels, load_pretrained=state is None)
        if state is not None:
            net.load_state_dict(state)
        self.net = net.to(self.accelerator.device).eval()
        self.weights = None if state is not None else pretrained.locate(model)

    def extract(self, store: ImageStore, ids: list[str], views: Sequence[View]) -> Features:
        """The features of the images `ids` of `store`: float32 [N, V, D].

        Raises:
            UserError: if a batch does not fit the device's memory.
        """
        if not ids:  # `prepare.hidden_test`
            values = np.zeros((0, len(views), 1), np.float32)
        else:
            values = self.features(self.loader(store, ids), views)
        return Features(ids, values, self._provenance(store))

    def loader(self, store: ImageSource, ids: list[str]) -> ordered.InOrder:
        """Batches of the images `ids` of `store`, in order."""
        return ordered.for_inference(
            store,
            ids,
            size=self.config.image_size,
            resize_mode=self.config.resize_mode,
            batch_size=self.config.batch_size,
            device=self.accelerator.device.type,
        )

    @torch.inference_mode()
    def features(self, batches: Iterable[Batch], views: Sequence[View]) -> np.ndarray:
        """The features of all images in `batches`: float32 [N, V, D].

        Raises:
            UserError: if a batch does not fit the device's memory.
        """
        where = self.accelerator.device
        preprocess, values = Preprocess(self.net, where), list[Tensor]()
        with device.batch_size_errors("batch_size", self.config.batch_size, where):
            for batch in console.bar(batches, "features"):
                signals.raise_if_stopped()
                images = preprocess(batch.inputs)["image"]
                with self.accelerator.autocast():
                    pooled_views = [pooled(self.net, view(images)).float() for view in views]
                stacked = torch.stack(pooled_views, dim=1)
                values.append(stacked.to("cpu", non_blocking=True))
            device.synchronize(where)
        features: np.ndarray = torch.cat(values).numpy()
        return features

    def _provenance(self, store: ImageStore) -> EmbeddingProvenance:
        weights = self.weights
        return EmbeddingProvenance(
            config=self.config.model_dump(),
            images_sha256=store.sha256(),
            seed=self.seed if weights is None else None,
            pretrained_sha256=None if weights is None else files.sha256(weights.path),
            pretrained_revision=None if weights is None else weights.revision,
            deterministic=torch.are_deterministic_algorithms_enabled(),
            torch=torch.__version__,
            device=device.name(self.accelerator.device),
            channels=self.channels,
        )


def pooled(net: nn.Module, images: Tensor) -> Tensor:
    """The features [B, D] that a timm network gives its classifier.

    Raises:
        UserError: if they are not vectors.
    """
    features: Tensor = net.forward_head(net.forward_features(images), pre_logits=True)  # type: ignore[operator]
    if features.ndim != 2:
        raise UserError(
            f"architecture: {type(net).__name__} gives features of shape "
            f"{tuple(features.shape[1:])}, not a vector per image. Choose another."
        )
    return features
