import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from provenances import training
from safetensors.torch import load_file, save_file
from trainings import FOLDS, config, training_data

from podium.core import files
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import factory, layers, pretrained
from podium.scoring import metrics
from podium.training import fold
from podium.training.checkpoints import Checkpoints

REPO = "timm/test_resnet.r160_in1k"


class Hub:
    """The hub's local cache, as huggingface_hub lays it out, without the hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, commit: str, seed: int, *, architecture: str = "test_resnet") -> Path:
        """Make `commit` the newest in the cache, with weights that follow from `seed`."""
        repo = timm.get_pretrained_cfg(architecture).hf_hub_id
        folder = self.folder / f"models--{repo.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text(commit)
        path = folder / "snapshots" / commit / "model.safetensors"
        path.parent.mkdir(parents=True)
        torch.manual_seed(seed)
        save_file(timm.create_model(architecture).state_dict(), path)
        return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return Hub(tmp_path / "hub")


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_weights_in_the_hubs_cache_are_loaded_and_the_head_stays_new(
    hub: Hub, architecture: str
) -> None:
    published = load_file(hub.add("c0ffee", 0, architecture=architecture))
    net = factory.create(config(architecture=architecture, pretrained=True), outputs=3)
    for name, tensor in net.state_dict().items():
        if layers.is_head(net, name):
            assert tensor.shape[0] == 3
        else:
            assert torch.equal(tensor, published[name]), name


def test_a_transformers_weights_from_the_hub_are_fitted_to_another_size(hub: Hub) -> None:
    hub.add("c0ffee", 0, architecture="test_vit")
    net = factory.create(config(architecture="test_vit", pretrained=True, image_size=96), outputs=2)
    assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 2)


def test_a_training_records_the_revision_and_the_hash_of_its_pretrained_weights(
    hub: Hub, images: ImageStore, tmp_path: Path
) -> None:
    def train(**changes: Any) -> tuple[str | None, str | None]:
        *_, provenance = fold.train_fold(
            config(batch_size=32, phases=[{"epochs": 1, "lr": 0.1}], **changes),
            training_data(images, FOLDS),
            fold=0,
            seed=1,
            metric=metrics.get(None, "multiclass"),
            checkpoints=Checkpoints(tmp_path / "x"),
        )
        return provenance.pretrained_revision, provenance.pretrained_sha256

    path = hub.add("c0ffee", 0)
    assert train(pretrained=True) == (f"{REPO}@c0ffee", files.sha256(path))
    assert train(pretrained=str(path)) == (None, files.sha256(path))
    assert train(pretrained=False) == (None, None)


def test_a_new_revision_has_another_hash_only_if_its_weights_differ(hub: Hub) -> None:
    first, same, other = (hub.add(commit, seed) for commit, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert files.sha256(first) == files.sha256(same) != files.sha256(other)
    start = pretrained.locate(config(pretrained=True))
    assert start is not None and start == (other, f"{REPO}@c")


def test_a_checkpoint_of_a_training_from_other_pretrained_weights_is_not_resumed(
    tmp_path: Path,
) -> None:
    with Checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.identify(training(pretrained_sha256="1").to_json())
        checkpoints.save({"step": 1})
        assert checkpoints.load() == {"step": 1}
        checkpoints.identify(training(pretrained_sha256="2").to_json())
        assert checkpoints.load() is None


def test_without_network_the_hub_fails_at_once_and_says_how_to_give_a_file(hub: Hub) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=f"cannot download {REPO}.*Set pretrained to the path"):
        factory.create(config(pretrained=True), outputs=3)
    assert time.monotonic() - start < 10
    assert not hub.folder.exists()


def test_offline_the_hub_is_not_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=f"cannot download {REPO}"):
        factory.create(config(pretrained=True), outputs=3)
    hub.add("c0ffee", 0)
    factory.create(config(pretrained=True), outputs=3)


def test_the_error_names_the_damaged_file_in_the_hubs_cache(hub: Hub) -> None:
    path = hub.add("c0ffee", 0)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=str(path)):
        factory.create(config(pretrained=True), outputs=3)


@pytest.mark.parametrize("architecture", ["simple_cnn", "gcvit_tiny"])
def test_an_architecture_without_weights_on_the_hub_is_an_error(architecture: str) -> None:
    with pytest.raises(UserError, match=f"timm has no weights of {architecture}"):
        factory.create(config(architecture=architecture, pretrained=True), outputs=3)


def test_pretrained_weights_come_from_a_file_and_the_head_stays_new(tmp_path: Path) -> None:
    other = timm.create_model("test_resnet", num_classes=1000)
    path = tmp_path / "weights.safetensors"
    save_file(other.state_dict(), path)
    net = factory.create(config(pretrained=str(path)), outputs=3)
    for name, tensor in net.state_dict().items():
        if not layers.is_head(net, name):
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_weights_file_of_torch_works_too(tmp_path: Path) -> None:
    other = timm.create_model("test_resnet", num_classes=5)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    net = factory.create(config(pretrained=str(tmp_path / "weights.pth")), outputs=3)
    assert torch.equal(net.conv1[0].weight, other.conv1[0].weight)  # type: ignore[index,union-attr]


class Malicious:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemError('code in a weights file ran')",)


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malicious()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="is not a weights file"):
        factory.create(config(pretrained=str(tmp_path / "weights.pth")), outputs=3)


def test_weights_of_another_architecture_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(UserError, match=r"does not fit the architecture: \d+ tensors missing"):
        factory.create(config(pretrained=str(path)), outputs=3)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not a weights file"):
        factory.create(config(pretrained=str(path)), outputs=3)
    with pytest.raises(UserError, match=r"none\.pth"):
        factory.create(config(pretrained=str(tmp_path / "none.pth")), outputs=3)


def test_a_transformers_weights_from_a_file_are_fitted_to_another_size(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    net = factory.create(
        config(architecture="test_vit", pretrained=str(path), image_size=96), outputs=2
    )
    assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 2)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_vit"])
def test_the_first_convolution_is_adapted_to_the_channels(
    hub: Hub, architecture: str, channels: int
) -> None:
    path = hub.add("c0ffee", 0, architecture=architecture)
    first = timm.get_pretrained_cfg(architecture).first_conv + ".weight"
    rgb = load_file(path)[first]
    expected = rgb.sum(1, keepdim=True)
    if channels > 1:
        expected = rgb.repeat(1, 2, 1, 1)[:, :channels] * 3 / channels
    for source in (True, str(path)):
        model = config(architecture=architecture, pretrained=source)
        net = factory.create(model, outputs=3, channels=channels)
        assert torch.allclose(net.state_dict()[first], expected, atol=1e-6)
