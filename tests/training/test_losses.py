from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from trainings import config

from podium.config.models import Model
from podium.core.errors import UserError
from podium.models.targets import TargetCodec
from podium.scoring.task import Task
from podium.training import losses

VALUES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 2, 2, 1])
HOT = F.one_hot(TARGETS, 3).float()
WEIGHTS = torch.tensor([2.0, 1.0, 0.5])


def coding(made: Model, classes: int = 3) -> TargetCodec:
    return TargetCodec(made, Task("multiclass", ["a", "b", "c", "d"][:classes]))


def loss(weights: torch.Tensor | None = None, **changes: Any) -> losses.Loss:
    made = config(**changes)
    return losses.Loss(made, coding(made), torch.ones(3) if weights is None else weights)


def test_cross_entropy_is_torchs() -> None:
    assert torch.allclose(loss()(VALUES, HOT), F.cross_entropy(VALUES, TARGETS))
    expected = F.cross_entropy(VALUES, TARGETS, weight=WEIGHTS)
    assert torch.allclose(loss(WEIGHTS)(VALUES, HOT), expected)
    soft = HOT * 0.7 + 0.1
    assert torch.allclose(
        loss()(VALUES, soft), F.cross_entropy(VALUES, TARGETS, label_smoothing=0.3)
    )


def test_a_weight_counts_an_image_so_many_times() -> None:
    """Any loss with weights 2 and 1 is that without, on twice as many images of the first."""
    for changes in ({"loss": "focal"}, {"loss": "binary_cross_entropy"}, {}):
        doubled = torch.cat([VALUES[:1], VALUES]), torch.cat([HOT[:1], HOT])
        weighted = loss(torch.tensor([2.0, 1.0, 1.0]), **changes)(VALUES, HOT)
        assert torch.allclose(weighted, loss(**changes)(*doubled)), changes


def test_focal_loss_follows_its_formula() -> None:
    p = VALUES.softmax(1)[torch.arange(6), TARGETS]
    for gamma in (None, 0.0, 3.5):
        found = loss(loss="focal", focal_gamma=gamma)(VALUES, HOT)
        expected = (-((1 - p) ** (2.0 if gamma is None else gamma)) * p.log()).mean()
        assert torch.allclose(found, expected)


def test_focal_loss_has_gradients_where_it_is_sure() -> None:
    for gamma in (0.5, 0.9, 2.0):
        values = torch.tensor([[40.0, 0.0, 0.0]], requires_grad=True)
        loss(loss="focal", focal_gamma=gamma)(values, HOT[:1]).backward()
        assert torch.isfinite(values.grad).all(), gamma  # type: ignore[arg-type]


def test_weights_of_soft_targets_mean_the_same_for_one_logit_as_for_two() -> None:
    targets = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    values, weights = torch.tensor([[0.4], [-1.3]]), torch.tensor([1.0, 9.0])
    binary = config(loss="binary_cross_entropy")
    found = losses.Loss(binary, coding(binary, 2), weights)(values, targets)
    two = coding(binary, 2).to_logits(values)
    assert torch.allclose(found, losses.Loss(config(), coding(config(), 2), weights)(two, targets))


def test_binary_cross_entropy_of_one_logit_a_class_is_torchs() -> None:
    found = loss(loss="binary_cross_entropy")(VALUES, HOT)
    assert torch.allclose(found, F.binary_cross_entropy_with_logits(VALUES, HOT))


def test_binary_cross_entropy_of_two_classes_takes_one_logit() -> None:
    made = config(loss="binary_cross_entropy")
    assert coding(made, 2).outputs == 1 and coding(made, 3).outputs == 3
    assert coding(config(), 2).outputs == 2
    values, targets = VALUES[:, :1], torch.tensor([0, 1, 0, 1, 1, 0])
    hot = F.one_hot(targets, 2).float()
    expected = F.binary_cross_entropy_with_logits(values[:, 0], targets.float())
    assert torch.allclose(losses.Loss(made, coding(made, 2), torch.ones(2))(values, hot), expected)
    logits = coding(made, 2).to_logits(values)
    assert torch.allclose(logits.softmax(1)[:, 1:], values.sigmoid())
    assert torch.allclose(F.cross_entropy(logits, targets), expected)


def test_the_readout_of_one_logit_a_class_gives_the_sigmoids_shares() -> None:
    found = coding(config(loss="binary_cross_entropy")).to_logits(VALUES).softmax(1)
    assert torch.allclose(found, VALUES.sigmoid() / VALUES.sigmoid().sum(1, keepdim=True))
    assert coding(config()).to_logits(VALUES) is VALUES


def test_class_weights_are_scikit_learns_or_those_given() -> None:
    targets = np.array([0] * 5 + [2] * 20)
    found = losses.class_weights(config(class_weights="balanced"), targets, ["a", "b", "c"])
    expected = compute_class_weight("balanced", classes=np.array([0, 2]), y=targets)
    assert found.tolist() == pytest.approx([expected[0], 0, expected[1]])
    given = losses.class_weights(config(class_weights=[1.0, 2.0, 3.0]), targets, ["a", "b", "c"])
    assert given.tolist() == [1, 2, 3]
    assert losses.class_weights(config(), targets, ["a", "b", "c"]).tolist() == [1, 1, 1]
    with pytest.raises(UserError, match="2 numbers for 3 classes: a, b, c"):
        losses.class_weights(config(class_weights=[1.0, 2.0]), targets, ["a", "b", "c"])
