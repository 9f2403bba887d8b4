import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import params_md
import pytest
from conftest import PARAMS, ROOT

from podium.config.folds import Folds
from podium.config.models import Model
from podium.core import params_file, validation
from podium.core.errors import UserError
from podium.core.section import Section
from podium.params import schema


def problems(change: Callable[[dict[str, Any]], Any]) -> str:
    """The error message for params after `change`."""
    params = copy.deepcopy(PARAMS)
    change(params)
    with pytest.raises(UserError) as error:
        schema.validate(params)
    return str(error.value)


def test_the_shipped_params_are_valid() -> None:
    schema.validate(params_file.read(ROOT / "params.yaml"))


def test_load_returns_the_requested_sections_in_order(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text)
    count, model = params_file.load(
        {"folds.count": (Folds, "count"), "models.{model}": Model},
        path=tmp_path / "params.yaml",
        model="efficientnet",
    )
    assert count == 3
    assert (model.architecture, model.batch_size) == ("test_efficientnet", 32)  # <<: *base


def test_no_model_is_an_error_that_lists_the_models() -> None:
    params = schema.validate(copy.deepcopy(PARAMS))
    with pytest.raises(UserError, match=r"MODEL to one of: " + ", ".join(PARAMS["models"])):
        params.model("")


def test_an_unknown_model_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
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
        params["predict"]["views"] = ["hflp"]  # against the registry
        del params["metric"]

    text = problems(change)
    assert text.startswith("params.yaml has 5 problems:")
    assert "ensmble: unknown key: did you mean ensemble?" in text
    assert "seed: must be an integer, not 'one'" in text
    assert "models.a.phases[0].lrr: unknown key: did you mean lr?" in text
    assert "metric: missing" in text


def model(params: dict[str, Any], **values: Any) -> None:
    params["models"]["a"].update(values)


def phase(params: dict[str, Any], **values: Any) -> None:
    params["models"]["a"]["phases"][0].update(values)


def probe(params: dict[str, Any], image_size: int = 32, **values: Any) -> None:
    small = {"architecture": "test_resnet", "pretrained": False, "image_size": image_size}
    params["embeddings"] = {"small": small}
    params["probes"] = {"p": {"features": ["small"], **values}}


