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
    targets = F.one_hot(torch.tensor([0, 1, 2, 2, 2, 1]), 3).float()
    mean_loss = criterion(task, np.arange(3), **changes)
    parts = [
        mean_loss(OUTPUTS[rows], targets[rows]) * mean_loss.weight(targets[rows])
        for rows in (slice(0, 2), slice(2, 6))
    ]
    assert torch.allclose(sum(parts) / mean_loss.weight(targets), mean_loss(OUTPUTS, targets))


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
