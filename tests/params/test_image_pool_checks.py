"""What `image_pool` requires, and what does not support it."""

import copy
from typing import Any

import pytest
from conftest import PARAMS

from podium.core.errors import UserError
from podium.params import schema


def params(prepare: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
    """Params with a model that pools the images of an id."""
    changed = copy.deepcopy(PARAMS)
    changed["prepare"] |= {"images": "{id}_*"} if prepare is None else prepare
    changed["models"]["a"] |= {"image_pool": "attention"} | model
    return changed


def message(changed: dict[str, Any], *, build_models: bool = False) -> str:
    with pytest.raises(UserError) as error:
        schema.validate(changed, build_models=build_models)
    return str(error.value)


@pytest.mark.parametrize(
    "prepare",
    [None, {"submission_id_column": "patient"}, {"images": "{id}/*"}],
)
def test_ids_may_have_several_images(prepare: dict[str, Any] | None) -> None:
    schema.validate(params(prepare, loss="focal", metadata=None), build_models=True)


@pytest.mark.parametrize(
    "prepare", [{}, {"images": "{id}_*", "stack": ["red", "green"], "channels": 2}]
)
def test_without_several_images_per_id_it_is_an_error(prepare: dict[str, Any]) -> None:
    text = message(params(prepare))
    assert "models.a.image_pool: requires several images per id. Set prepare.images (with" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mix", {"mixup_alpha": 0.2}),
        ("pseudo_labels", {"folder": "data/pseudo/x"}),
        ("compile", True),
    ],
)
def test_what_is_about_single_images_is_an_error(key: str, value: Any) -> None:
    text = message(params(**{key: value}))
    assert f"models.a.{key}: is not supported with models.a.image_pool" in text


def test_neighbors_are_of_single_images() -> None:
    changed = params()
    changed["predict"]["neighbors"] = {}
    expected = "predict.neighbors: is not supported with models.a.image_pool"
    assert expected in message(changed, build_models=True)


def test_a_subsample_is_of_single_images() -> None:
    changed = params()
    changed["folds"]["subsample"] = {"b": 0.5}
    expected = "folds.subsample: is not supported with models.a.image_pool"
    assert expected in message(changed)


def test_the_architecture_needs_one_linear_head() -> None:
    distilled = {"architecture": "deit_tiny_distilled_patch16_224", "image_size": 224}
    assert "image_pool requires one head" in message(params(**distilled), build_models=True)
    text = message(params(architecture="resnetv2_50"), build_models=True)
    assert "models.a.image_pool: attention requires a linear head, but that of ResNetV2" in text