Change = Callable[[dict[str, Any]], Any]
WRONG_VALUES: list[tuple[Change, str, str]] = [  # a change, the key of the problem, what is named
    (lambda p: p.update(metric="acuracy"), "metric", "did you mean accuracy?"),
    (lambda p: p.update(metric="nonsense"), "metric", "accuracy, balanced_accuracy, "),
    (lambda p: p.update(metric="matthews"), "metric", "Use mcc"),
    (lambda p: p.update(metric="map@k"), "metric", "map@5"),
    (lambda p: p.update(metric="map@0"), "metric", "map@0"),
    (lambda p: p.update(metric="rmse"), "metric", "multiclass. Choose from accuracy, "),
    (lambda p: p.update(metric="podium.custom:mine"), "metric", "use custom/<file>.py:mine"),
    (lambda p: p.update(metric="mine.py:mine"), "metric", "custom/<file>.py:<function>"),
    (lambda p: p.update(metric="custom/../x.py:mine"), "metric", "custom/<file>.py:<function>"),
    (lambda p: p.update(task="regresion"), "task", "'binary', 'multiclass'"),
    (lambda p: model(p, loss="mse"), "models.a.loss", "multiclass. Choose from cross_entropy, "),
    (lambda p: model(p, loss="focl"), "models.a.loss", "did you mean focal?"),
    (
        lambda p: (p.update(task="multilabel", metric=None), model(p, sampling="balanced")),
        "models.a.sampling",
        "",
    ),
    (
        lambda p: (p.update(task="multilabel", metric=None), model(p, class_weights="balanced")),
        "models.a.class_weights",
        "",
    ),
    (
        lambda p: (p.update(task="ordinal", metric=None), model(p, class_weights="balanced")),
        "models.a.class_weights",
        "cumulative",
    ),
    (
        lambda p: (p.update(task="regression", metric=None), model(p, label_smoothing=0.1)),
        "models.a.label_smoothing",
        "regression",
    ),
    (
        lambda p: (
            p.update(task="multilabel", metric=None),
            p["folds"].update(subsample={"a": 0.1}),
        ),
        "folds.subsample",
        "",
    ),
    (lambda p: p["submission"].update(format="labls"), "submission.format", "'auto', 'label'"),
    (lambda p: p["prepare"].update(id_column=None), "prepare", "pixel_columns"),
    (
        lambda p: p["prepare"].update(train_csv=None, group_column="who"),
        "prepare",
        "group_column and pixel_columns require train_csv",
    ),
    (lambda p: p["prepare"].update(label_pattern="("), "prepare.label_pattern", "'('"),
    (lambda p: p["prepare"].update(label_separator="|"), "prepare.label_separator", "multilabel"),
    (lambda p: p["prepare"].update(encode="original", max_size=40), "prepare", "max_size: null"),
    (lambda p: p["prepare"].update(max_size=31), "prepare.max_size", "models.a.image_size (32)"),
    (lambda p: p["prepare"].update(pixel_columns="p", test_csv=None), "prepare", "test_csv"),
    (lambda p: p["folds"].update(run=[0, 2]), "folds", "[2]"),
    (lambda p: p["folds"].update(run=[0, 0]), "folds.run", "0 twice"),
    (lambda p: p["folds"].update(run=[]), "folds.run", ""),
    (lambda p: p["folds"].update(subsample={"ants": 1.5}), "folds.subsample.ants", "1.5"),
    (lambda p: p.update(folds=5), "folds", "mapping"),
    (lambda p: p["ensemble"].update(members=["b"]), "ensemble.members[0]", "b. Choose from a"),
    (lambda p: p["ensemble"].update(members=["a", "a"]), "ensemble.members", "twice"),
    (lambda p: p["ensemble"].update(thresholds="plain"), "ensemble.thresholds", "use default"),
    (lambda p: p["ensemble"].update(thresholds="deflt"), "ensemble.thresholds", "'default'"),
    (lambda p: p["predict"].update(views=["hflip", "hflip"]), "predict.views", "twice"),
    (lambda p: p["predict"].update(views=["hflip", "hflp"]), "predict.views[1]", "mean hflip?"),
    (lambda p: p["ensemble"].update(method="weigted"), "ensemble.method", "mean weighted?"),
    (
        lambda p: (p.update(metric="log_loss"), p["ensemble"].update(method="rank")),
        "ensemble.method",
        "rank replaces probabilities by ranks, which log_loss cannot score",
    ),
    (
        lambda p: p["ensemble"].update(temperature="fitted"),
        "ensemble.temperature",
        "the log loss, which accuracy does not measure",
    ),
    (lambda p: p["ensemble"].update(temperature="auto"), "ensemble.temperature", "'fitted'"),
    (
        lambda p: p["ensemble"].update(new_class_threshold=0.3),
        "ensemble.new_class_threshold",
        "requires prepare.new_class",
    ),
    (
        lambda p: (p["prepare"].update(new_class="x"), p.update(metric="log_loss")),
        "prepare.new_class",
        "requires a metric of labels or map@k, not log_loss",
    ),
    (
        lambda p: (p["prepare"].update(new_class="x"), p["submission"].update(format="columns")),
        "submission.format",
        "prepare.new_class requires auto, label or top_k",
    ),
    (
        lambda p: (p.update(task="multilabel"), p["predict"].update(neighbors={})),
        "predict.neighbors",
        "requires a single-label task",
    ),
    (lambda p: p["predict"].update(on_timeout="fewer_views"), "predict", "time_limit_minutes"),
    (lambda p: model(p, batch_size=0), "models.a.batch_size", "must be at least 1, not 0"),
    (lambda p: model(p, batch_size="8"), "models.a.batch_size", "must be an integer, not '8'"),
    (lambda p: model(p, augment=[{"A": {}, "B": {}}]), "models.a.augment[0]", "'B'"),
    (lambda p: model(p, augment="lite"), "models.a.augment", "'light'"),
    (lambda p: model(p, mix={"mxup": 1.0}), "models.a.mix.mxup", "did you mean mixup_alpha?"),
    (lambda p: model(p, mix={}), "models.a.mix", "mixup_alpha and cutmix_alpha"),
    (
        lambda p: model(p, mix={"mixup_alpha": 1.0, "switch_prob": 0.3}),
        "models.a.mix",
        "cutmix_alpha",
    ),
    (lambda p: model(p, mix={"mixup_alpha": 1.0}, batch_size=7), "models.a", "batch_size, not 7"),
    (lambda p: model(p, head="batch_norm", batch_size=1), "models.a", "batch_size of at least 2"),
    (lambda p: model(p, embedding_size=8, batch_size=1), "models.a", "batch_size of at least 2"),
    (lambda p: model(p, focal_gamma=1.0), "models.a.focal_gamma", "loss: cross_entropy"),
    (lambda p: model(p, arcface_margin=0.5), "models.a.arcface_margin", "loss: cross_entropy"),
    (lambda p: model(p, arcface_margin=2), "models.a.arcface_margin", "less than 1.57"),
    (lambda p: p["models"].update({"b c": p["models"]["a"]}), "models.b c", "digits, - and _"),
    (lambda p: p["models"].update(ensemble=p["models"]["a"]), "models.ensemble", "reserved"),
    (lambda p: phase(p, warmup_epochs=2), "models.a.phases[0]", "epochs"),
    (
        lambda p: phase(p, schedule={"name": "step", "step_sze": 2}),
        "models.a.phases[0].schedule.step_sze",
        "did you mean step_size?",
    ),
    (
        lambda p: phase(p, schedule={"name": "step", "step_size": 0}),
        "models.a.phases[0].schedule.step_size",
        "must be at least 1, not 0",
    ),
    (lambda p: phase(p, schedule="cosin"), "models.a.phases[0].schedule", "'constant', 'step'"),
    (lambda p: phase(p, schedule={"step_size": 2}), "models.a.phases[0].schedule", "name"),
    (lambda p: phase(p, trainable={"lst": 2}), "models.a.phases[0].trainable.lst", "mean last?"),
    (lambda p: phase(p, trainable={}), "models.a.phases[0].trainable", "last_tensors"),
    (
        lambda p: phase(p, trainable={"last": 1, "gradual": 1}),
        "models.a.phases[0].trainable",
        "last_tensors",
    ),
    (lambda p: phase(p, trainable="heads"), "models.a.phases[0].trainable", "'norms'"),
    (lambda p: phase(p, trainable="head", backbone_lr=0.1), "models.a.phases[0]", "layer_decay"),
    (
        lambda p: phase(p, trainable={"last": 0}, layer_decay=0.5),
        "models.a.phases[0]",
        "layer_decay",
    ),
    (lambda p: phase(p, init_from="best"), "models.a", "phases[0]"),
    (
        lambda p: p["models"]["a"].update(
            phases=[{"epochs": 1, "lr": 0.1}, {"epochs": 1, "lr": 0.1, "init_from": "probe"}]
        ),
        "models.a",
        "init_from: probe is for the first phase",
    ),
    (
        lambda p: p["models"]["a"].update(
            head="batch_norm", phases=[{"epochs": 1, "lr": 0.1, "init_from": "probe"}]
        ),
        "models.a",
        "requires head: linear",
    ),
    (lambda p: p.update({3: 1}), "3", "unknown key"),
    (lambda p: p["folds"].update({3: 1}), "folds.3", "unknown key. Choose from count, "),
    (
        lambda p: p["folds"].update(subsample={1: 1.5}),
        "folds.subsample.1",
        "1.5",
    ),
    (
        lambda p: p["models"].update({4: p["models"]["a"]}),
        "models.4",
        "the key must be a string, not 4. Quote",
    ),
    (
        lambda p: p["ensemble"].update(members=[]),
        "ensemble.members",
        "have 1 or more items, not []",
    ),
    (lambda p: p.update(models={}), "models", "must have 1 or more items"),
    (lambda p: probe(p, features=["small", "b"]), "probes.p.features[1]", "unknown embedding b"),
    (lambda p: probe(p, head="logit"), "probes.p.head", "did you mean logistic?"),
    (
        lambda p: (p.update(task="regression", metric="rmse"), probe(p)),
        "probes.p.head",
        "logistic does not support task: regression. Choose from ridge, svm, knn, lightgbm.",
    ),
    (lambda p: probe(p, strength=0), "probes.p.strength", "0"),
    (lambda p: (probe(p), p["probes"].update(a=p["probes"]["p"])), "probes.a", "the same name"),
    (
        lambda p: (probe(p), p["embeddings"]["small"].update(views=["hflop"])),
        "embeddings.small.views[0]",
        "did you mean hflip?",
    ),
    (
        lambda p: (probe(p, image_size=64), p["prepare"].update(max_size=32)),
        "prepare.max_size",
        "less than embeddings.small.image_size (64)",
    ),
    (
        lambda p: p["prepare"].update(label_column=["a"]),
        "prepare.label_column",
        "must have 2 or more items, not ['a']",
    ),
    (
        lambda p: p["prepare"].update(value_range=[0, 1, 2]),
        "prepare.value_range",
        "must have 2 or fewer items, not [0, 1, 2]",
    ),
    (
        lambda p: p["prepare"].update(value_range=5),
        "prepare.value_range",
        "must be 'auto' or a list, not 5",
    ),
    (lambda p: model(p, pretrained=3), "models.a.pretrained", "true or false or a string, not 3"),
    (lambda p: p["competition"].update(source=""), "competition.source", "must not be empty"),
    (lambda p: p["submission"].update(clip="auto-range"), "submission.clip", "regression"),
    (lambda p: p["submission"].update(clip=[5, 1]), "submission.clip", "ascending"),
    (
        lambda p: p["submission"].update(format="value"),
        "submission.format",
        "value does not support task: multiclass. Choose from auto, label, ",
    ),
    (
        lambda p: phase(p, trainable={"gradual": 1}, warmup_epochs=1.0),
        "models.a.phases[0]",
        "gradual",
    ),
]


