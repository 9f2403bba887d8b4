"""Trained weights: safetensors, with the params and the data that made them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from podium import files, models, seal
from podium.coding import Coding
from podium.errors import UserError
from podium.model_schema import Model


def save(path: Path, state: dict[str, torch.Tensor], made_from: dict[str, Any]) -> None:
    """Write a model's state atomically; `made_from` goes into the file's header as JSON."""
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    header = {seal.KEY: seal.seal(made_from, _arrays(contiguous))}
    files.write_bytes(path, safetensors.torch.save(contiguous, header))


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model with the weights of `path`, and what `save` was given as `made_from`, with the
    weights_sha256.

    Raises:
        UserError: if the file is not there, damaged, or not one of ours.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(seal.KEY)
        state = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if header is None:
        raise UserError(f"{path} was not written by this pipeline")
    made_from, sha256 = seal.unseal(header, _arrays(state), path=path)
    if not {"task", "scale"} <= made_from.keys():
        raise UserError(f"{path} was made by an older version: run `dvc repro`")
    config = Model.model_validate(made_from["config"])
    outputs = Coding.of(made_from).outputs
    model = models.create(config, outputs=outputs, pretrained=False)
    model.load_state_dict(state)
    return model, {**made_from, "weights_sha256": sha256}


def _arrays(state: dict[str, torch.Tensor]) -> Iterable[tuple[str, np.ndarray]]:
    return ((name, tensor.cpu().numpy()) for name, tensor in state.items())
