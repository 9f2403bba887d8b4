from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from trainings import config

from podium.core import seeding
from podium.models.losses import LOSSES
from podium.models.targets import TargetCodec
from podium.scoring.task import Task
from podium.training.criterion import Criterion
from podium.training.mixup import Mixer

TASK = Task("multiclass", ["a", "b", "c"])
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
IMAGES = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 5


def mix_batch(key: int = 0, **changes: Any) -> tuple[torch.Tensor, torch.Tensor]:
    model = config(batch_size=8, **changes)
    cpu = torch.device("cpu")
    criterion = Criterion(model, TargetCodec(model, TASK), TARGETS.numpy(), device=cpu)
    mixer = Mixer(model, criterion, device=cpu)
    seeding.set_global("mix", key)
    inputs, targets = mixer({"image": IMAGES.clone()}, TARGETS)
    return inputs["image"], targets


def test_without_mixing_targets_are_smoothed_labels() -> None:
    images, targets = mix_batch(label_smoothing=0.3)
    assert torch.equal(images, IMAGES)
    assert torch.allclose(targets, F.one_hot(TARGETS, 3) * 0.7 + 0.1)


def test_mixup_blends_images_and_its_loss_is_the_blend_of_the_losses() -> None:
    images, targets = mix_batch(mix={"mixup_alpha": 0.8})
    lam = targets[0, 0].item()  # image 0 (class 0) with image 7 (class 1)
    assert 0 < lam < 1 and targets[0, 1].item() == pytest.approx(1 - lam)
    assert torch.allclose(images, lam * IMAGES + (1 - lam) * IMAGES.flip(0), atol=1e-5)
    values = torch.randn(8, 3)
    value = LOSSES["cross_entropy"].loss(values, targets, TASK)
    expected = lam * F.cross_entropy(values, TARGETS) + (1 - lam) * F.cross_entropy(
        values, TARGETS.flip(0)
    )
    assert torch.allclose(value, expected)


def test_each_label_of_a_mixed_pair_has_the_weight_of_its_own_class() -> None:
    """With smoothing, too."""
    _, shares = mix_batch(mix={"mixup_alpha": 0.8})
    weights = torch.tensor([1.0, 2.0, 40.0])
    _, targets = mix_batch(
        mix={"mixup_alpha": 0.8}, label_smoothing=0.3, class_weights=weights.tolist()
    )
    smoothed = torch.eye(3) * 0.7 + 0.1
    assert torch.allclose(targets, shares @ (weights[:, None] * smoothed), atol=1e-5)


def test_cutmix_pastes_a_rectangle_and_targets_are_its_share() -> None:
    images, targets = mix_batch(key=3, mix={"cutmix_alpha": 1.0})
    pasted = (images[0] == IMAGES[7]).all(0)
    kept = (images[0] == IMAGES[0]).all(0)
    assert (pasted ^ kept).all() and pasted.any() and kept.any()
    assert targets[0, 0].item() == pytest.approx(kept.float().mean().item(), abs=1e-5)
    rows, columns = np.nonzero(pasted.numpy())
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_prob_and_switch_prob_are_the_shares_of_mixed_and_cutmix_batches() -> None:
    def share(**mix: float) -> tuple[float, float]:
        cut = plain = 0
        for key in range(300):
            images, _ = mix_batch(key, mix=mix)
            plain += torch.equal(images, IMAGES)
            cut += 0 < (images[0] == IMAGES[0]).float().mean() < 1
        return plain / 300, cut / 300

    plain, cut = share(mixup_alpha=1.0, cutmix_alpha=1.0, prob=0.6, switch_prob=0.25)
    assert plain == pytest.approx(0.4, abs=0.08)
    assert cut == pytest.approx(0.6 * 0.25, abs=0.07)


def test_random_erasing_blanks_a_rectangle_in_some_images() -> None:
    erased = np.array([(mix_batch(key, random_erasing=0.5)[0] == 0).all(1).any((1, 2)).numpy()
                       for key in range(60)])  # fmt: skip
    assert erased.mean() == pytest.approx(0.5, abs=0.1)
    images, _ = mix_batch(random_erasing=1.0)
    blank = (images[0] == 0).all(0)
    assert torch.equal(images[0][:, ~blank], IMAGES[0][:, ~blank])
    assert 0.02 < blank.float().mean() < 0.4


def test_the_same_seed_mixes_the_same() -> None:
    changes = {"mix": {"mixup_alpha": 1.0, "cutmix_alpha": 1.0}, "random_erasing": 0.5}
    first, second, other = mix_batch(1, **changes), mix_batch(1, **changes), mix_batch(2, **changes)
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
