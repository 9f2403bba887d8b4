import numpy as np
import pytest
import timm
import torch
from torch import nn
from trainings import config

from podium.core.errors import UserError
from podium.models import factory, layers
from podium.models.inputs import Preprocess


def preprocess(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return Preprocess(net, torch.device("cpu"))({"image": images})["image"]


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_any_architecture_gets_a_head_for_the_classes_and_takes_images_of_the_size(
    name: str,
) -> None:
    net = factory.create(config(architecture=name), outputs=7)
    images = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert net(preprocess(net, images)).shape == (2, 7)
    head = {name for name, _ in net.named_parameters() if layers.is_head(net, name)}
    assert head and all(net.get_parameter(name).shape[0] == 7 for name in head)


def test_an_unknown_architecture_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UserError, match="timm has no resnet_18: did you mean resnet"):
        factory.create(config(architecture="resnet_18"), outputs=2)


def test_images_are_normalised_with_the_pretrained_models_mean_and_std() -> None:
    net = timm.create_model("mobilenetv2_100")
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((images / 255 - mean) / std).permute(0, 3, 1, 2)
    normalized = preprocess(net, images)
    assert torch.allclose(normalized, expected, atol=1e-6)
    assert normalized.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_a_new_head_starts_at_the_loss_of_uniform_guesses(name: str) -> None:
    torch.manual_seed(0)
    net = factory.create(config(architecture=name), outputs=2).eval()
    loss = nn.functional.cross_entropy(net(torch.randn(16, 3, 32, 32)), torch.arange(16) % 2)
    assert loss.item() == pytest.approx(0.693, abs=0.05)


def test_a_tag_that_the_architecture_lacks_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"timm has no weights resnet18\.a9_in1k: did you mean"):
        factory.create(config(architecture="resnet18.a9_in1k"), outputs=2)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_pool_is_average_maximum_or_both(name: str) -> None:
    images = torch.randn(2, 3, 64, 64)
    for pool in (None, "avg", "max", "avgmax", "catavgmax"):
        net = factory.create(config(architecture=name, pool=pool), outputs=5).eval()
        (head,) = layers.head_names(net)
        net.set_submodule(head, nn.Identity())
        features = net.forward_features(images)  # type: ignore[operator]
        means, maxima = features.mean((2, 3)), features.amax((2, 3))
        assert not torch.allclose(means, maxima)
        expected = {
            "max": maxima,
            "avgmax": (means + maxima) / 2,
            "catavgmax": torch.cat([means, maxima], dim=1),
        }.get(pool or "avg", means)
        assert torch.allclose(net(images), expected, atol=1e-5), pool


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "simple_cnn"])
def test_an_unsupported_pool_is_an_error(name: str) -> None:
    with pytest.raises(UserError, match=f"^pool: {name} does not support catavgmax"):
        factory.create(config(architecture=name, pool="catavgmax"), outputs=2)


def test_a_head_with_batch_norm_is_dropout_then_batch_norm_then_linear() -> None:
    for name in ("test_resnet", "test_convnext", "test_vit"):
        net = factory.create(
            config(architecture=name, head="batch_norm", dropout=0.5, batch_size=4), outputs=5
        )
        (head,) = layers.head_names(net)
        norm, linear = net.get_submodule(head)  # type: ignore[misc]
        assert isinstance(norm, nn.BatchNorm1d) and isinstance(linear, nn.Linear)
        assert all(layers.is_head(net, f"{head}.{name}") for name in ("0.weight", "1.bias"))
        assert any(isinstance(m, nn.Dropout) and m.p == 0.5 for m in net.modules()) or (
            net.drop_rate == 0.5
        )
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_dropout_reaches_the_head() -> None:
    torch.manual_seed(0)
    net = factory.create(config(dropout=0.9), outputs=4).train()
    features = torch.ones(1, net.num_features, 1, 1)
    layers.set_train_mode(net, "none")
    nn.init.ones_(net.fc.weight)
    sums = [net.forward_head(features)[0, 0].item() for _ in range(300)]
    kept = np.mean(sums) / net.num_features  # scaled up, so that the mean stays
    assert kept == pytest.approx(1, abs=0.1)
    assert np.std(sums) / net.num_features == pytest.approx((9 / net.num_features) ** 0.5, rel=0.2)


def test_stochastic_depth_skips_blocks_in_training() -> None:
    torch.manual_seed(0)
    net = factory.create(config(architecture="resnet10t", drop_path=0.9), outputs=2)
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.ones_(norm.weight)  # a residual branch begins at zero
    images = torch.randn(1, 3, 64, 64)
    layers.set_train_mode(net, "none")
    assert len({net.forward_features(images).sum().item() for _ in range(12)}) > 1
    net.eval()
    assert len({net.forward_features(images).sum().item() for _ in range(3)}) == 1
    with pytest.raises(UserError, match=r"^drop_path: simple_cnn"):
        factory.create(config(architecture="simple_cnn", drop_path=0.1), outputs=2)


def test_simple_cnn_has_the_documented_layers() -> None:
    net = factory.create(config(architecture="simple_cnn", image_size=48), outputs=10)
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters() if p.ndim > 1}
    assert shapes == {
        "conv1.weight": (32, 3, 3, 3),
        "conv2.weight": (64, 32, 3, 3),
        "conv3.weight": (128, 64, 3, 3),
        "fc1.weight": (256, 128 * 6 * 6),
        "fc.weight": (10, 256),
    }
    images = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)
    assert net(preprocess(net, images)).shape == (2, 10)
