"""GeM pooling, of networks to train and of frozen ones."""

from pathlib import Path

import pytest
import torch
from provenances import training
from safetensors.torch import save_file
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool
from torch import nn
from trainings import config, phase, train

from podium.config.embeddings import Embedding
from podium.core.errors import UserError
from podium.features.extract import pooled
from podium.images.store import ImageStore
from podium.models import factory, layers, weights
from podium.models.pooling import EXPONENT, GeM
from podium.training import optimizers

ARCHITECTURES = ["test_resnet", "test_efficientnet", "test_convnext"]


def gem(p: float, *, flatten: bool = True, fmt: str = "NCHW") -> GeM:
    pool = GeM(FastAdaptiveAvgPool(flatten, input_fmt=fmt))
    nn.init.constant_(pool.gem_p, p)
    return pool


def exponent(net: nn.Module) -> nn.Parameter:
    (parameter,) = [p for name, p in net.named_parameters() if name.endswith(EXPONENT)]
    return parameter


def test_gem_is_the_generalised_mean_of_the_positive_features() -> None:
    features = torch.randn(2, 5, 4, 3)
    expected = features.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    assert torch.allclose(gem(3)(features), expected)
    positive = features.abs()
    assert torch.allclose(gem(1)(positive), positive.mean((2, 3)))
    assert torch.allclose(gem(0.5)(positive), positive.mean((2, 3)))  # never below 1
    assert torch.allclose(gem(500)(positive), positive.amax((2, 3)), rtol=0.02)
    channels_last = gem(3, fmt="NHWC")(features.permute(0, 2, 3, 1))
    assert torch.allclose(channels_last, expected)
    assert gem(3, flatten=False)(features).shape == (2, 5, 1, 1)


def test_its_gradients_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    features, pool = torch.rand(2, 5, 4, 3).add(0.1).requires_grad_(), gem(4.0)
    wanted = (features, pool.gem_p)
    formula = features.pow(pool.gem_p).mean((2, 3)).pow(1 / pool.gem_p)
    expected = torch.autograd.grad(formula.square().sum(), wanted)
    found = torch.autograd.grad(pool(features).square().sum(), wanted)
    assert all(torch.allclose(*pair, rtol=1e-4) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("p", [3.0, 40.0])
@pytest.mark.parametrize("value", [0.0, 6e4])
def test_neither_powers_nor_gradients_overflow(p: float, value: float) -> None:
    features = torch.full((1, 2, 3, 3), value, dtype=torch.float16, requires_grad=True)
    pool = gem(p)
    pooled_features = pool(features)
    assert pooled_features.dtype == torch.float16
    assert torch.allclose(pooled_features, features[:, :, 0, 0], atol=1e-5)
    pooled_features.sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()
    assert pool.gem_p.grad.isfinite().all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gem_replaces_the_average_of_any_network_with_a_pooling_layer(name: str) -> None:
    net = factory.create(config(architecture=name, pool="gem"), outputs=5).eval()
    plain = factory.create(config(architecture=name), outputs=5).eval()
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if not k.endswith(EXPONENT)})
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        means = net.forward_features(images).clamp(min=1e-6).pow(3).mean((2, 3), keepdim=True)
        one_position = means.pow(1 / 3)  # which is its own average
        assert torch.allclose(net(images), plain.forward_head(one_position), atol=1e-5)


@pytest.mark.parametrize("name", ["test_vit", "simple_cnn"])
def test_a_network_without_a_pooling_layer_has_no_gem(name: str) -> None:
    with pytest.raises(UserError, match=f"^pool: {name} does not support gem. Set pool: null"):
        factory.create(config(architecture=name, pool="gem"), outputs=2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_exponent_trains_with_the_head_and_does_not_decay(name: str) -> None:
    model = config(architecture=name, pool="gem")
    net = factory.create(model, outputs=5)
    plain = factory.create(config(architecture=name), outputs=5)
    assert max(layers.depths(net).values()) == max(layers.depths(plain).values())
    for changes in ({"trainable": "head"}, {"layer_decay": 0.5}, {"trainable": {"last": 1}}):
        layers.set_trainable(net, phase(**changes).trainable)
        optimizer = optimizers.create(net, phase(**changes), model)
        (group,) = [
            g for g in optimizer.param_groups if any(p is exponent(net) for p in g["params"])
        ]
        assert (group["depth"], group["peak"], group["weight_decay"]) == (0, 0.1, 0)


def test_training_moves_the_exponent_and_the_weights_file_keeps_it(
    images: ImageStore, tmp_path: Path
) -> None:
    best = train(images, pool="gem", image_size=64).best
    (name,) = [name for name in best.weights if name.endswith(EXPONENT)]
    assert best.weights[name] != 3
    model = config(pool="gem")
    provenance = training(config=model.model_dump(), classes=list("abc"))
    weights.save(tmp_path / "w.safetensors", best.weights, provenance)
    net, _, _ = weights.load(tmp_path / "w.safetensors")
    assert torch.equal(exponent(net), best.weights[name])


def test_pretrained_weights_need_no_exponent_and_features_of_a_frozen_network_use_3(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    state = factory.create(config(architecture="test_efficientnet"), outputs=9).state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "w.safetensors")
    embedding = Embedding(
        architecture="test_efficientnet",
        pretrained=str(tmp_path / "w.safetensors"),
        image_size=32,
        pool="gem",
    )
    net = factory.create(embedding.network(), outputs=1).eval()
    assert exponent(net) == 3
    with torch.inference_mode():
        images = torch.randn(2, 3, 32, 32)
        maps = net.forward_features(images)
        expected = maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
        assert torch.allclose(pooled(net, images), expected, atol=1e-6)
