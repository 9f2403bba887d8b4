from pathlib import Path

import pytest
import torch
from provenances import training
from safetensors.torch import save_file
from trainings import config

from podium.core.errors import UserError
from podium.models import factory, weights


def test_weights_are_saved_with_their_provenance_and_same_bytes(tmp_path: Path) -> None:
    model = config(dropout=0.5)
    net = factory.create(model, outputs=2)
    provenance = training(config=model.model_dump(), classes=["x", "y"], fold=3)
    weights.save(tmp_path / "w.safetensors", net.state_dict(), provenance)
    weights.save(tmp_path / "again.safetensors", net.state_dict(), provenance)
    loaded, read, sha256 = weights.load(tmp_path / "w.safetensors")
    assert read == provenance and len(sha256) == 64
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    first, second = (tmp_path / name for name in ("w.safetensors", "again.safetensors"))
    assert first.read_bytes() == second.read_bytes()
    save_file({"fc.bias": torch.zeros(2)}, second)
    with pytest.raises(UserError, match="was not written by Podium"):
        weights.load(second)
    first.write_bytes(first.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be read"):
        weights.load(first)
