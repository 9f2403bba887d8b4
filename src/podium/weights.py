"""Trained weights: safetensors, with the params and the data that made them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from podium import files, losses, models
from podium.errors import UserError
from podium.model_schema import Model

KEY = "podium"  # one key: the order of several would change the file's bytes


def save(path: Path, state: dict[str, torch.Tensor], made_from: dict[str, Any]) -> None:
    """Write a model's state atomically; `made_from` goes into the file's header as JSON."""
    with files.atomic(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
        save_file(contiguous, temporary, metadata={KEY: json.dumps(made_from, sort_keys=True)})


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model with the weights of `path`, and what `save` was given as `made_from`.

    Raises:
        UserError: if the file is not there, damaged, or not one of ours.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(KEY)
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if header is None:
        raise UserError(f"{path} was not written by this pipeline")
    made_from = json.loads(header)
    config = Model.model_validate(made_from["config"])
    outputs = losses.outputs(config, len(made_from["classes"]))
    model = models.create(config, outputs=outputs, pretrained=False)
    model.load_state_dict(state)
    return model, made_from
