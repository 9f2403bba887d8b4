from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from trainings import config

from podium.config.tasks import TaskName
from podium.models.losses import LOSSES
from podium.models.targets import TargetCodec
from podium.scoring.task import Task

ORDINAL = Task("ordinal", ["0", "1", "2", "3"])
MULTILABEL = Task("multilabel", ["a", "b", "c"])
REGRESSION = Task("regression", ["age"])
OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def codec_for(task: Task, **changes: Any) -> TargetCodec:
    return TargetCodec(config(**changes), task)


@pytest.mark.parametrize(
    ("task", "classes", "outputs", "loss"),
    [
        ("binary", 2, 1, "binary_cross_entropy"),
        ("multiclass", 2, 2, "cross_entropy"),
        ("multiclass", 5, 5, "cross_entropy"),
        ("multilabel", 2, 2, "binary_cross_entropy"),
        ("ordinal", 5, 4, "cumulative"),
        ("regression", 1, 1, "mse"),
    ],
)
def test_head_and_loss_follow_from_the_task(
    task: TaskName, classes: int, outputs: int, loss: str
) -> None:
    codec = codec_for(Task(task, [str(number) for number in range(classes)]))
    assert (codec.outputs, codec.loss) == (outputs, LOSSES[loss])


def test_an_ordinal_target_is_whether_it_is_above_each_threshold() -> None:
    assert codec_for(ORDINAL).encode(torch.tensor([0, 2, 3])).tolist() == [
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]


def test_cumulative_outputs_give_the_levels_probabilities() -> None:
    values = torch.tensor([[2.0, 0.0, -1.0]])
    above = values.sigmoid()[0].tolist()
    expected = [1 - above[0], above[0] - above[1], above[1] - above[2], above[2]]
    assert codec_for(ORDINAL).to_logits(values).softmax(1)[0].tolist() == pytest.approx(expected)


def test_cumulative_outputs_out_of_order_give_no_negative_probability() -> None:
    values = codec_for(ORDINAL).to_logits(torch.tensor([[-3.0, 5.0, 1.0]])).softmax(1)[0]
    assert values.isfinite().all() and values[1] < 1e-5 and values.sum() == pytest.approx(1)
    assert values[0] == pytest.approx(1 - torch.tensor(-3.0).sigmoid().item(), abs=1e-4)


def test_regression_targets_are_standardized_and_restored() -> None:
    targets = np.array([[10.0], [20.0], [60.0]], np.float32)
    codec = TargetCodec(config(), REGRESSION, scale=REGRESSION.scale(targets))
    encoded = codec.encode(torch.as_tensor(targets))
    assert encoded.mean().item() == pytest.approx(0, abs=1e-6)
    assert encoded.std(correction=0).item() == pytest.approx(1)
    assert torch.allclose(codec.to_logits(encoded), torch.as_tensor(targets))


def test_equal_regression_targets_have_a_scale_of_one() -> None:
    assert REGRESSION.scale(np.full((3, 1), 7.0)) == ([7.0], [1.0])
    assert MULTILABEL.scale(np.zeros((3, 3))) == ([0.0], [1.0])


def test_each_of_several_targets_has_its_own_scale() -> None:
    task = Task("regression", ["u", "v"])
    targets = task.targets(["1|1000", "3|5000"])
    codec = TargetCodec(config(), task, scale=task.scale(targets))
    encoded = codec.encode(torch.as_tensor(targets))
    assert encoded.tolist() == codec.standardize(targets).tolist() == [[-1, -1], [1, 1]]
    assert codec.outputs == 2 and codec.to_logits(encoded).tolist() == targets.tolist()
    off = torch.as_tensor(targets) + torch.tensor([1.0, 2000.0])
    assert codec.unsmoothed_loss(off, torch.as_tensor(targets)).item() == 1


def test_smoothing_pulls_multilabel_targets_towards_one_half() -> None:
    codec = codec_for(MULTILABEL, label_smoothing=0.2)
    assert codec.encode(torch.tensor([[1.0, 0.0, 1.0]])).tolist()[0] == pytest.approx(
        [0.9, 0.1, 0.9]
    )


def test_the_unsmoothed_loss_is_torchs() -> None:
    hot = (OUTPUTS > 0).float()
    values = codec_for(MULTILABEL).unsmoothed_loss(OUTPUTS, hot)
    assert torch.equal(values, F.binary_cross_entropy_with_logits(OUTPUTS, hot))
    prices = torch.tensor([[1e5], [3e5], [8e5]])
    codec = TargetCodec(config(), REGRESSION, scale=REGRESSION.scale(prices.numpy()))
    outputs = OUTPUTS[:3, :1]  # the training loss is of these and of standardized targets
    expected = F.mse_loss(outputs, codec.encode(prices))
    assert torch.allclose(codec.unsmoothed_loss(codec.to_logits(outputs), prices), expected)
    assert codec_for(REGRESSION).unsmoothed_loss(
        OUTPUTS[:, :1], OUTPUTS[:, :1] + 2
    ).item() == pytest.approx(4)
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    logits = codec_for(ORDINAL).to_logits(OUTPUTS)
    assert torch.equal(
        codec_for(ORDINAL).unsmoothed_loss(logits, targets), F.cross_entropy(logits, targets)
    )
