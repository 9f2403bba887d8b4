"""Trained weights: safetensors files with their provenance in the header."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from podium.config.models import Model
from podium.core import checksums, files
from podium.core.errors import UserError
from podium.core.provenance import TrainingProvenance
from podium.metadata.encoding import Encoding
from podium.models import factory
from podium.models.targets import TargetCodec
from podium.models.weights_file import State


def save(path: Path, state: State, provenance: TrainingProvenance) -> None:
    """Write a network's state dict, or the arrays of a probe's head, and its provenance
    atomically.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    header = {checksums.KEY: checksums.sign(provenance.to_json(), _arrays(contiguous))}
    files.write_bytes(path, safetensors.torch.save(contiguous, header))


def load(path: Path) -> tuple[nn.Module, TrainingProvenance, str]:
    """Load the network with its weights, their provenance, and the SHA-256 of both.

    Raises:
        UserError: as `read`.
    """
    state, provenance, sha256 = read(path)
    config = Model.model_validate(provenance.config)
    outputs = TargetCodec.of(provenance).outputs
    encoding = Encoding.of(provenance)
    model = factory.create(
        config,
        outputs=outputs,
        channels=provenance.channels,
        load_pretrained=False,
        metadata_size=None if encoding is None else encoding.size,
    )
    model.load_state_dict(state)
    return model, provenance, sha256


def read(path: Path) -> tuple[State, TrainingProvenance, str]:
    """Read the tensors that `save` wrote, their provenance, and the SHA-256 of both.

    Raises:
        UserError: if the file is missing, corrupted, or was not written by `save`.
    """
    try:
        with safe_open(path, "pt") as file:
            header = checksums.header(file.metadata(), path=path)
        state = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}. {files.RERUN_HINT}") from None
    content, sha256 = checksums.verify(header, _arrays(state), path=path)
    return state, TrainingProvenance.from_json(content, path=path), sha256


def _arrays(state: dict[str, torch.Tensor]) -> Iterable[tuple[str, np.ndarray]]:
    return ((name, tensor.cpu().numpy()) for name, tensor in state.items())
