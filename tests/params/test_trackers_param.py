"""The list `trackers` of params.yaml and its requirements, without any tracker."""

import copy
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import PARAMS, Project

from podium.config import trackers
from podium.config.trackers import Trackers
from podium.core import params_file
from podium.core.errors import UserError, redacted
from podium.params import schema


def test_the_list_may_be_missing_or_empty(tmp_path: Path) -> None:
    assert schema.validate(copy.deepcopy(PARAMS)).trackers == []
    path = tmp_path / "params.yaml"
    for text, expected in (("seed: 1", []), ("trackers: []", []), ("trackers: [wandb]", ["wandb"])):
        path.write_text(text)
        assert params_file.load({"trackers": Trackers}, path=path) == (expected,)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["tensorbord"], "trackers[0]: must be 'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ("wandb", "trackers: must be a list"),
        (["wandb", "wandb"], "trackers: lists wandb twice"),
    ],
)
def test_another_name_is_an_error(value: Any, problem: str) -> None:
    with pytest.raises(UserError) as error:
        schema.validate({**copy.deepcopy(PARAMS), "trackers": value})
    assert problem in str(error.value)


def test_a_missing_package_is_an_error_also_beside_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    importlib.invalidate_caches()
    for name in ("wandb", "mlflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    trackers.require([])
    with pytest.raises(UserError, match=r"trackers: wandb, mlflow not installed\. Run `make"):
        trackers.require(["wandb", "mlflow"])


def test_check_and_training_end_before_the_first_step(prepared: Project) -> None:
    if trackers._is_installed("trackio"):
        pytest.skip("trackio is installed")
    prepared.edit(lambda params: params.update(trackers=["trackio"]))
    (prepared.folder / "data/params.checked").unlink()
    for command in (("check",), ("train", "--model", "a", "--fold", "0")):
        done = prepared.stage(*command)
        assert done.returncode == 1 and "epoch" not in done.stdout
        assert "error: trackers: trackio not installed. Run `make trackers`" in done.stdout
    assert not (prepared.folder / "data/params.checked").exists()


def test_errors_of_libraries_are_shown_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "abcdef123456")
    monkeypatch.setenv("SHORT_TOKEN", "to")
    text = redacted(ValueError("http://me:pass@host/x failed for abcdef123456, go to y\nmore"))
    assert text == "http://***@host/x failed for ***, go to y"
    assert redacted(ValueError()) == "ValueError"
    assert len(redacted(ValueError("x" * 1000))) < 400
