"""The losses of several targets on one head."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from trainings import config

from podium.core import seeding
from podium.models import losses, target_losses
from podium.models.targets import TargetCodec
from podium.scoring.task import Task
from podium.training.criterion import Criterion
from podium.training.mixup import Mixer

TASKS = {
    "kind": Task("multiclass", ["x", "y", "z"]),
    "kids": Task("binary", ["no", "yes"]),
    "size": Task("regression", ["size"]),
    "level": Task("ordinal", ["1", "2", "3"]),
}
TASK = Task.join(TASKS)
LABELS = ["x|no|1.5|1", "|yes|4|2", "z||8|3", "y|yes||1", "y|no|2.5|"]
TARGETS = TASK.targets(LABELS)
TENSOR = torch.from_numpy(TARGETS)


def codec(**changes: Any) -> TargetCodec:
    return TargetCodec(config(**changes), TASK, scale=TASK.scale(TARGETS))


def outputs(of: TargetCodec) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(len(LABELS), of.outputs, generator=generator).requires_grad_()


def test_each_target_has_its_outputs_and_logits() -> None:
    of = codec()
    assert of.outputs == 3 + 1 + 1 + 3  # two classes have one output
    logits = of.to_logits(outputs(of))
    assert logits.shape == (5, len(TASK.classes)) == (5, 9)
    number = outputs(of)[:, 4] * of.scale.std[5] + of.scale.mean[5]
    assert torch.allclose(logits[:, 5], number)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_weighted_mean_of_the_targets_losses(smoothing: float) -> None:
    weights = {"kids": 3.0, "size": 0.5}
    of = codec(label_smoothing=smoothing, target_weights=weights, loss={"kind": "focal"})
    values = outputs(of)
    found = of.loss.loss(values, of.encode(TENSOR), TASK)
    expected, start = [], 0
    for part in TASK.parts:
        names = {"kind": "focal", "level": "cross_entropy"}
        own = TargetCodec(
            config(label_smoothing=smoothing, loss=names.get(part.name)),
            part.task,
            scale=part.task.scale(part.of_labeled(TARGETS)),
        )
        rows = torch.from_numpy(part.labeled(TARGETS))
        encoded = own.encode(torch.from_numpy(part.of_labeled(TARGETS)))
        used = values[rows, start : start + own.outputs]
        share = rows.float().mean()  # an image without a label has the loss 0
        expected.append(
            weights.get(part.name, 1.0) * share * own.loss.loss(used, encoded, part.task)
        )
        start += own.outputs
    assert torch.allclose(found, sum(expected) / (1 + 3 + 0.5 + 1))


def test_a_missing_label_trains_only_the_other_targets() -> None:
    of = codec()
    values = outputs(of)
    of.loss.loss(values, of.encode(TENSOR), TASK).backward()
    assert values.grad is not None and values.grad.isfinite().all()
    assert (values.grad[1, :3] == 0).all() and (values.grad[1, 3:] != 0).all()
    assert values.grad[2, 3] == 0 and values.grad[3, 4] == 0 and (values.grad[4, 5:] == 0).all()
    none = of.loss.loss(values, of.encode(torch.full_like(TENSOR, torch.nan)), TASK)
    assert none == 0


def test_parts_of_a_batch_give_the_same_loss() -> None:
    of = codec()
    criterion = Criterion(config(), of, TARGETS, device=torch.device("cpu"))
    values, encoded = outputs(of), criterion.encode(TENSOR)
    whole = criterion(values, encoded)
    parts = [
        criterion(values[rows], encoded[rows]) * criterion.weight(encoded[rows])
        for rows in (slice(0, 2), slice(2, 5))
    ]
    assert torch.allclose(whole, sum(parts) / criterion.weight(encoded))


def test_mixup_mixes_the_weights_of_labels() -> None:
    model = config(batch_size=4, mix={"mixup_alpha": 1.0})
    targets = TENSOR[1:]
    of = TargetCodec(model, TASK, scale=TASK.scale(TARGETS))
    cpu = torch.device("cpu")
    mixer = Mixer(model, Criterion(model, of, TARGETS, device=cpu), device=cpu)
    pixels = torch.eye(4)[:, :, None, None].repeat(1, 1, 32, 32)[:, :3].clone()
    seeding.set_global("mix")
    _, mixed = mixer({"image": pixels}, targets)
    plain = of.encode(targets)
    assert mixed.shape == plain.shape and not torch.allclose(mixed, plain)
    loss = of.loss
    assert isinstance(loss, target_losses.TargetLosses)
    kind = loss.parts[0]
    weight = mixed[:, kind.encoded.stop]  # of images 1 to 4, image 1 has no kind
    assert torch.allclose(mixed[:, kind.encoded].sum(dim=1), weight)
    assert 0 < weight[0] < 1
    assert loss.loss(outputs(of)[1:], mixed, TASK).isfinite()


def test_validation_losses_are_comparable() -> None:
    of = codec()
    logits = of.to_logits(outputs(of)).detach()
    expected = []
    for part in TASK.parts:
        rows, own = part.labeled(TARGETS), torch.from_numpy(part.of_labeled(TARGETS))
        single = TargetCodec(config(loss=None), part.task)
        value = single.unsmoothed_loss(logits[rows][:, part.columns], own)
        if part.task.name == "regression":
            value = value / np.var(part.of_labeled(TARGETS))
        expected.append(value)
    assert torch.allclose(of.unsmoothed_loss(logits, TENSOR), torch.stack(expected).mean())


def test_every_loss_that_suits_a_target_is_applied_per_image() -> None:
    for name, task in TASKS.items():
        for loss in losses.names(task.name):
            if losses.LOSSES[loss].averaging == "probabilities" or loss == "arcface":
                continue
            of = codec(loss={name: loss})
            assert of.loss.loss(outputs(of), of.encode(TENSOR), TASK).isfinite(), (name, loss)
