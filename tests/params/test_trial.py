"""The stage check takes a step with each network: its size must suit it, and its batch norms."""

from typing import Any

import pytest
import torch
from trainings import config

from podium.models import factory
from podium.params import libraries


def problems(**changes: Any) -> list[str]:
    return [f"{at}: {text}" for at, text in libraries.problems({"a": config(**changes)})]


SIZES: list[tuple[str, int, list[int]]] = [  # architecture, a size that it rejects, valid ones
    ("test_vit", 100, [96, 112]),
    ("levit_128s", 225, [240, 256]),
    ("crossvit_tiny_240", 100, [240]),
    ("dla34", 16, [32, 64]),
    ("mvitv2_tiny", 112, [96, 128]),  # looks positions up, which the meta device cannot check
    ("convnext_atto", 16, [32, 48]),
]
LARGER: list[tuple[str, int, list[int]]] = [
    ("inception_v3", 64, [80, 96]),
    ("inception_resnet_v2", 40, [96, 112]),
    ("maxvit_tiny_tf_224", 100, [96, 128]),
    ("nest_tiny", 100, [96, 112]),
    ("halonet26t", 100, [256]),
    ("xcit_nano_12_p16_224", 100, [96, 112]),
]


def step(architecture: str, size: int) -> None:
    """On the CPU, with real numbers."""
    net = factory.create(config(architecture=architecture, image_size=size), outputs=2)
    net(torch.randn(2, size, size, 3).permute(0, 3, 1, 2)).sum().backward()


@pytest.mark.parametrize(
    ("architecture", "size", "valid"),
    [*SIZES, *(pytest.param(*case, marks=pytest.mark.long) for case in LARGER)],
)
def test_a_size_that_the_network_does_not_take_is_an_error_with_valid_ones(
    architecture: str, size: int, valid: list[int]
) -> None:
    assert problems(architecture=architecture, image_size=size) == [
        f"models.a.image_size: {architecture} does not take {size} pixels. Use "
        f"{' or '.join(map(str, valid))}."
    ]
    with pytest.raises((RuntimeError, AssertionError, ValueError, IndexError)):
        step(architecture, size)
    step(architecture, valid[0])


def test_other_settings_do_not_hide_a_wrong_size() -> None:
    for changes in ({"pool": "max"}, {"head": "batch_norm"}, {"drop_path": 0.1}, {"batch_size": 1}):
        (text,) = problems(architecture="vgg11", image_size=16, **changes)
        assert text.startswith("models.a.image_size: vgg11 does not take 16 pixels. Use 32 or 48.")


def test_one_image_per_batch_needs_more_than_one_value_per_channel() -> None:
    single = {"architecture": "test_resnet", "batch_size": 1, "image_size": 16}
    assert problems(**single) == [
        "models.a.batch_size: 1 is too small for the batch norm of test_resnet at 16 "
        "pixels. Use at least 2, or batch_norm: none in the phases."
    ]
    assert problems(**{**single, "image_size": 64}) == []
    assert problems(**single, phases=[{"epochs": 1, "lr": 0.1, "trainable": "head"}] * 2) == []
    mixed = [{"epochs": 1, "lr": 0.1, "trainable": part} for part in ("head", "all", "all")]
    assert len(problems(**single, phases=mixed)) == 1
    for phase in ({"batch_norm": "none"}, {"trainable": "head"}):
        assert problems(**single, phases=[{"epochs": 1, "lr": 0.1, **phase}]) == []
    assert problems(**{**single, "architecture": "test_vit"}) == []


def test_a_model_is_checked_with_the_channels_of_the_images() -> None:
    model = config(augment=[{"ToGray": {"p": 0.01}}, {"HorizontalFlip": {}}])
    assert libraries.problems({"a": model}) == []
    ((key, text),) = libraries.problems({"a": model}, channels=4)
    assert key == "models.a.augment"
    assert text.startswith("ToGray does not support images with 4 channels (prepare.channels)")
