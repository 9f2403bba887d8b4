import numpy as np
import pytest
import torch
from torch import nn
from trainings import FOLDS, Reads, config, gpu_waits

from podium.core import seeding
from podium.images import loading
from podium.images.augment import Augmentation
from podium.images.ordered import InOrder
from podium.images.sampling import SampleIndex
from podium.images.store import ImageStore
from podium.models import factory, image_pool, inference, inputs
from podium.models.device import accelerator
from podium.models.inference import infer, infer_features
from podium.models.inputs import Preprocess
from podium.models.targets import TargetCodec
from podium.prediction.tta import VIEWS
from podium.scoring.task import Task


@pytest.fixture
def net() -> nn.Module:
    seeding.set_global("x")
    return factory.create(config(), outputs=3).eval()


@pytest.fixture
def dataset(images: ImageStore) -> loading.Images:
    plain = Augmentation("none", size=32, resize_mode="squash")
    return loading.Images(images, FOLDS["id"].tolist(), None, transforms=[plain])


def test_logits_are_averaged_over_the_views(net: nn.Module, dataset: loading.Images) -> None:
    views = [VIEWS[name] for name in ("identity", "hflip", "crop_center")]
    logits = infer(
        net,
        InOrder(dataset, 10),
        TargetCodec(config(), Task("regression", ["age"]), scale=(0.0, 2.0)),
        views=views,
        accelerator=accelerator("fp32"),
        batch_size=10,
    )
    batch = dataset.__getitems__([SampleIndex(row) for row in range(120)])
    images = Preprocess(net, torch.device("cpu"))(batch.inputs)["image"]
    with torch.inference_mode():
        expected = sum(2 * net(view(images)) for view in views) / 3
    assert torch.allclose(logits, expected, atol=1e-5)


class SmallDevice(nn.Module):
    """Has memory for `max_images`; raises torch's own error for more."""

    def __init__(self, net: nn.Module, max_images: int) -> None:
        super().__init__()
        self.net, self.max_images, self.sizes = net, max_images, list[int]()
        self.pretrained_cfg = net.pretrained_cfg
        if (pool := image_pool.of(net)) is not None:
            self.image_pool = pool

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        if len(images) > self.max_images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return self.net(images)


def predict(net: nn.Module, dataset: loading.Images, *, split_on_oom: bool) -> torch.Tensor:
    return infer(
        net,
        InOrder(dataset, 50),
        TargetCodec(config(), Task("multiclass", ["a", "b", "c"])),
        accelerator=accelerator("fp32"),
        batch_size=50,
        split_on_oom=split_on_oom,
    )


def test_batches_are_halved_until_they_fit_and_start_whole_the_next_time(
    net: nn.Module, dataset: loading.Images
) -> None:
    expected = predict(net, dataset, split_on_oom=False)
    small = SmallDevice(net, 14)
    for _ in range(2):
        small.sizes.clear()
        logits = predict(small, dataset, split_on_oom=True)
        assert torch.allclose(logits, expected, atol=1e-5)
        halved = [50, 25, *[13, 13, 13, 11]]  # a batch that does not fit
        assert small.sizes == [*halved, *[13, 13, 13, 11], *[13, 7]]


