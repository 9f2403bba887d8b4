"""Grad-CAM: for all kinds of networks, and where the evidence is."""

import pytest
import torch
from torch import nn
from trainings import config

from podium.models import factory
from podium.models.targets import TargetCodec
from podium.pages.heatmaps import grad_cam
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


def test_a_network_without_a_grid_is_an_error() -> None:
    net = factory.create(config(architecture="simple_cnn", image_size=32), outputs=2)
    with pytest.raises(ValueError, match="SimpleCNN has no layer with a grid"):
        grad_cam(net, CODEC, torch.zeros(1, 3, 32, 32), torch.tensor([0]))
