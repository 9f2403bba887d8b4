"""The architectures of timm: all by their config, one of each family by a real training step."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from timm.models._registry import _deprecated_models
from torch import nn
from trainings import WITH_SRC, components, config

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import factory, pretrained
from podium.params import libraries


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tf_efficientnet_b0_ns", "tf_efficientnet_b0.ns_jft_in1k"),
        ("convnext_tiny_in22k", "convnext_tiny.fb_in22k"),
        ("tv_resnet50", "resnet50.tv_in1k"),
    ],
)
def test_an_old_name_is_an_error_with_the_new_one(old: str, new: str) -> None:
    with pytest.raises(UserError) as error:
        factory.create(config(architecture=old), outputs=2)
    assert str(error.value) == f"architecture: {old} is called {new} now. Use that name."


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("timm/resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("hf_hub:timm/vit_base_patch16_224", "vit_base_patch16_224"),
        ("hf-hub:timm/resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("ResNet50", "resnet50"),
        ("efficientnet-b0", "efficientnet_b0"),
    ],
)
def test_an_unknown_spelling_is_an_error_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(UserError) as error:
        factory.create(config(architecture=name), outputs=2)
    assert str(error.value) == f"architecture: timm has no {name}: did you mean {nearest}?"


@pytest.mark.parametrize(
    "architecture",  # the last two have one according to timm's config
    ["deepseek_vit_412m_enc", "qwen3_vit_88m_enc", "gemma4_vit_167m_enc", "mobilenetv5_300m_enc"],
)
def test_an_architecture_without_a_classifier_is_an_error(architecture: str) -> None:
    with torch.device("meta"), pytest.raises(UserError) as error:
        factory.create(config(architecture=architecture, image_size=224), outputs=2)
    assert str(error.value) == f"architecture: {architecture} has no classifier. Choose another."


def test_a_network_with_three_dimensional_convolutions_trains(images: ImageStore) -> None:
    """Its parameters have no channels_last format."""
    net = components(images, architecture="lambda_resnet26t", image_size=64).net
    assert len(net(torch.zeros(2, 3, 64, 64))) == 2


def gradients(net: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    net.zero_grad()
    net(images).square().sum().backward()
    return {k: p.grad.clone() for k, p in net.named_parameters() if p.grad is not None}


def test_subsampling_before_a_strided_convolution_changes_no_output_and_no_gradient() -> None:
    torch.manual_seed(0)
    plain = timm.create_model("repvgg_a0", num_classes=2).double()
    net = factory.create(config(architecture="repvgg_a0"), outputs=2).double()
    assert net.stem.conv_1x1.conv.stride == (1, 1)
    net.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64)
    assert torch.allclose(net(images), plain(images))
    actual, expected = gradients(net, images), gradients(plain, images)
    assert actual.keys() == expected.keys() == dict(plain.named_parameters()).keys()
    for name, gradient in expected.items():
        assert torch.allclose(actual[name], gradient), name


STEP = """
import sys, torch
from podium.config.models import Model
from podium.models import factory

values = {"pretrained": False, "phases": [{"epochs": 1, "lr": 0.1}], "batch_size": 2}
for architecture in sys.argv[1:]:
    print(architecture, flush=True)
    config = Model.model_validate({"architecture": architecture, "image_size": 224, **values})
    net = factory.create(config, outputs=2)
    for _ in range(2):
        images = torch.randn(2, 224, 224, 3).permute(0, 3, 1, 2)
        net(images).sum().backward()
"""


def test_a_step_with_a_strided_1x1_convolution_does_not_end_the_process() -> None:
    """oneDNN writes outside its memory with these networks as timm builds them."""
    command = [sys.executable, "-c", STEP, "repvgg_a0", "mobileone_s0", "fastvit_t8", "gernet_s"]
    done = subprocess.run(command, env=WITH_SRC, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)


@pytest.mark.long
@pytest.mark.parametrize("module", timm.list_modules())
def test_the_smallest_network_of_each_family_trains_and_its_own_weights_fit(
    module: str, tmp_path: Path
) -> None:
    names = [n for n in timm.list_models(module=module) if n not in _deprecated_models]
    usable = [n for n in names if timm.get_pretrained_cfg(n).classifier]
    if not usable:
        pytest.skip("no classifiers")
    with torch.device("meta"):
        parameters = {n: sum(p.numel() for p in timm.create_model(n).parameters()) for n in usable}
    name = min(usable, key=parameters.__getitem__)
    size = pretrained.timm_config(name).input_size[-1]
    net = factory.create(config(architecture=name, image_size=size), outputs=2)
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    model = config(architecture=name, image_size=size, pretrained=str(tmp_path / "weights.pth"))
    assert libraries.problems({"a": model}) == []
    pretrained.load(net, tmp_path / "weights.pth")
    outputs = net(torch.randn(2, size, size, 3).permute(0, 3, 1, 2))  # channels_last
    assert outputs.shape == (2, 2)
    outputs.sum().backward()
