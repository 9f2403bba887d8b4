import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from conftest import PARAMS, ROOT

from podium.config import tasks
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.predict import ViewName
from podium.core import params_file
from podium.core.errors import UserError
from podium.params import schema
from podium.prediction.tta import VIEWS
from podium.scoring.metrics import KNOWN


def problems(change: Callable[[dict[str, Any]], Any]) -> str:
    """The error that params have after `change`."""
    params = copy.deepcopy(PARAMS)
    change(params)
    with pytest.raises(UserError) as error:
        schema.validate(params)
    return str(error.value)


def test_the_shipped_params_are_valid() -> None:
    schema.validate(params_file.read(ROOT / "params.yaml"))


def test_load_gives_the_sections_that_were_asked_for_in_their_order(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text)
    count, model = params_file.load(
        {"folds.count": (Folds, "count"), "models.{model}": Model},
        path=tmp_path / "params.yaml",
        model="efficientnet",
    )
    assert count == 3
    assert (model.architecture, model.batch_size) == ("test_efficientnet", 32)  # <<: *base


def test_a_model_that_is_not_there_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    with pytest.raises(UserError, match=r"models\.resnt: did you mean resnet\?"):
        params_file.load({"models.{model}": Model}, path=tmp_path / "params.yaml", model="resnt")


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("lr: 1e-3\nswitch: off\n")
    assert params_file.read(tmp_path / "params.yaml") == {"lr": 0.001, "switch": "off"}


def test_all_problems_are_reported_at_once() -> None:
    def change(params: dict[str, Any]) -> None:
        params["ensmble"] = {}
        params["seed"] = "one"
        params["models"]["a"]["phases"][0]["lrr"] = 1
        del params["metric"]

    text = problems(change)
    assert text.startswith("params.yaml has 4 problems:")
    assert "ensmble: unknown key: did you mean ensemble?" in text
    assert "seed: must be a valid integer, not 'one'" in text
    assert "models.a.phases[0].lrr: unknown key: did you mean lr?" in text
    assert "metric: is missing" in text


def model(params: dict[str, Any], **values: Any) -> None:
    params["models"]["a"].update(values)


