"""Files of weights as other tools write them, and files that are none."""

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn
from trainings import config

from podium.core.errors import UserError
from podium.models import factory, layers, pretrained
from podium.params import libraries

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(3)
    return dict(timm.create_model("test_resnet").state_dict())


def load(path: Path) -> nn.Module:
    return factory.create(config(pretrained=str(path)), outputs=3)


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "DataParallel": lambda s: prefixed(s, "module."),
    "torch.compile": lambda s: prefixed(s, "_orig_mod."),
    "both": lambda s: {"state_dict": prefixed(s, "module._orig_mod.")},
    "Lightning": lambda s: {"epoch": 3, "state_dict": prefixed(s, "model.")},
    "Lightning with a metric": lambda s: {
        "state_dict": prefixed(s, "net.") | {"criterion.weight": torch.ones(3)}
    },
    "a network in a network": lambda s: {"model": prefixed(s, "model.backbone.")},
    "an unknown key": lambda s: {
        "optimizer": {"state": {0: {"step": torch.ones(1), "exp_avg": torch.ones(9)}}},
        "weights": s,
    },
    "one tensor beside": lambda s: {"class_weights": torch.ones(3), "net": s},
    "timm": lambda s: {"arch": "test_resnet", "args": Namespace(lr=0.1), "state_dict": s},
    "a NumPy score": lambda s: {"best": np.float64(0.5), "epoch": np.int64(3), "model": s},
    "DDP of Lightning": lambda s: {"state_dict": prefixed(s, "model.module.")},
    "an encoder": lambda s: prefixed(s, "encoder.") | {"decoder.weight": torch.ones(3)},
    "EMA": lambda s: {"state_dict": {k: 0 * t for k, t in s.items()}, "state_dict_ema": s},
    "no counters": lambda s: {k: t for k, t in s.items() if "num_batches" not in k},
    "half precision": lambda s: {k: t.half() if t.is_floating_point() else t for k, t in s.items()},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_weights_inside_a_wrapper_are_loaded(state: State, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WRAPPED[kind](state), path)
    net = load(path)
    for name, tensor in net.state_dict().items():
        if not layers.is_head(net, name) and "num_batches" not in name:
            expected = state[name].half().float() if kind == "half precision" else state[name]
            assert torch.equal(tensor, expected), name


def facebook(name: str) -> str:
    """What the authors of ConvNeXt call one of timm's tensors."""
    for pattern, old in {
        r"^stem\.": "downsample_layers.0.",
        r"^stages\.(\d)\.downsample": r"downsample_layers.\1",
        r"blocks\.": "",
        r"conv_dw": "dwconv",
        r"mlp\.fc": "pwconv",
        r"^head\.norm": "norm",
        r"^head\.fc": "head",
    }.items():
        name = re.sub(pattern, old, name)
    return name


def test_another_publishers_names_are_converted_inside_a_wrapper(tmp_path: Path) -> None:
    state = timm.create_model("test_convnext").state_dict()
    path = tmp_path / "weights.pth"
    torch.save({"model": {f"module.{facebook(k)}": t for k, t in state.items()}}, path)
    net = factory.create(config(architecture="test_convnext", pretrained=str(path)), outputs=3)
    for name, tensor in net.state_dict().items():
        assert layers.is_head(net, name) or torch.equal(tensor, state[name]), name


def test_safetensors_are_recognized_by_content(state: State, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    safetensors.torch.save_file(state, path)
    load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_an_error(
    state: State, tmp_path: Path, value: float
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({**state, "bn1.running_var": torch.full_like(state["bn1.running_var"], value)}, path)
    with pytest.raises(UserError, match=r"contains NaN or infinite values \(1 tensor: bn1.runn"):
        load(path)


NOT_WEIGHTS = [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
    (b"\n <?xml version='1.0'?><Error/>", "is a web page"),
    (b"", "is empty"),
    (b"{'error': 'not found'}", "Download|Save"),
]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(("content", "text"), NOT_WEIGHTS)
def test_a_file_that_is_not_weights_is_an_error(
    tmp_path: Path, suffix: str, content: bytes, text: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^pretrained: .*({text})") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", [0.001, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["safetensors", "torch", "old torch"])
def test_a_truncated_file_is_an_error(state: State, tmp_path: Path, kind: str, part: float) -> None:
    path = tmp_path / "weights"
    if kind == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "torch")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UserError, match=r"damaged.*\. Download the file again\.$") as error:
        load(path)
    assert "\n" not in str(error.value) and ".." not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 200


def test_a_pickled_network_is_an_error(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet"), tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"contains timm.models.resnet.ResNet, not only tensors"):
        load(tmp_path / "net.pth")


def test_a_torchscript_archive_is_an_error(tmp_path: Path) -> None:
    torch.jit.trace(nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8)).save(tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"is a TorchScript archive. Save model.state_dict\(\)"):
        load(tmp_path / "net.pt")


def test_the_check_reads_the_file_before_anything_is_prepared(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    model = config(pretrained=str(path))
    torch.save({**state, "fc.weight": torch.zeros(1000, 9)}, path)  # heads do not matter
    assert libraries.problems({"a": model}) == []
    torch.save({**state, "conv1.0.weight": state["conv1.0.weight"] * torch.nan}, path)
    contents = {"contains NaN": path.read_bytes()} | {text: data for data, text in NOT_WEIGHTS}
    for text, content in contents.items():
        path.write_bytes(content)
        ((key, message),) = libraries.problems({"a": model})
        assert key == "models.a.pretrained" and re.search(text, message)


@pytest.mark.parametrize(
    ("source", "architecture"),
    [
        ("test_resnet", "test_vit"),
        ("test_resnet", "test_convnext"),
        ("test_resnet", "swin_tiny_patch4_window7_224"),
        ("test_vit", "beit_base_patch16_224"),
    ],
)
def test_another_architecture_is_an_error(tmp_path: Path, source: str, architecture: str) -> None:
    torch.save(timm.create_model(source).state_dict(), tmp_path / "weights.pth")
    with torch.device("meta"):
        net = factory.create(config(architecture=architecture, image_size=224), outputs=3)
    with pytest.raises(UserError, match="does not fit the architecture"):
        pretrained.read(net, tmp_path / "weights.pth")
