"""The stage check finds what timm and albumentations would reject in training."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PARAMS, Project

import check
from podium.core.errors import UserError
from podium.params import schema


def first_phase(**values: Any) -> dict[str, Any]:
    return {"phases": [{**PARAMS["models"]["a"]["phases"][0], **values}]}


def augment(name: str, **arguments: Any) -> dict[str, Any]:
    return {"augment": [{name: arguments}]}


SETTINGS: list[tuple[dict[str, Any], str, str]] = [  # settings, the key of the problem, its text
    ({"architecture": "test_resent"}, "architecture", "did you mean test_resnet?"),
    ({"architecture": "resnet50.a9_in1k"}, "architecture", "resnet50.a"),
    ({"architecture": "simple_cnn", "pretrained": True}, "pretrained", "no weights of simple_cnn"),
    ({"pretrained": "no/such.pth"}, "pretrained", "no/such.pth not found"),
    ({"architecture": "simple_cnn", "drop_path": 0.1}, "drop_path", "no stochastic depth"),
    ({"architecture": "simple_cnn", "pool": "max"}, "pool", "simple_cnn does not support max"),
    (first_phase(optimizer="adamx"), "phases[0].optimizer", "timm has no adamx: did you mean adam"),
    (first_phase(optimizer="adahessian"), "phases[0].optimizer", "second derivatives"),
    (first_phase(trainable={"last": 9}), "phases[0].trainable.last", "layer groups"),
    (first_phase(trainable={"last_tensors": 999}), "phases[0].trainable.last_tensors", "999"),
    (first_phase(trainable={"names": ["layer9.*"]}), "phases[0].trainable.names", "layer9.*"),
    (
        {"architecture": "resnetv2_50", **first_phase(init_from="probe")},
        "phases[0].init_from",
        "requires a linear head",
    ),
    (
        {"loss": "arcface", **first_phase(init_from="probe")},
        "phases[0].init_from",
        "requires a linear head with a bias, but that of ResNet is a CosineLinear",
    ),
    ({"architecture": "resnetv2_50", "loss": "arcface"}, "loss", "Set loss: null"),
    ({"architecture": "resnetv2_50", "embedding_size": 9}, "embedding_size", "a linear head"),
    (augment("HorizontalFlop"), "augment", "did you mean HorizontalFlip?"),
    (augment("HorizontalFlip", prob=1), "augment", "HorizontalFlip has no argument prob"),
    (augment("HorizontalFlip", p=2), "augment", "HorizontalFlip.p: must be at most 1.0, not 2"),
    (augment("Affine", rotate="x"), "augment", "Affine.rotate: must be "),
    (augment("OneOf", transforms=[{"Blr": {}}]), "augment", "did you mean Blur?"),
    (augment("Resize", height=20, width=20), "augment", "End with Resize, or crop to image_size"),
    (augment("ToFloat"), "augment", "Remove Normalize and ToFloat"),
    (first_phase(augment=[{"Flop": {}}]), "phases[0].augment", "no transform Flop"),
]


@pytest.mark.parametrize(("settings", "key", "text"), SETTINGS)
def test_a_setting_that_a_library_rejects_is_reported_with_its_key(
    settings: dict[str, Any], key: str, text: str
) -> None:
    params = copy.deepcopy(PARAMS)
    params["models"]["a"].update(settings)
    schema.validate(params)
    with pytest.raises(UserError) as error:
        schema.validate(params, build_models=True)
    (line,) = str(error.value).splitlines()[1:]
    assert line.startswith(f"  models.a.{key}: ") and text in line


def test_neighbors_need_a_linear_head() -> None:
    params = copy.deepcopy(PARAMS)
    params["predict"]["neighbors"] = {}
    schema.validate(params, build_models=True)
    params["models"]["a"]["architecture"] = "resnetv2_50"
    with pytest.raises(UserError, match=r"predict.neighbors requires .* of ResNetV2 is another"):
        schema.validate(params, build_models=True)


def test_what_a_library_rejects_is_reported_next_to_other_mistakes_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by commands that build models only if there is another mistake: it takes seconds."""
    model = PARAMS["models"]["a"]
    wrong = {
        "a": model | {"dropout": 7, "architecture": "resnot18"},
        "b": model | {"batchsize": 8, "augment": [{"HorizontalFlop": {}}]},
        "c": model | {"phases": [{"epochs": 0, "lr": 1}], "architecture": "resnot18"},
        "d": "resnet18",
    }
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS | {"models": wrong}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        schema.load()
    keys = re.findall(r"^  models\.(\S+): ", str(raised.value), re.MULTILINE)
    # What c is without its phases, nobody knows.
    expected = {
        "a.dropout",
        "a.architecture",
        "b.batchsize",
        "b.augment",
        "c.phases[0].epochs",
        "d",
    }
    assert {*keys} == expected and len(keys) == len(expected)


def test_problems_of_several_models_and_phases_are_reported_at_once() -> None:
    params = copy.deepcopy(PARAMS)
    model = params["models"]["a"]
    phase = model["phases"][0]
    model["phases"] = [{**phase, "optimizer": "adamx"}, {**phase, "trainable": {"last": 9}}]
    params["models"]["b"] = {**model, **augment("Flop"), "phases": [phase]}
    params["ensemble"]["method"] = "men"
    with pytest.raises(UserError) as error:
        schema.validate(params, build_models=True)
    keys = [line.split(": ")[0].strip() for line in str(error.value).splitlines()[1:]]
    assert keys == ["ensemble.method", "models.a.phases[0].optimizer",
                    "models.a.phases[1].trainable.last", "models.b.augment"]  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"architecture": "vit_large_patch16_384", "image_size": 224},
        {"architecture": "swin_tiny_patch4_window7_224", "image_size": 256, "drop_path": 0.1},
        {"architecture": "resnet50", "pool": "catavgmax", "head": "batch_norm"},
        {"architecture": "convnext_tiny", **first_phase(layer_decay=0.5, optimizer="lamb")},
        first_phase(trainable={"gradual": 1}),
        {"augment": "heavy", **first_phase(augment="light")},
        {"image_size": 512, **augment("RandomCrop")},
    ],
)
def test_valid_settings_are_accepted(settings: dict[str, Any]) -> None:
    params = copy.deepcopy(PARAMS)
    params["models"]["a"].update(settings)
    schema.validate(params, build_models=True)


@pytest.mark.parametrize(
    "change",
    [lambda p: p["models"]["a"].update(batch_size=4), lambda p: p["folds"].update(count=3)],
)
def test_the_stages_outputs_do_not_depend_on_valid_settings(
    change: Callable[[dict[str, Any]], Any], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    outputs = []
    for _ in range(2):
        check.main()
        outputs.append(
            [Path(f"data/{name}").read_bytes() for name in ("params.checked", "metric.json")]
        )
        project.edit(change)
    assert outputs[0] == outputs[1]
