import typing
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from trainings import config

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.models import losses
from podium.models.loss import Loss
from podium.models.losses import LOSSES
from podium.models.targets import TargetCodec
from podium.scoring.task import Task

OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 2, 2, 1])
ONE_HOT = F.one_hot(TARGETS, 3).float()
WEIGHTS = torch.tensor([2.0, 1.0, 0.5])
TASK = Task("multiclass", ["a", "b", "c"])
TASKS: tuple[TaskName, ...] = typing.get_args(TaskName)


def codec_for(*, classes: int = 3, **changes: Any) -> TargetCodec:
    return TargetCodec(config(**changes), Task("multiclass", ["a", "b", "c", "d"][:classes]))


def loss(**changes: Any) -> Loss:
    return losses.of(config(**changes), "multiclass")


def test_every_task_has_one_default_loss_that_supports_it() -> None:
    for task in TASKS:
        defaults = [name for name, entry in LOSSES.items() if task in entry.default_for]
        assert defaults == losses.names(task)[:1], task
    assert all(set(entry.default_for) <= set(entry.tasks) for entry in LOSSES.values())


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("multiclass", {"loss": "focall"}, "focall.*did you mean focal"),
        ("multiclass", {"loss": "mse"}, "mse.*multiclass.*cross_entropy, binary_cross_entropy"),
        ("multiclass", {"focal_gamma": 1.0}, "^focal_gamma: .*cross_entropy"),
        ("multiclass", {"arcface_scale": 30.0}, "^arcface_scale: .*cross_entropy"),
        ("binary", {"loss": "arcface"}, "^loss: arcface does not support task: binary"),
        ("ordinal", {"class_weights": "balanced"}, "^class_weights: .*cumulative"),
    ],
)
def test_a_loss_or_setting_that_does_not_fit_is_an_error(
    task: TaskName, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        losses.of(config(**changes), task)


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name in LOSSES for task in LOSSES[name].tasks]
)
def test_every_loss_trains_and_is_lowest_where_logits_agree_with_the_targets(
    name: str, task: TaskName
) -> None:
    classes = ["age"] if task == "regression" else ["0", "1"] if task == "binary" else list("0123")
    codec = TargetCodec(config(loss=name), Task(task, classes))
    if task == "regression":
        labels = torch.tensor([[0.0], [1.0], [-2.0]])
    elif task == "multilabel":
        labels = torch.tensor([[1.0, 0, 1, 0], [0.0, 0, 0, 1], [1.0, 1, 1, 1]])
    else:
        labels = torch.tensor([0, 1, len(classes) - 1])
    targets = codec.encode(labels)
    outputs = torch.zeros(3, codec.outputs, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.3)
    values = []
    for _ in range(100):
        value = codec.loss.loss(outputs, targets, codec.task)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.1 * values[0]
    logits = codec.to_logits(outputs.detach())
    assert logits.shape == (3, len(classes))
    predicted = logits.argmax(1) if codec.task.single_label else logits
    if task == "multilabel":
        predicted = (logits > 0).float()
    assert torch.allclose(predicted, labels, atol=0.1)


def test_cross_entropy_is_torchs() -> None:
    assert torch.allclose(loss().loss(OUTPUTS, ONE_HOT, TASK), F.cross_entropy(OUTPUTS, TARGETS))
    expected = F.cross_entropy(OUTPUTS, TARGETS, weight=WEIGHTS)
    assert torch.allclose(loss().loss(OUTPUTS, ONE_HOT * WEIGHTS, TASK), expected)
    smoothed = codec_for(label_smoothing=0.3).encode(TARGETS)
    expected = F.cross_entropy(OUTPUTS, TARGETS, label_smoothing=0.3)
    assert torch.allclose(loss().loss(OUTPUTS, smoothed, TASK), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "focal"])
def test_a_class_weight_counts_an_image_so_many_times(name: str) -> None:
    """Weight 2 for one class is the same as twice as many of its images."""
    doubled = torch.cat([OUTPUTS[:1], OUTPUTS]), torch.cat([ONE_HOT[:1], ONE_HOT])
    weighted = loss(loss=name).loss(OUTPUTS, ONE_HOT * torch.tensor([2.0, 1.0, 1.0]), TASK)
    assert torch.allclose(weighted, loss(loss=name).loss(*doubled, TASK))


def test_focal_loss_follows_its_formula() -> None:
    p = OUTPUTS.softmax(1)[torch.arange(6), TARGETS]
    for gamma in (None, 0.0, 3.5):
        value = loss(loss="focal", focal_gamma=gamma).loss(OUTPUTS, ONE_HOT, TASK)
        expected = (-((1 - p) ** (2.0 if gamma is None else gamma)) * p.log()).mean()
        assert torch.allclose(value, expected)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 2.0])
def test_focal_loss_has_finite_gradients_at_probability_one(gamma: float) -> None:
    outputs = torch.tensor([[40.0, 0.0, 0.0]], requires_grad=True)
    loss(loss="focal", focal_gamma=gamma).loss(outputs, ONE_HOT[:1], TASK).backward()
    assert torch.isfinite(outputs.grad).all()  # type: ignore[arg-type]


def test_weights_of_soft_targets_mean_the_same_for_one_logit_as_for_two() -> None:
    targets = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    targets = targets * torch.tensor([[1.0], [9.0]])
    outputs = torch.tensor([[0.4], [-1.3]])
    binary = codec_for(loss="binary_cross_entropy", classes=2)
    two = binary.to_logits(outputs)
    value = binary.loss.loss(outputs, targets, binary.task)
    assert torch.allclose(value, loss().loss(two, targets, binary.task))


def test_binary_cross_entropy_with_one_logit_per_class_is_torchs() -> None:
    value = loss(loss="binary_cross_entropy").loss(OUTPUTS, ONE_HOT, TASK)
    assert torch.allclose(value, F.binary_cross_entropy_with_logits(OUTPUTS, ONE_HOT))


def test_binary_cross_entropy_of_two_classes_has_one_output() -> None:
    binary = codec_for(loss="binary_cross_entropy", classes=2)
    assert binary.outputs == 1 and codec_for(classes=2).outputs == 2
    assert codec_for(loss="binary_cross_entropy").outputs == 3
    outputs, targets = OUTPUTS[:, :1], torch.tensor([0, 1, 0, 1, 1, 0])
    expected = F.binary_cross_entropy_with_logits(outputs[:, 0], targets.float())
    value = binary.loss.loss(outputs, F.one_hot(targets, 2).float(), binary.task)
    assert torch.allclose(value, expected)
    logits = binary.to_logits(outputs)
    assert torch.allclose(logits.softmax(1)[:, 1:], outputs.sigmoid())
    assert torch.allclose(F.cross_entropy(logits, targets), expected)


def test_one_sigmoid_per_class_gives_probabilities_in_proportion() -> None:
    probabilities = codec_for(loss="binary_cross_entropy").to_logits(OUTPUTS).softmax(1)
    expected = OUTPUTS.sigmoid() / OUTPUTS.sigmoid().sum(1, keepdim=True)
    assert torch.allclose(probabilities, expected)
    assert codec_for().to_logits(OUTPUTS) is OUTPUTS
