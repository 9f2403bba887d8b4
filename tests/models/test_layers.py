from typing import Any

import pytest
import torch
from torch import nn
from trainings import config, phase

from podium.config.phases import Part, Phase
from podium.core.errors import UserError
from podium.models import factory, layers
from podium.training import optimizers, unfreezing

FAMILIES = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"]


def step(net: nn.Module, phase_: Phase, steps: int = 1) -> set[str]:
    """Train `net` for some steps of a phase; return the names of the tensors that changed."""
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    layers.set_trainable(net, phase_.trainable)
    optimizer = optimizers.create(net, phase_, config(weight_decay=0.0))
    layers.set_train_mode(net, phase_.batch_norm)
    for _ in range(steps):  # residual branches begin at zero: they take a step to let gradients in
        loss = nn.functional.cross_entropy(net(torch.randn(4, 3, 32, 32)), torch.arange(4) % 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}


def test_head_phases_change_only_the_head_and_keep_frozen_statistics() -> None:
    net = factory.create(config(), outputs=2)
    assert step(net, phase(trainable="head")) == {"fc.weight", "fc.bias"}


def test_all_phases_change_everything() -> None:
    net = factory.create(config(), outputs=2)
    layers.set_trainable(net, "head")
    assert step(net, phase(trainable="all"), steps=3) == set(net.state_dict())


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize("last", [0, 1, 2])
def test_training_the_last_groups_changes_only_these(architecture: str, last: int) -> None:
    net = factory.create(config(architecture=architecture), outputs=2)
    names = layers.trainable_names(net, Part(last=last))
    depths = layers.depths(net)
    assert names == {name for name, depth in depths.items() if depth <= last}
    changed = step(net, phase(trainable={"last": last}), steps=3)
    assert changed & set(depths) <= names
    assert {depths[name] for name in changed if name in depths} == set(range(last + 1))


def test_the_last_group_of_a_resnet_is_layer4() -> None:
    net = factory.create(config(architecture="resnet10t"), outputs=2)
    backbone = {
        name for name in layers.trainable_names(net, Part(last=1)) if not layers.is_head(net, name)
    }
    assert {name.split(".")[0] for name in backbone} == {"layer4"}
    deepest = layers.trainable_names(net, Part(last=5)) - layers.trainable_names(net, Part(last=4))
    assert {name.split(".")[0] for name in deepest} == {"conv1", "bn1"}
    with pytest.raises(UserError, match=r"6 .* 5 layer groups"):
        layers.trainable_names(net, Part(last=6))


def test_the_last_tensors_are_counted_without_the_head() -> None:
    net = factory.create(config(), outputs=2)
    names = [name for name, _ in net.named_parameters()]
    assert layers.trainable_names(net, Part(last_tensors=3)) == set(names[-5:])
    with pytest.raises(UserError, match=r"^trainable.last_tensors: 999"):
        layers.trainable_names(net, Part(last_tensors=999))


@pytest.mark.parametrize("architecture", [*FAMILIES, "resnet10t"])
def test_norms_are_the_normalization_layers_and_the_head(architecture: str) -> None:
    net = factory.create(config(architecture=architecture), outputs=2)
    names = layers.trainable_names(net, "norms")
    backbone = [name for name in names if not layers.is_head(net, name)]
    assert backbone and all(net.get_parameter(name).ndim == 1 for name in backbone)
    owners = {type(net.get_submodule(name.rpartition(".")[0])).__name__ for name in backbone}
    assert all("Norm" in owner for owner in owners), owners
    for name, module in net.named_modules():
        if type(module).__name__ in ("BatchNorm2d", "BatchNormAct2d", "LayerNorm", "LayerNorm2d"):
            assert f"{name}.weight" in names


def test_patterns_select_parameters_by_name() -> None:
    net = factory.create(config(), outputs=2)
    names = layers.trainable_names(net, Part(names=["layer4.*", "conv1.0.weight"]))
    assert {name.split(".")[0] for name in names} == {"layer4", "conv1", "fc"}
    with pytest.raises(UserError, match=r"^trainable.names: .* layer9\.\*\. Choose from conv1"):
        layers.trainable_names(net, Part(names=["layer4.*", "layer9.*"]))


@pytest.mark.parametrize(
    ("trainable", "batch_norm", "moved"),
    [
        ("all", "trained", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        ("all", "none", set()),
        ({"last": 1}, "trained", {"layer4"}),
        ({"last": 1}, "none", set()),
        ("head", "trained", set()),
        ("head", "all", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_which_batch_norms_update_their_statistics(
    trainable: Any, batch_norm: str, moved: set[str]
) -> None:
    net = factory.create(config(head="batch_norm"), outputs=2)
    changed = step(net, phase(trainable=trainable, batch_norm=batch_norm))
    statistics = {name for name in changed if "running" in name}
    assert {name.split(".")[0] for name in statistics} == moved | {"fc"}  # the head's own, always


def test_gradual_unfreezing_adds_a_group_every_few_epochs() -> None:
    net = factory.create(config(architecture="resnet10t"), outputs=2)
    gradual = phase(epochs=11, trainable={"gradual": 2}, lr=0.3)
    phases = unfreezing.expand([phase(trainable="head"), gradual], net)
    assert phases[0] == phase(trainable="head")
    assert [(p.trainable.last, p.epochs) for p in phases[1:]] == [  # type: ignore[union-attr]
        *((0, 2), (1, 2), (2, 2), (3, 2), (4, 3))
    ]
    assert all(p.lr == 0.3 for p in phases[1:])
    longer = unfreezing.expand([phase(epochs=20, trainable={"gradual": 2})], net)
    assert [p.epochs for p in longer] == [2, 2, 2, 2, 2, 10]
    (whole,) = unfreezing.expand([phase(epochs=3, trainable={"gradual": 2})], net)
    assert whole.epochs == 3 and whole.trainable == Part(last=0)


def test_an_architecture_without_layer_groups_trains_but_not_by_groups() -> None:
    net = factory.create(config(architecture="poolformer_s12"), outputs=2)
    assert step(net, phase(trainable="head")) == {"head.fc.weight", "head.fc.bias"}
    optimizers.create(net, phase(trainable="all", backbone_lr=0.01), config())
    for part in (Part(last=1), Part(last=0)):
        with pytest.raises(UserError, match="no layer groups for MetaFormer"):
            layers.trainable_names(net, part)
    with pytest.raises(UserError, match="no layer groups"):
        optimizers.create(net, phase(layer_decay=0.5), config())


def test_norms_of_a_network_without_any_are_an_error() -> None:
    net = factory.create(config(architecture="simple_cnn"), outputs=2)
    with pytest.raises(UserError, match="SimpleCNN has no normalization layers"):
        layers.trainable_names(net, "norms")