def phase(params: dict[str, Any], **values: Any) -> None:
    params["models"]["a"]["phases"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(metric="acuracy"), "metric: must be one of roc_auc, "),
        (lambda p: p.update(metric="map@k"), "metric: must be one of roc_auc, "),
        (lambda p: p.update(metric="map@0"), "metric: must be one of roc_auc, "),
        (lambda p: p.update(metric="rmse"), "metric: rmse is none of task: multiclass: accuracy, "),
        (lambda p: p.update(task="regresion"), "task: must be 'binary', 'multiclass'"),
        (lambda p: model(p, loss="mse"), "models.a.loss: mse does not support task: multiclass"),
        (
            lambda p: (p.update(task="multilabel", metric=None), model(p, sampling="balanced")),
            "models.a: class_weights and sampling: balanced are of tasks with one class an image",
        ),
        (
            lambda p: (p.update(task="ordinal", metric=None), model(p, class_weights="balanced")),
            "models.a.class_weights: not used by loss: cumulative",
        ),
        (
            lambda p: (p.update(task="regression", metric=None), model(p, label_smoothing=0.1)),
            "models.a.label_smoothing is for classes, not for numbers",
        ),
        (
            lambda p: (
                p.update(task="multilabel", metric=None),
                p["folds"].update(subsample={"a": 0.1}),
            ),
            "folds.subsample: an image of task: multilabel has no one class",
        ),
        (
            lambda p: p["submission"].update(format="labls"),
            "submission.format: must be 'auto', 'label'",
        ),
        (lambda p: p["prepare"].update(id_column=None), "prepare: id_column: null is for pixel_"),
        (
            lambda p: p["prepare"].update(train_csv=None, group_column="who"),
            "prepare: group_column and pixel_columns are of a train_csv",
        ),
        (lambda p: p["folds"].update(run=[0, 2]), "names [2], but folds.count is 2: 0 to 1"),
        (lambda p: p["folds"].update(run=[0, 0]), "names a fold twice"),
        (lambda p: p["folds"].update(run=[]), "folds.run: "),
        (lambda p: p.update(folds=5), "folds: must be a mapping"),
        (lambda p: p["ensemble"].update(members=["b"]), "names ['b']; models has a"),
        (lambda p: p["ensemble"].update(members=["a", "a"]), "names a model twice"),
        (lambda p: p["predict"].update(views=["hflip", "hflip"]), "a view is named twice"),
        (lambda p: p["prepare"].update(encode="original", max_size=9), "set max_size: null"),
        (
            lambda p: p["prepare"].update(pixel_columns="pixel", test_csv=None),
            "prepare: pixel_columns needs a test_csv",
        ),
        (lambda p: p["models"]["a"].update(batch_size=0), "greater than or equal to 1, not 0"),
        (lambda p: p["models"]["a"].update(batch_size="8"), "must be a valid integer, not '8'"),
        (lambda p: p["models"]["a"].update(pretrained=3), "models.a.pretrained: must be a valid"),
        (lambda p: p["models"]["a"].update(augment=[{"A": {}, "B": {}}]), "one transform an entry"),
        (
            lambda p: p["models"]["a"]["phases"][0].update(warmup_epochs=2),
            "warmup_epochs must be fewer than epochs",
        ),
        (
            lambda p: model(p, mix={"mxup": 1.0}),
            "models.a.mix.mxup: unknown key: did you mean mixup_alpha?",
        ),
        (lambda p: model(p, mix={}), "mixup_alpha and cutmix_alpha are both 0"),
        (
            lambda p: model(p, mix={"mixup_alpha": 1.0, "switch_prob": 0.3}),
            "switch_prob requires mixup_alpha and cutmix_alpha",
        ),
        (lambda p: model(p, mix={"mixup_alpha": 1.0}, batch_size=7), "batch_size 7 is odd"),
        (lambda p: model(p, head="batch_norm", batch_size=1), "needs a batch_size of 2 or more"),
        (
            lambda p: model(p, focal_gamma=1.0),
            "models.a.focal_gamma: not used by loss: cross_entropy",
        ),
        (lambda p: model(p, augment="lite"), "models.a.augment: must be 'none', 'light'"),
        (
            lambda p: phase(p, schedule={"name": "step", "step_sze": 2}),
            "models.a.phases[0].schedule.step_sze: unknown key: did you mean step_size?",
        ),
        (
            lambda p: phase(p, schedule={"name": "step", "step_size": 0}),
            "models.a.phases[0].schedule.step_size: must be greater than or equal to 1, not 0",
        ),
        (lambda p: phase(p, schedule="cosin"), "schedule: name must be one of 'constant', 'step'"),
        (lambda p: phase(p, schedule={"every": 2}), "models.a.phases[0].schedule: needs a name"),
        (
            lambda p: phase(p, trainable={"lst": 2}),
            "trainable.lst: unknown key: did you mean last?",
        ),
        (lambda p: phase(p, trainable={}), "give one of last, last_tensors, names and gradual"),
        (lambda p: phase(p, trainable={"last": 1, "gradual": 1}), "give one of last, last_tensors"),
        (lambda p: phase(p, trainable="heads"), "trainable: must be 'head', 'all' or 'norms'"),
        (lambda p: phase(p, trainable="head", backbone_lr=0.1), "where only the head trains"),
        (lambda p: phase(p, trainable={"last": 0}, layer_decay=0.5), "where only the head trains"),
        (lambda p: phase(p, init_from="best"), "there is no best epoch to start from"),
        (
            lambda p: phase(p, trainable={"gradual": 1}, warmup_epochs=1.0),
            "fewer than epochs (and than those of gradual)",
        ),
        (lambda p: p["predict"].update(on_timeout="fewer_views"), "on_timeout needs time_limit"),
        (
            lambda p: p["folds"].update(subsample={"ants": 1.5}),
            "folds.subsample.ants: must be less than",
        ),
        (lambda p: p["models"].update({"b c": p["models"]["a"]}), "letters, digits, - and _ only"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    assert message in problems(change)


def test_broken_yaml_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: [1\nb: 2\n")
    with pytest.raises(UserError, match="is not valid YAML"):
        params_file.read(tmp_path / "params.yaml")


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match="seed"):
        params_file.read(tmp_path / "params.yaml")


def test_every_name_that_params_may_hold_exists() -> None:
    assert {*KNOWN, "map@k"} == set(tasks.KNOWN_METRICS)
    assert set(VIEWS) == set(get_args(ViewName))