@pytest.mark.parametrize(("change", "key", "text"), WRONG_VALUES)
def test_a_wrong_value_is_reported_with_its_key_and_what_is_allowed(
    change: Change, key: str, text: str
) -> None:
    (line,) = problems(change).splitlines()[1:]
    assert line.startswith(f"  {key}: ")
    assert text in line


WRONG = (None, True, 0, -1, 2.5, float("nan"), "", "x y", [], [0], [1, 2, 3], {}, {1: 2}, {"a": 0})


@pytest.mark.parametrize("kind", params_md.SECTIONS.values())
def test_no_message_is_pydantics(kind: type[Section]) -> None:
    for value in WRONG:
        _, problems = validation.check(kind, dict.fromkeys(kind.model_fields, value), at="x")
        for key, text in problems:
            assert key.startswith("x"), key
            assert not re.search(r"\bvalid\b|should|Input|Value error", text), f"{key}: {text}"


def test_checks_across_sections_report_all_problems_at_once() -> None:
    def change(params: dict[str, Any]) -> None:
        params["metric"] = "rmse"
        params["predict"]["views"] = ["hflp"]
        params["prepare"]["max_size"] = 16

    lines = problems(change).splitlines()[1:]
    keys = [line.strip().partition(": ")[0] for line in lines]
    assert keys == ["metric", "predict.views[0]", "prepare.max_size"]


