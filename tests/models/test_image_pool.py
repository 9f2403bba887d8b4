"""The images of an id in one network: pooling of their features."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trainings import config

from podium.core.errors import UserError
from podium.models import factory, image_pool, inputs, layers

ARCHITECTURES = ("test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050", "simple_cnn")


def network(kind: str | None = "attention", **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    return factory.create(config(image_pool=kind, **changes), outputs=3).eval()


def with_attention(**changes: Any) -> nn.Module:
    """A network whose weights differ between images, unlike those of a new one."""
    net = network(**changes)
    pool = image_pool.of(net)
    assert pool is not None and pool.attention is not None
    torch.manual_seed(1)
    nn.init.normal_(pool.attention.score.weight, std=100)
    return net


def outputs(net: nn.Module, images: Tensor, *sizes: int) -> Tensor:
    return inputs.forward(net, {"image": images, "unit_sizes": torch.tensor(sizes)})


IMAGES = torch.rand(7, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_an_id_with_one_image_has_the_outputs_of_the_plain_network(
    kind: str, architecture: str
) -> None:
    plain, net = (network(kind, architecture=architecture) for kind in (None, kind))
    expected = plain(IMAGES)
    assert torch.equal(outputs(net, IMAGES, *[1] * 7), expected)
    assert torch.equal(inputs.forward(net, {"image": IMAGES}), expected)


@pytest.mark.parametrize("options", [{}, {"head": "batch_norm"}, {"embedding_size": 5}], ids=str)
def test_the_outputs_are_those_of_weighted_features(options: dict[str, Any]) -> None:
    net = with_attention(**options)
    pool = image_pool.of(net)
    assert pool is not None and pool.attention is not None
    features = net(IMAGES)
    found = outputs(net, IMAGES, 1, 4, 2)
    for row, images in enumerate([features[:1], features[1:5], features[5:]]):
        weights = pool.attention(images).softmax(dim=0)
        expected = pool.classifier((weights[:, None] * images).sum(dim=0, keepdim=True))
        torch.testing.assert_close(found[row : row + 1], expected)
    assert pool.attention(features[1:5]).softmax(dim=0).std() > 0.1


def test_a_new_network_starts_from_the_mean() -> None:
    mean = outputs(network("mean"), IMAGES, 3, 4)
    new = network()
    torch.testing.assert_close(outputs(new, IMAGES, 3, 4), mean)
    assert not new.image_pool.attention(new(IMAGES)).any()  # type: ignore[union-attr,operator]
    net = network("mean")
    expected = net.image_pool.classifier(net(IMAGES)[:3].mean(dim=0))  # type: ignore[union-attr,operator]
    torch.testing.assert_close(mean[0], expected)


def test_the_order_of_an_ids_images_does_not_matter_and_other_ids_do_not_either() -> None:
    net = with_attention()
    found = outputs(net, IMAGES, 4, 3)
    shuffled = IMAGES[[2, 0, 3, 1, 6, 4, 5]]
    torch.testing.assert_close(outputs(net, shuffled, 4, 3), found)
    torch.testing.assert_close(outputs(net, IMAGES[4:], 3), found[1:])
    assert not torch.allclose(outputs(net, IMAGES, 3, 4), found, atol=1e-4)


def test_the_loss_of_an_id_reaches_its_images_and_no_others() -> None:
    net, images = with_attention(), IMAGES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(outputs(net, images, 2, 3, 2)[1].square().sum(), images)
    sizes = gradient.flatten(1).norm(dim=1)
    assert (sizes[2:5] > 0).all() and not sizes[:2].any() and not sizes[5:].any()


def test_the_first_step_trains_the_attention() -> None:
    net = network()
    outputs(net, IMAGES, 2, 3, 2)[:, 0].sum().backward()
    gradient = net.get_parameter("image_pool.attention.score.weight").grad
    assert gradient is not None and gradient.norm() > 0


def test_large_scores_do_not_overflow() -> None:
    scores = torch.tensor([1e4, -1e4, 3e4, 0])
    pooled = image_pool.pool(torch.eye(4), torch.tensor([2, 2]), scores)
    assert pooled.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_columns_of_an_id_are_averaged() -> None:
    torch.manual_seed(0)
    net = factory.create(config(image_pool="mean", metadata={}), outputs=3, metadata_size=2).eval()
    head: Any = net.metadata_head
    nn.init.normal_(head.output.weight)
    columns, sizes = torch.rand(7, 2), torch.tensor([3, 4])
    batch = {"image": IMAGES, "metadata": columns, "unit_sizes": sizes}
    of_images = outputs(net, IMAGES, 3, 4)
    expected = of_images + head(torch.stack([columns[:3].mean(dim=0), columns[3:].mean(dim=0)]))
    torch.testing.assert_close(inputs.forward(net, batch), expected)


def test_a_batch_is_split_between_ids() -> None:
    batch = {"image": IMAGES, "metadata": torch.rand(7, 2), "unit_sizes": torch.tensor([1, 4, 2])}
    parts = inputs.split(batch, 2)
    assert [part["unit_sizes"].tolist() for part in parts] == [[1, 4], [2]]
    assert [len(part["image"]) for part in parts] == [len(part["metadata"]) for part in parts]
    assert torch.equal(torch.cat([part["image"] for part in parts]), IMAGES)
    parts = inputs.split_at(batch, [0, 1, 2])
    assert [len(part["image"]) for part in parts] == [0, 1, 6]


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_convnext"])
def test_attention_and_classifier_are_the_head(architecture: str) -> None:
    net, plain = network(architecture=architecture), network(None, architecture=architecture)
    depths = layers.depths(net)
    own = {name for name in depths if name.startswith("image_pool.")}
    assert len(own) == 7 and {depths[name] for name in own} == {0}
    backbone = {name: depth for name, depth in depths.items() if name not in own}
    assert backbone == {n: d for n, d in layers.depths(plain).items() if d}
    layers.set_trainable(net, "head")
    assert {name for name, p in net.named_parameters() if p.requires_grad} == own
    assert layers.linear_head(net) is net.get_submodule("image_pool.classifier")


@pytest.mark.parametrize(
    "architecture", ["vgg11", "tf_efficientnet_b0", "swin_tiny_patch4_window7_224"]
)
def test_architectures_with_one_head(architecture: str) -> None:
    with torch.device("meta"):
        net = network(architecture=architecture, image_size=224)
        assert outputs(net, torch.zeros(3, 3, 224, 224), 1, 2).shape == (2, 3)


def test_an_architecture_with_several_heads_is_an_error() -> None:
    with torch.device("meta"), pytest.raises(UserError, match="image_pool requires one head"):
        network(architecture="deit_tiny_distilled_patch16_224", image_size=224)


def test_features_that_are_no_vectors_are_an_error() -> None:
    net = network()
    pool = image_pool.of(net)
    assert pool is not None
    with pytest.raises(UserError, match=r"image_pool: .* features of shape \(4, 5\), not a vector"):
        pool(torch.rand(2, 4, 5))
