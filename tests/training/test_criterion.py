from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from trainings import config

from podium.core.errors import UserError
from podium.models.targets import TargetCodec
from podium.scoring.task import Task
from podium.training.criterion import Criterion, class_weights

OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")
CLASSES = ["a", "b", "c"]


def criterion(task: Task, targets: np.ndarray, **changes: Any) -> Criterion:
    model = config(**changes)
    return Criterion(model, TargetCodec(model, task), targets, device=CPU)


@pytest.mark.parametrize(
    ("task", "loss", "expected"),
    [
        (Task("multilabel", CLASSES), None, F.binary_cross_entropy_with_logits),
        (Task("ordinal", ["0", "1", "2", "3"]), None, F.binary_cross_entropy_with_logits),
        (Task("regression", ["age"]), None, F.mse_loss),
        (Task("regression", ["age"]), "mae", F.l1_loss),
        (Task("regression", ["age"]), "huber", F.huber_loss),
    ],
)
def test_losses_without_class_weights_are_torchs_mean(
    task: Task, loss: str | None, expected: Any
) -> None:
    targets = torch.rand(6, 3, generator=torch.Generator().manual_seed(1))
    mean_loss = criterion(task, np.empty(0), loss=loss)
    assert torch.equal(mean_loss(OUTPUTS, targets), expected(OUTPUTS, targets))


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (Task("multilabel", CLASSES), {}),
        (Task("multiclass", CLASSES), {"class_weights": [1.0, 2.0, 5.0]}),
    ],
)
def test_micro_batches_add_up_to_the_batch(task: Task, changes: dict[str, Any]) -> None:
    mean_loss = criterion(task, np.arange(3), **changes)
    labels = torch.tensor([0, 1, 2, 2, 2, 1])
    one_hot = F.one_hot(labels, 3).float()
    targets = mean_loss.encode(labels if task.single_label else one_hot)
    parts = [
        mean_loss(OUTPUTS[rows], targets[rows]) * mean_loss.weight(targets[rows])
        for rows in (slice(0, 2), slice(2, 6))
    ]
    assert torch.allclose(sum(parts) / mean_loss.weight(targets), mean_loss(OUTPUTS, targets))


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "binary_cross_entropy"])
def test_a_class_weight_applies_to_the_smoothed_loss_of_its_images(name: str) -> None:
    """Smoothing moves the targets of frequent classes no further towards a rare, heavy class."""
    changes = {"loss": name, "label_smoothing": 0.3}
    labels, task = torch.tensor([0, 1, 2, 2, 2, 1]), Task("multiclass", CLASSES)
    unweighted = criterion(task, labels.numpy(), **changes)
    weights = [1.0, 2.0, 50.0]
    weighted = criterion(task, labels.numpy(), **changes, class_weights=weights)
    losses = torch.stack(
        [unweighted(OUTPUTS[i : i + 1], unweighted.encode(labels[i : i + 1])) for i in range(6)]
    )
    per_image = torch.tensor(weights)[labels]
    expected = (losses * per_image).sum() / per_image.sum()
    assert torch.allclose(weighted(OUTPUTS, weighted.encode(labels)), expected)


def test_class_weights_are_scikit_learns_or_those_given() -> None:
    targets = np.array([0] * 5 + [2] * 20)
    balanced = class_weights(config(class_weights="balanced"), targets, CLASSES)
    expected = compute_class_weight("balanced", classes=np.array([0, 2]), y=targets)
    assert balanced.tolist() == pytest.approx([expected[0], 0, expected[1]])
    given = class_weights(config(class_weights=[1.0, 2.0, 3.0]), targets, CLASSES)
    assert given.tolist() == [1, 2, 3]
    assert class_weights(config(), targets, CLASSES).tolist() == [1, 1, 1]
    with pytest.raises(UserError, match="2 weights for 3 classes"):
        class_weights(config(class_weights=[1.0, 2.0]), targets, CLASSES)
