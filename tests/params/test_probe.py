"""Architectures of timm: their names, their sizes, and a step with one of each family."""

from typing import Any

import pytest
import timm
import torch
from timm.models._registry import _deprecated_models
from trainings import config

from podium.core.errors import UserError
from podium.models import factory, pretrained
from podium.params import libraries


def problems(**changes: Any) -> list[str]:
    return [f"{at}: {text}" for at, text in libraries.problems({"a": config(**changes)})]


@pytest.mark.parametrize(
    ("architecture", "size", "valid"),
    [
        ("test_vit", 100, "96 or 112"),
        ("inception_v3", 64, "96"),
        ("levit_128s", 100, ""),
        ("xcit_nano_12_p16_224", 100, "96 or 112"),
        ("vgg11", 16, "32"),
    ],
)
def test_a_size_that_the_network_does_not_take_is_an_error_with_valid_ones(
    architecture: str, size: int, valid: str
) -> None:
    (text,) = problems(architecture=architecture, image_size=size)
    assert text.startswith(f"models.a.image_size: {architecture} does not take {size} pixels. Use ")
    assert valid in text
    some = int(text.removesuffix(".").split(" ")[-1])
    assert problems(architecture=architecture, image_size=some) == []


def test_each_architecture_of_timm_has_a_config_or_a_new_name() -> None:
    """By config only: nothing is built."""
    without = []
    for name in timm.list_models():
        try:
            cfg = pretrained.timm_config(name)
        except UserError as error:
            assert str(error) == f"architecture: {name} has no classifier. Choose another."
            without.append(name)
            continue
        assert len(cfg.input_size) == 3 and cfg.classifier
    assert len(without) < 10
    assert len(_deprecated_models) > 200
    for old, new in _deprecated_models.items():
        with pytest.raises(UserError) as raised:
            pretrained.timm_config(old)
        if new is None:
            assert (
                str(raised.value) == f"architecture: {old} was removed from timm. Choose another."
            )
            continue
        named = str(raised.value).removesuffix(" now. Use that name.").split(" ")[-1]
        assert named.partition(".")[0] == new.partition(".")[0]
        assert pretrained.timm_config(named)


@pytest.mark.parametrize("old", ["tf_efficientnet_b0_ns", "convnext_tiny_in22k"])
def test_an_old_name_is_an_error_with_the_new_one(old: str) -> None:
    (text,) = problems(architecture=old, image_size=64)
    assert text.startswith(f"models.a.architecture: {old} is called ")


def test_a_network_with_three_dimensional_convolutions_trains() -> None:
    net = factory.create(config(architecture="lambda_resnet26t"), outputs=2)
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 2)


def test_one_image_per_batch_needs_more_than_one_value_per_channel() -> None:
    single = {"architecture": "test_resnet", "batch_size": 1, "image_size": 16}
    (text,) = problems(**single)
    assert text.startswith("models.a.phases[0].batch_size: ") or "batch_size: 1" in text
    assert problems(**{**single, "image_size": 64}) == []
    frozen = [{"epochs": 1, "lr": 0.1, "batch_norm": "none"}]
    assert problems(**{**single, "phases": frozen}) == []


@pytest.mark.long
@pytest.mark.parametrize("module", timm.list_modules())
def test_the_smallest_network_of_each_family_takes_its_usual_size(module: str) -> None:
    names = [n for n in timm.list_models(module=module) if n not in _deprecated_models]
    usable = [n for n in names if timm.get_pretrained_cfg(n).classifier]
    if not usable:
        pytest.skip("no classifiers")
    name = min(usable, key=len)
    size = pretrained.timm_config(name).input_size[-1]
    assert problems(architecture=name, image_size=size) == []
    net = factory.create(config(architecture=name, image_size=size), outputs=2)
    outputs = net(torch.zeros(2, 3, size, size))
    assert outputs.shape == (2, 2)
    outputs.sum().backward()
