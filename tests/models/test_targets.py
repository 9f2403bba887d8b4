from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from trainings import config

from podium.config.tasks import TaskName
from podium.models import targets as codings
from podium.models.losses import LOSSES
from podium.models.targets import TargetCodec
from podium.scoring.task import Task

GRADES = Task("ordinal", ["0", "1", "2", "3"])
LABELS = Task("multilabel", ["a", "b", "c"])
NUMBER = Task("regression", ["age"])
VALUES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def coding(task: Task, **changes: Any) -> TargetCodec:
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
    made = coding(Task(task, [str(number) for number in range(classes)]))
    assert (made.outputs, made.loss) == (outputs, LOSSES[loss])


def test_a_grade_is_whether_it_is_above_each_step() -> None:
    assert coding(GRADES).encode(torch.tensor([0, 2, 3])).tolist() == [
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]


def test_the_readout_of_steps_gives_the_grades_shares() -> None:
    values = torch.tensor([[2.0, 0.0, -1.0]])
    above = values.sigmoid()[0].tolist()
    expected = [1 - above[0], above[0] - above[1], above[1] - above[2], above[2]]
    assert coding(GRADES).to_logits(values).softmax(1)[0].tolist() == pytest.approx(expected)


def test_steps_out_of_order_give_no_negative_share() -> None:
    found = coding(GRADES).to_logits(torch.tensor([[-3.0, 5.0, 1.0]])).softmax(1)[0]
    assert found.isfinite().all() and found[1] < 1e-5 and found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(1 - torch.tensor(-3.0).sigmoid().item(), abs=1e-4)


def test_a_number_is_learned_at_mean_zero_and_read_back() -> None:
    targets = np.array([[10.0], [20.0], [60.0]], np.float32)
    made = TargetCodec(config(), NUMBER, scale=codings.scale(NUMBER, targets))
    encoded = made.encode(torch.as_tensor(targets))
    assert encoded.mean().item() == pytest.approx(0, abs=1e-6)
    assert encoded.std(correction=0).item() == pytest.approx(1)
    assert torch.allclose(made.to_logits(encoded), torch.as_tensor(targets))


def test_numbers_that_are_all_the_same_have_a_scale() -> None:
    assert codings.scale(NUMBER, np.full((3, 1), 7.0)) == (7.0, 1.0)
    assert codings.scale(LABELS, np.zeros((3, 3))) == (0.0, 1.0)


def test_smoothing_pulls_each_label_to_a_half() -> None:
    made = coding(LABELS, label_smoothing=0.2)
    assert made.encode(torch.tensor([[1.0, 0.0, 1.0]])).tolist()[0] == pytest.approx(
        [0.9, 0.1, 0.9]
    )


def test_the_plain_error_is_of_the_logits() -> None:
    hot = (VALUES > 0).float()
    found = coding(LABELS).unsmoothed_loss(VALUES, hot)
    assert torch.equal(found, F.binary_cross_entropy_with_logits(VALUES, hot))
    assert coding(NUMBER).unsmoothed_loss(VALUES[:, :1], VALUES[:, :1] + 2).item() == pytest.approx(
        4
    )
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    logits = coding(GRADES).to_logits(VALUES)
    assert torch.equal(
        coding(GRADES).unsmoothed_loss(logits, targets), F.cross_entropy(logits, targets)
    )
