"""Probes in an export: their frozen backbones, and predictions without the pipeline."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch

from podium.config.embeddings import Embedding
from podium.config.probes import Probe
from podium.core import files
from podium.core.errors import UserError
from podium.core.provenance import EmbeddingProvenance, TrainingProvenance
from podium.features import probe
from podium.features.extract import Extractor
from podium.images.store import ImageStore
from podium.kaggle.kernel.spec import ExportedFold, ExportedModel
from podium.metadata.encoding import Encoding
from podium.models import weights
from podium.prediction.tta import VIEWS
from podium.scoring.task import Task


def export(training: TrainingProvenance, dataset: Path) -> list[ExportedFold] | None:
    """Write the backbones of a probe to `dataset`, once each; None for other models.

    Raises:
        UserError: if pretrained weights have changed since the features were computed.
    """
    if "embeddings" not in training.config:
        return None
    exported = []
    for values in training.config["embeddings"]:
        provenance = EmbeddingProvenance(**values)
        extractor = Extractor(
            Embedding(**provenance.config), seed=training.seed, channels=provenance.channels
        )
        file = extractor.weights
        if (None if file is None else files.sha256(file.path)) != provenance.pretrained_sha256:
            raise UserError(
                f"the pretrained weights of {provenance.config['architecture']} have changed since "
                "its features were computed. Run `dvc repro --force embed`, then `dvc repro`."
            )
        state = {name: tensor.contiguous() for name, tensor in extractor.net.state_dict().items()}
        data = safetensors.torch.save({name: tensor.cpu() for name, tensor in state.items()})
        path = dataset / f"backbone-{hashlib.sha256(data).hexdigest()[:12]}.safetensors"
        files.write_bytes(path, data)
        exported.append(ExportedFold(file=path.name, sha256=files.sha256(path)))
    return exported


class ProbePredictor:
    """The backbones of a probe, whose features all its folds share."""

    def __init__(self, model: ExportedModel, dataset: Path) -> None:
        """Load the backbones that `export` wrote to `dataset`."""
        states = [weights.read(dataset / fold.file) for fold in model.folds]
        self.heads = [{n: tensor.numpy() for n, tensor in state.items()} for state, _, _ in states]
        training = states[0][1]
        self.encodings = [Encoding.of(of_fold) for _, of_fold, _ in states]
        self.config, self.task = Probe(**training.config["probe"]), Task.of(training)
        self.extractors = [
            Extractor(
                Embedding(**embedding["config"]),
                seed=training.seed,
                channels=embedding["channels"],
                state=safetensors.torch.load_file(dataset / file.file),
            )
            for embedding, file in zip(
                training.config["embeddings"], model.embeddings or (), strict=True
            )
        ]

    def predict(
        self, store: ImageStore, ids: list[str], metadata: pd.DataFrame
    ) -> list[np.ndarray]:
        """The logits of the images `ids`, [N, C], of each fold."""
        parts = []
        for extractor in self.extractors:
            views = [VIEWS[view] for view in extractor.config.views]
            parts.append(extractor.extract(store, ids, views).values)
        logits = []
        for arrays, encoding in zip(self.heads, self.encodings, strict=True):
            encoded = None if encoding is None else encoding.encode(metadata, ids)
            features = probe.inputs(self.config, parts, encoded)
            logits.append(probe.predict(self.config.head, arrays, features, self.task))
        return logits
