"""Grad-CAM: for all kinds of networks, and where the evidence is."""

from pathlib import Path

import competitions
import numpy as np
import provenances
import pytest
import torch
from torch import nn
from trainings import config

from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.models.targets import TargetCodec
from podium.pages.heatmaps import Explainer, NoGridError, grad_cam
from podium.scoring.task import Task

CODEC = TargetCodec(config(), Task("multiclass", ["a", "b"]))


@pytest.mark.parametrize(
    "architecture",
    [
        *("test_resnet", "test_efficientnet", "test_convnext", "test_mambaout", "test_vit"),
        *("test_vit2", "test_vit3", "test_vit_relpos", "test_coatnet"),
    ],
)
def test_every_kind_of_network_has_a_heat_map(architecture: str) -> None:
    torch.manual_seed(0)
    size = factory.create(config(architecture=architecture), outputs=2).pretrained_cfg  # type: ignore[union-attr]
    side = size["input_size"][1]
    net = factory.create(config(architecture=architecture, image_size=side), outputs=2).eval()
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    heat = grad_cam(net, CODEC, images.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
    assert heat.ndim == 3 and len(heat) == 2 and heat.isfinite().all()
    assert heat.min() >= 0 and heat.max() == 1
    assert (heat[0] * heat[1] == 0).all()  # what speaks for a class speaks against the other


class Corner(nn.Module):
    """Class 1 is the brightness of the lower right of the image."""

    num_features = 2

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        pooled = nn.functional.avg_pool2d(images, 8)[:, :1]
        return torch.cat([pooled, -pooled], dim=1)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        weights = torch.zeros(features.shape[2:])
        weights[-1, -1] = 1
        bright = (features[:, 0] * weights).sum(dim=(1, 2))
        return torch.stack([-bright, bright], dim=1)


def test_the_heat_is_where_the_evidence_is() -> None:
    heat = grad_cam(Corner(), CODEC, torch.ones(1, 3, 32, 32), torch.tensor([1]))[0]
    assert heat[-1, -1] == 1 and heat.sum() == 1


class TwoCorners(Corner):
    """The classes of the first target are told by the upper left, those of the second by the lower
    right.
    """

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        second = super().forward_head(features)
        return torch.cat([super().forward_head(features.flip(2, 3)), second], dim=1)


def test_the_heat_of_one_of_several_targets_is_where_its_own_evidence_is() -> None:
    own = Task("multiclass", ["a", "b"])
    task = Task.join({"first": own, "second": own})
    codec, images = TargetCodec(config(), task), torch.ones(1, 3, 32, 32)
    for part, corner in zip(task.parts, (0, -1), strict=True):
        heat = grad_cam(TwoCorners(), codec, images, torch.tensor([1]), part)[0]
        assert heat[corner, corner] == 1 and heat.sum() == 1


@pytest.mark.parametrize("architecture", ["crossvit_9_240", "pit_ti_224"])
def test_a_network_with_several_grids_or_a_single_cell_has_none(architecture: str) -> None:
    size = int(architecture.rpartition("_")[2])
    net = factory.create(config(architecture=architecture, image_size=size), outputs=2).eval()
    with pytest.raises(NoGridError):
        grad_cam(net, CODEC, torch.zeros(1, 3, size, size), torch.tensor([0]))


def test_a_network_without_a_grid_is_an_error() -> None:
    net = factory.create(config(architecture="simple_cnn", image_size=32), outputs=2)
    with pytest.raises(NoGridError, match="SimpleCNN"):
        grad_cam(net, CODEC, torch.zeros(1, 3, 32, 32), torch.tensor([0]))


def test_the_network_in_a_file_explains_images(images: ImageStore, tmp_path: Path) -> None:
    made = config(architecture="test_resnet", image_size=64)
    net = factory.create(made, outputs=3)
    path = tmp_path / "weights.safetensors"
    weights.save(path, net.state_dict(), provenances.training(config=made.model_dump()))
    explainer, ids = Explainer(path), competitions.tables(120, 0)[0]["id"].tolist()[:11]
    squares, heats = explainer.explain(images, ids, [n % 3 for n in range(11)])
    assert squares.shape == (11, 64, 64, 3) and heats.shape == (11, 2, 2)
    _, alone = explainer.explain(images, ids[9:], [0, 1])
    np.testing.assert_allclose(heats[9:], alone, atol=1e-5)  # the order, across batches
