"""The recipes: written into params.yaml as a user does it, and trained for a step."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Project
from ruamel.yaml import YAML
from trainings import FOLDS, training_data

from podium.config.models import Model
from podium.config.phases import Part, Phase
from podium.core import params_file
from podium.images.store import ImageStore
from podium.init import merge
from podium.models import factory, layers
from podium.params import schema
from podium.params.schema import Params
from podium.scoring import metrics
from podium.training import fold, unfreezing
from podium.training.checkpoints import Checkpoints

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
PUBLISHED = [
    "ai-vs-human-efficientnet-b0",
    "ai-vs-human-resnet18",
    "ai-vs-human-resnet50",
    "cifar100-resnet18-scratch",
    "cifar100-resnet50",
    "cifar100-simple-cnn",
    "macro-f1-102-classes",
    "overfit-freeze-then-unfreeze",
    "pets-binary",
    "pets-gradual",
    "pets-imbalanced",
    "pets-last-3",
    "pets-last-l",
    "pets-norm-only",
    "pets-resnet50",
]
BASE = (ROOT / "params.yaml").read_text()


def params(path: Path) -> Params:
    text = merge.apply(BASE, path.read_text())
    return schema.validate(params_file.parse(text, source=path.name), source=path.name)


def test_every_published_experiment_has_a_recipe() -> None:
    assert set(PUBLISHED) <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_says_what_it_is_and_blends_all_its_models(path: Path) -> None:
    made = params(path)
    title = path.read_text().splitlines()[0]
    assert title.startswith("# ") and len(title) <= 100
    assert made.ensemble.members == [*made.models, *made.probes]
    for model in made.models.values():  # the file of a trained model contains its config
        assert Model.model_validate(model.model_dump()) == model


# A small relative of each architecture, with the same layer groups.
RELATIVES = {
    "resnet": "resnet14t",
    "efficientnet": "test_efficientnet",
    "mobilenetv2": "mobilenetv2_035",
    "simple_cnn": "simple_cnn",
    "test_": "test_resnet",
}


def small(model: Model) -> Model:
    """A small relative from random weights, for one epoch of four small images per phase."""
    (family,) = (name for name in RELATIVES if model.architecture.startswith(name))
    side = 32 if model.architecture == "simple_cnn" else 64

    def shorter(phase: Phase) -> Phase:
        gradual = phase.trainable.gradual if isinstance(phase.trainable, Part) else None
        epochs = 2 * gradual if gradual else 1  # the head, and then a layer group
        return phase.model_copy(update={"epochs": epochs, "warmup_epochs": 0.0})

    change = {
        "architecture": RELATIVES[family],
        "pretrained": False,
        "image_size": side,
        "batch_size": 4,
        "phases": [shorter(phase) for phase in model.phases],
        "augment": _smaller(model.augment),
    }
    return model.model_copy(update=change)


def _smaller(augment: Any) -> Any:
    """Padding of a few pixels for images of a few pixels."""
    if isinstance(augment, str):
        return augment
    return [{"Pad": {"padding": 4}} if "Pad" in entry else entry for entry in augment]


def options(model: Model) -> str:
    """The techniques that a model uses: names, switches and set keys, without the numbers."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items() if item is not None}
        if isinstance(value, list):
            shapes = [shape(item) for item in value]
            return [item for n, item in enumerate(shapes) if item not in shapes[:n]]
        return bool(value) if isinstance(value, int | float) else value

    return json.dumps(shape(model.model_dump(exclude={"architecture", "pretrained"})))


MODELS = [model for path in RECIPES for model in params(path).models.values()]
DISTINCT = {options(model): model for model in MODELS}


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("model", DISTINCT.values(), ids=range(len(DISTINCT)))
def test_every_set_of_options_in_the_recipes_trains(
    model: Model, images: ImageStore, tmp_path: Path
) -> None:
    rows = FOLDS.groupby("label").head(3)
    folds = rows.assign(fold=np.arange(len(rows)) % 2)
    if model.image_pool is not None:
        folds["unit"] = folds["label"] + folds["fold"].astype(str)
    best, curves, _ = fold.train_fold(
        small(model),
        training_data(images, folds),
        fold=0,
        seed=1,
        metric=metrics.get("macro_f1", "multiclass"),
        checkpoints=Checkpoints(tmp_path),
    )
    assert np.isfinite(best.epoch.train_loss) and len(curves) >= len(model.phases)


def test_every_architecture_in_the_recipes_has_the_layers_that_its_phases_train() -> None:
    seen = set[str]()
    for model in MODELS:
        trainable = [phase.trainable for phase in model.phases]
        if (key := f"{model.architecture} {model.head} {trainable}") in seen:
            continue
        seen.add(key)
        with torch.device("meta"):
            net = factory.create(model.model_copy(update={"pretrained": False}), outputs=5)
        for phase in unfreezing.expand(model.phases, net):
            layers.set_trainable(net, phase.trainable)


