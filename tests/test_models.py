import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from podium import models, optim, weights
from podium.errors import UserError
from podium.schema import Model, Phase


def config(**changes: Any) -> Model:
    values = {
        "architecture": "test_resnet",
        "pretrained": False,
        "image_size": 32,
        "phases": [{"epochs": 1, "lr": 0.1}],
        "batch_size": 4,
    }
    return Model.model_validate(values | changes)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_any_architecture_gets_a_head_for_the_classes_and_takes_images_of_the_size(
    name: str,
) -> None:
    net = models.create(config(architecture=name), classes=7)
    images = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert net(models.Normalize(net)(images)).shape == (2, 7)
    head = {name for name, _ in net.named_parameters() if models.is_head(net, name)}
    assert head and all(net.get_parameter(name).shape[0] == 7 for name in head)


def test_an_unknown_architecture_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no architecture resnet_18: did you mean resnet"):
        models.create(config(architecture="resnet_18"), classes=2)


def test_images_are_normalised_as_the_weights_were_trained() -> None:
    net = timm.create_model("mobilenetv2_100")
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((images / 255 - mean) / std).permute(0, 3, 1, 2)
    found = models.Normalize(net)(images)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_a_new_head_starts_at_the_loss_of_guessing(name: str) -> None:
    torch.manual_seed(0)
    net = models.create(config(architecture=name), classes=2).eval()
    loss = nn.functional.cross_entropy(net(torch.randn(16, 3, 32, 32)), torch.arange(16) % 2)
    assert loss.item() == pytest.approx(0.693, abs=0.05)


def test_pretrained_weights_come_from_a_file_and_the_head_stays_new(tmp_path: Path) -> None:
    other = timm.create_model("test_resnet", num_classes=1000)
    path = tmp_path / "weights.safetensors"
    save_file(other.state_dict(), path)
    net = models.create(config(pretrained=str(path)), classes=3)
    for name, tensor in net.state_dict().items():
        if not models.is_head(net, name):
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_weights_file_of_torch_works_too(tmp_path: Path) -> None:
    other = timm.create_model("test_resnet", num_classes=5)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    net = models.create(config(pretrained=str(tmp_path / "weights.pth")), classes=3)
    assert torch.equal(net.conv1[0].weight, other.conv1[0].weight)  # type: ignore[index,union-attr]


class Malicious:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemError('code in a weights file ran')",)


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malicious()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="holds no weights"):
        models.create(config(pretrained=str(tmp_path / "weights.pth")), classes=3)


def test_weights_of_another_architecture_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(UserError, match=r"not of this architecture: \d+ tensors missing"):
        models.create(config(pretrained=str(path)), classes=3)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="holds no weights"):
        models.create(config(pretrained=str(path)), classes=3)
    with pytest.raises(UserError, match="there is no file"):
        models.create(config(pretrained=str(tmp_path / "none.pth")), classes=3)


def test_without_network_the_hub_fails_at_once_and_says_how_to_give_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(UserError, match="`pretrained:` to the path of a weights file"):
        models.create(config(pretrained=True), classes=3)
    assert time.monotonic() - start < 10


def test_trained_weights_carry_the_config_that_made_them(tmp_path: Path) -> None:
    made = config(dropout=0.5)
    net = models.create(made, classes=2)
    made_from = {"config": made.model_dump(), "classes": ["x", "y"], "fold": 3}
    weights.save(tmp_path / "w.safetensors", net.state_dict(), made_from)
    weights.save(tmp_path / "again.safetensors", net.state_dict(), made_from)
    found, read = weights.load(tmp_path / "w.safetensors")
    assert read == made_from
    for name, tensor in net.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    first, second = (tmp_path / name for name in ("w.safetensors", "again.safetensors"))
    assert first.read_bytes() == second.read_bytes()
    save_file({"fc.bias": torch.zeros(2)}, second)
    with pytest.raises(UserError, match="was not written by this pipeline"):
        weights.load(second)
    first.write_bytes(first.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be read"):
        weights.load(first)


def phase(**values: Any) -> Phase:
    return Phase.model_validate({"epochs": 1, "lr": 0.1} | values)


def test_head_phases_change_the_head_alone_and_leave_frozen_statistics() -> None:
    net = models.create(config(), classes=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    models.set_trainable(net, "head")
    optimizer = optim.create(net, phase(), 0.0)
    models.set_training(net, "update")
    loss = nn.functional.cross_entropy(net(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    optimizer.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"fc.weight", "fc.bias"}


def test_all_phases_change_everything() -> None:
    net = models.create(config(), classes=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    models.set_trainable(net, "head")
    models.set_trainable(net, "all")
    models.set_training(net, "update")
    optimizer = optim.create(net, phase(), 0.0)
    for _ in range(3):  # residual branches begin at zero: they take a step to let gradients in
        nn.functional.cross_entropy(
            net(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1])
        ).backward()
        optimizer.step()
    unchanged = {k for k, v in net.state_dict().items() if torch.equal(v, before[k])}
    assert unchanged == set()


def test_the_optimizer_is_the_one_that_the_phase_names() -> None:
    net = models.create(config(), classes=2)
    sgd = optim.create(net, phase(optimizer="sgd"), 0.0)
    assert isinstance(sgd, torch.optim.SGD)
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in sgd.param_groups)
    assert isinstance(optim.create(net, phase(), 0.0), torch.optim.AdamW)
    with pytest.raises(UserError, match="no optimizer adamww: did you mean adamw"):
        optim.create(net, phase(optimizer="adamww"), 0.0)


def test_head_and_backbone_have_rates_of_their_own_and_vectors_do_not_decay() -> None:
    net = models.create(config(), classes=2)
    optimizer = optim.create(net, phase(lr=0.1, backbone_lr=0.01), 0.05)
    optim.set_factor(optimizer, 0.5)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.add(name)
            assert group["lr"] == pytest.approx(0.05 if name.startswith("fc.") else 0.005), name
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0), name
    assert seen == set(names.values())


@pytest.mark.parametrize(("batch_norm", "moves"), [("update", True), ("freeze", False)])
def test_frozen_batch_norms_keep_their_statistics(batch_norm: str, moves: bool) -> None:
    net = models.create(config(), classes=2)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    models.set_training(net, batch_norm)
    net(torch.randn(4, 3, 32, 32))
    assert any(not torch.equal(net.state_dict()[k], v) for k, v in before.items()) == moves


def test_a_tag_that_the_architecture_lacks_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no pretrained weights resnet18\.a9_in1k: did you mean"):
        models.create(config(architecture="resnet18.a9_in1k"), classes=2)


def test_a_transformers_weights_are_fitted_to_another_size(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    net = models.create(
        config(architecture="test_vit", pretrained=str(path), image_size=96), classes=2
    )
    assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 2)
