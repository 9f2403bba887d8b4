"""Views and losses with the mistakes that users may make in their own."""

from typing import Any

import pytest
import torch
from trainings import config

from podium.config.embeddings import Embedding
from podium.config.predict import Predict
from podium.config.tasks import TaskName
from podium.models import losses
from podium.models.loss import CrossEntropy, Loss
from podium.models.losses import BinaryCrossEntropy
from podium.params import extensions
from podium.prediction.tta import VIEWS

TASKS: tuple[TaskName, ...] = ("binary", "multiclass", "multilabel", "ordinal", "regression")


def problems(task: TaskName, *views: str, **model: Any) -> list[tuple[str, str]]:
    predict = Predict.model_validate({"views": ["identity", *views]})
    return [*extensions.problems(predict, {"a": config(**model)}, {}, task)]


@pytest.mark.parametrize("task", TASKS)
def test_built_in_views_and_losses_have_no_problems(task: TaskName) -> None:
    views = [name for name in VIEWS if name != "identity"]
    for loss in losses.names(task):
        assert not problems(task, *views, loss=loss, image_size=35)


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (lambda images: images.clamp_(max=0.1), "in place"),
        (lambda images: images[:, :, ::2], "shape [2, 3, 16, 32] instead of [2, 3, 32, 32]"),
        (lambda images: torch.cat([images, images]), "shape [4, 3, 32, 32]"),
        (lambda images: images / 0, "not finite"),
        (lambda images: images.double(), "torch.float64"),
        (lambda _: None, "NoneType"),
        (lambda images: images.flip(0), "mixes images, or is random"),
        (lambda images: images + torch.randn_like(images), "mixes images, or is random"),
    ],
)
def test_a_view_must_keep_the_batch(
    monkeypatch: pytest.MonkeyPatch, view: Any, problem: str
) -> None:
    monkeypatch.setitem(VIEWS, "mine", view)
    ((key, text),) = problems("binary", "mine")
    assert key == "predict.views[1]"
    assert problem in text


def test_the_views_of_an_embedding_must_keep_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VIEWS, "mine", lambda images: images[:, :, ::2])
    values = {"architecture": "test_resnet", "image_size": 32, "views": ["identity", "mine"]}
    embeddings = {"small": Embedding.model_validate(values)}
    predict = Predict(views=["identity"])
    ((key, text),) = extensions.problems(predict, {}, embeddings, "binary")
    assert key == "embeddings.small.views[1]" and "shape [2, 3, 16, 32]" in text


def loss_with(base: type[Loss] = CrossEntropy, **members: Any) -> Loss:
    return type("Mine", (base,), members)(tasks=TASKS)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"loss": lambda _, outputs, *__: outputs.sum(1)}, "shape [2] instead of []"),
        ({"loss": lambda _, outputs, *__: outputs.mean().detach()}, "gradient"),
        ({"loss": lambda *_: 1.0}, "a float"),
        ({"loss": lambda _, outputs, *__: outputs.mean() / 0}, "not finite"),
        ({"to_logits": lambda _, outputs, __: outputs[:, :1]}, "shape [2, 1] instead of [2, 3]"),
        ({"to_logits": lambda _, outputs, __: outputs.argmax(1)}, "shape [2]"),
        ({"outputs": lambda *_: 0}, "positive integer, not 0"),
        ({"encode": lambda _, targets, *__: 2 * torch.eye(3)[targets]}, "the sum 1"),
        ({"averaging": "probability"}, "not 'probability'"),
    ],
)
def test_a_loss_must_return_what_its_docstring_says(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, Any], problem: str
) -> None:
    monkeypatch.setitem(losses.LOSSES, "mine", loss_with(**members))
    ((key, text),) = problems("multiclass", loss="mine")
    assert key == "models.a.loss" and problem in text


def test_probabilities_of_several_labels_are_not_averaged_as_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loss = loss_with(BinaryCrossEntropy, averaging="probabilities")
    monkeypatch.setitem(losses.LOSSES, "mine", loss)
    assert not problems("multiclass", loss="mine")
    ((_, text),) = problems("multilabel", loss="mine")
    assert "single-label" in text