def test_an_overlay_changes_what_it_names_and_keeps_comments() -> None:
    over = "metric: macro_f1 # ours\npredict:\n  views: [hflip]\nfolds:\n  run: [1]\n"
    text = merge.apply(BASE, over)
    before, after = (YAML(typ="safe").load(each) for each in (BASE, text))
    assert after["predict"] == {"views": ["hflip"]}
    assert after["folds"] == {**before["folds"], "run": [1]}
    assert {**after, "predict": 0, "folds": 0} == {
        **before,
        "metric": "macro_f1",
        "predict": 0,
        "folds": 0,
    }
    comments = {line.partition("#")[2].strip() for line in BASE.splitlines() if "#" in line}
    lost = {comment for comment in comments if comment and comment not in text}
    assert len(lost) <= 2, lost
    assert merge.apply(BASE, "{}") == BASE


@pytest.mark.slow
def test_lists_whose_items_stand_below_their_key_are_replaced() -> None:
    base = (
        "predict:\n  views:    # a\n  - identity\n  batch_size: 8\n\n"
        "ensemble:\n  members:    # b\n  - x\n"
    )
    over = "predict:\n  views: [identity, hflip]\nensemble:\n  members: [y, z]\n  method: mean\n"
    made = merge.apply(base, over)
    expected = {"predict": {"views": ["identity", "hflip"]},
              "ensemble": {"members": ["y", "z"], "method": "mean"}}  # fmt: skip
    assert YAML(typ="safe").load(made) == expected
    assert "# a" in made and "# b" in made


def test_recipes_do_not_leave_their_traces_in_one_another() -> None:
    """Applying one after another gives the same as applying it first, except for the data."""
    for name in ("weather", "macro-f1-102-classes", "pets-imbalanced"):
        between = merge.apply(BASE, (ROOT / "recipes" / f"{name}.yaml").read_text())
        for path in RECIPES:
            found = YAML(typ="safe").load(merge.apply(between, path.read_text()))
            expected = YAML(typ="safe").load(merge.apply(BASE, path.read_text()))
            if "competition" not in YAML(typ="safe").load(path):
                for made in (found, expected):
                    del made["competition"], made["prepare"]
            assert found == expected, (name, path.stem)


def test_a_models_key_can_be_set_without_touching_anything_else() -> None:
    text = merge.set_key(BASE, "models", "efficientnet", "batch_size", 64)
    changed = set(text.splitlines()) ^ set(BASE.splitlines())
    assert changed == {"    batch_size: 64"}


def test_models_that_merge_the_changed_one_keep_what_they_had() -> None:
    text = merge.set_key(BASE, "models", "resnet", "batch_size", 64)
    before, after = (YAML(typ="safe").load(each)["models"] for each in (BASE, text))
    assert after["efficientnet"] == before["efficientnet"]
    assert after["resnet"] == {**before["resnet"], "batch_size": 64}


@pytest.fixture
def clone(project: Project) -> Project:
    """A project under git, with the default params and all recipes."""
    (project.folder / "params.yaml").write_text(BASE)
    shutil.copytree(ROOT / "recipes", project.folder / "recipes")
    project.run("git", "init", "--quiet")
    project.run("git", "add", "params.yaml")
    project.run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "params")
    return project


def test_recipe_writes_params_and_shows_what_changed(clone: Project) -> None:
    done = clone.stage("recipe", "pets-binary")
    assert done.returncode == 0, done.stdout
    made = clone.read("params.yaml").decode()
    assert made == merge.apply(BASE, (ROOT / "recipes/pets-binary.yaml").read_text())
    assert "+    loss: binary_cross_entropy" in done.stdout
    assert "-    architecture: test_efficientnet" in done.stdout
    assert "docs/params.md explains every key" in made


def test_recipe_refuses_to_overwrite_edits(clone: Project) -> None:
    edited = BASE.replace("seed: 42", "seed: 43")
    (clone.folder / "params.yaml").write_text(edited)
    done = clone.stage("recipe", "pets-binary")
    assert done.returncode == 1
    assert "error: params.yaml: has uncommitted edits" in done.stdout
    assert clone.read("params.yaml").decode() == edited
    shutil.rmtree(clone.folder / ".git")
    done = clone.stage("recipe", "pets-binary")
    assert done.returncode == 1 and "error: params.yaml: not in a git repository" in done.stdout
    assert clone.read("params.yaml").decode() == edited


def test_recipes_are_listed_and_a_wrong_name_is_an_error(clone: Project) -> None:
    listed = clone.stage("recipe").stdout
    assert all(f"{path.stem} " in listed for path in RECIPES)
    done = clone.stage("recipe", "pets-binry")
    assert done.returncode == 1
    assert "error: recipe pets-binry not found: did you mean pets-binary?" in done.stdout
    assert clone.read("params.yaml").decode() == BASE