def test_max_size_may_equal_the_largest_image_size() -> None:
    params = copy.deepcopy(PARAMS)
    params["prepare"]["max_size"] = params["models"]["a"]["image_size"]
    schema.validate(params)


def test_a_renamed_key_names_the_new_one() -> None:
    def change(params: dict[str, Any]) -> None:
        model(params, out_of_memory="fail")
        phase(params, lr_decay=2.0)

    text = problems(change)
    assert "models.a.out_of_memory: renamed: use on_oom" in text
    assert "models.a.phases[0].lr_decay: renamed: use layer_decay" in text


def test_broken_yaml_is_one_error_that_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: [1\nb: 2\n")
    with pytest.raises(UserError, match="is not valid YAML") as error:
        params_file.read(tmp_path / "params.yaml")
    assert f"in {tmp_path / 'params.yaml'}, line 2" in str(error.value)


def test_a_duplicate_key_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match="seed"):
        params_file.read(tmp_path / "params.yaml")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_is_not_finite_is_an_error(value: float) -> None:
    def change(params: dict[str, Any]) -> None:
        params["models"]["a"]["weight_decay"] = value
        params["models"]["a"]["phases"][0]["backbone_lr"] = value
        params["checkpoint"]["every_minutes"] = value

    text = problems(change)
    for key in ("models.a.weight_decay", "models.a.phases[0].backbone_lr", "every_minutes"):
        assert f"{key}: must be a finite number" in text


def test_a_duplicate_key_is_an_error_without_advice_to_allow_it() -> None:
    with pytest.raises(UserError, match='duplicate key "a"') as error:
        params_file.parse("a: 1\na: 2\n", source="params.yaml")
    assert "suppress" not in str(error.value)


@pytest.mark.parametrize(
    "schedule",
    [
        {"name": "one_cycle", "div_factor": float("inf")},
        {"name": "cosine_restarts", "t_mult": float("inf")},
    ],
)
def test_schedules_take_finite_numbers_only(schedule: dict[str, Any]) -> None:
    assert "must be a finite number" in problems(lambda params: phase(params, schedule=schedule))