def test_a_gpu_sees_batches_of_one_size(
    net: nn.Module, dataset: loading.Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predict(net, dataset, split_on_oom=False)
    monkeypatch.setattr(inference, "ONE_SIZE", {"cpu"})
    device = SmallDevice(net, 50)
    logits = predict(device, dataset, split_on_oom=False)
    assert device.sizes == [50, 50, 50] and logits.shape == (120, 3)
    assert torch.allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("case", ["whole", "one size", "halved"])
def test_an_id_may_have_more_images_than_the_network_sees_at_a_time(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Neither they nor the batches of other ids have more."""
    net = factory.create(config(image_pool="attention", metadata={}), outputs=3, metadata_size=2)
    for name in ("image_pool.attention.score.weight", "metadata_head.output.weight"):
        nn.init.normal_(net.get_parameter(name), std=10)
    counts = [3, 60, 1, 20, 36]
    dataset = loading.Images(
        images,
        FOLDS["id"].tolist(),
        None,
        transforms=[Augmentation("none", size=32, resize_mode="squash")],
        metadata=np.random.default_rng(0).random((120, 2), np.float32),
        units=np.repeat(np.arange(len(counts)), counts),
    )
    batch = dataset.__getitems__([SampleIndex(row) for row in range(120)])
    with torch.inference_mode():
        ready = Preprocess(net.eval(), torch.device("cpu"))(batch.inputs)
        expected = inputs.forward(net, ready).repeat_interleave(torch.tensor(counts), dim=0)
    if case == "one size":
        monkeypatch.setattr(inference, "ONE_SIZE", {"cpu"})
    small = SmallDevice(net, 4 if case == "halved" else 8)
    small.metadata_head = net.metadata_head
    logits = infer(
        small,
        InOrder(dataset, 8),
        TargetCodec(config(), Task("multiclass", ["a", "b", "c"])),
        accelerator=accelerator("fp32"),
        batch_size=8,
        split_on_oom=case == "halved",
    )
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    sizes = {
        "whole": [3, *[8] * 7, 4, 1, 8, 8, 4, *[8] * 4, 4],
        "one size": [8] * 18,
        "halved": [3, 8, *[4] * 15, 1, *[4] * 14],
    }
    assert small.sizes == sizes[case]


def three_views(net: nn.Module, batches: InOrder) -> torch.Tensor:
    accelerated = accelerator("auto")
    return infer(
        accelerated.prepare(net),
        batches,
        TargetCodec(config(), Task("multiclass", ["a", "b", "c"])),
        views=[VIEWS[name] for name in ("identity", "hflip", "crop_center")],
        accelerator=accelerated,
        batch_size=batches.batch_sampler.batch_size,
    )


def test_no_batch_reads_a_tensors_value(net: nn.Module, dataset: loading.Images) -> None:
    counts = []
    for size in (60, 10):
        with Reads() as reads:
            three_views(net, InOrder(dataset, size))
        counts.append(reads.count)
    assert counts[0] == counts[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_results_are_copied_from_the_gpu_once(net: nn.Module, dataset: loading.Images) -> None:
    counts = []
    for size in (60, 10):
        with gpu_waits() as waits:
            three_views(net, InOrder(dataset, size, device="cuda"))
        counts.append(len(waits))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("case", ["whole", "padded", "halved"])
def test_features_are_what_the_layer_receives_for_each_view(
    net: nn.Module, dataset: loading.Images, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case != "whole":
        monkeypatch.setattr(inference, "ONE_SIZE", {"cpu"})
    flip = VIEWS["hflip"]
    _, features = infer_features(
        SmallDevice(net, 14 if case == "halved" else 50),
        net.get_submodule("fc"),
        InOrder(dataset, 50),
        TargetCodec(config(), Task("multiclass", ["a", "b", "c"])),
        views=[VIEWS["identity"], flip],
        accelerator=accelerator("fp32"),
        batch_size=50,
        split_on_oom=True,
    )
    batch = dataset.__getitems__([SampleIndex(row) for row in range(120)])
    images = Preprocess(net, torch.device("cpu"))(batch.inputs)["image"]
    with torch.inference_mode():
        pooled = [net.forward_head(net.forward_features(x), pre_logits=True)
                  for x in (images, flip(images))]  # fmt: skip
    assert features.shape == (120, 2, pooled[0].shape[1])
    assert torch.allclose(features, torch.stack(pooled, 1), atol=1e-5)


def test_running_out_of_memory_is_an_error_without_splitting_or_for_single_images(
    net: nn.Module, dataset: loading.Images
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        predict(SmallDevice(net, 14), dataset, split_on_oom=False)
    with pytest.raises(torch.OutOfMemoryError):
        predict(SmallDevice(net, 0), dataset, split_on_oom=True)
