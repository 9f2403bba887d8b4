"""`make init` and the stages, in this process and the working directory."""

import contextlib
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from competitions import write_zip
from ruamel.yaml import YAML

import check
import embed
import ensemble
import explore
import folds
import page
import predict
import prepare
import probe
import report
import submission
import train
from commands import init
from podium.core import files

FROZEN = {"architecture": "test_resnet", "pretrained": False, "image_size": 32}
TINY = {
    **FROZEN,
    "resize_mode": "squash",
    "augment": "none",
    "phases": [{"epochs": 1, "lr": 0.005}],
    "batch_size": 8,
}


STAGES = {"ensemble": ensemble, "submission": submission, "report": report, "page": page}


def init_project(archive: bytes, *options: str) -> str:
    """Run `make init` on an archive, without asking. Returns what it prints.

    Raises:
        UserError: if it fails.
    """
    for name in ("data", "submissions", "params.yaml", "made.zip"):
        files.remove(Path(name))
    Path("made.zip").write_bytes(archive)
    return _printed(init.main, "made.zip", "--yes", "--quick", *options)


def prepare_project() -> str:
    """Run the stages prepare and folds. Returns what they print.

    Raises:
        UserError: if one fails.
    """
    return _printed(prepare.main) + _printed(folds.main)


def explore_project() -> str:
    """Run the stage explore, after prepare and folds. Returns what it prints.

    Raises:
        UserError: if it fails.
    """
    _printed(check.main)
    return _printed(explore.main)


def edit_params(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Change params.yaml, and return it."""
    params: dict[str, Any] = YAML(typ="safe").load(Path("params.yaml"))
    change(params)
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)
    return params


def run_project(contents: Mapping[str, bytes], *options: str, fine_tune: bool = False) -> str:
    """`make init` and the whole pipeline, with two folds of a probe on random features, and with
    `fine_tune` also of a tiny model. Returns what they print.

    Raises:
        UserError: if a stage fails.
    """
    archive = write_zip(Path("contents.zip"), contents).read_bytes()
    output = init_project(archive, *options)

    def shorten(params: dict[str, Any]) -> None:
        head = params["probes"].get("probe", {}).get("head")
        params["models"] = {"tiny": TINY} if fine_tune else {}
        params["embeddings"] = {"frozen": FROZEN}
        probe = {"features": ["frozen"], "normalize": False}  # plain images differ in length only
        params["probes"] = {"probe": {**probe, **({"head": head} if head else {})}}
        params["folds"] |= {"count": 2, "run": [0, 1]}
        params["ensemble"]["members"] = ["probe", *params["models"]]
        params["predict"]["views"] = ["identity"]

    edit_params(shorten)
    return output + run_stages()


def run_stages(*names: str) -> str:
    """Run check and the stages from prepare on, as params.yaml says, or only those of `names`,
    which are no matrices. Returns what they print.
    """
    if names:
        return "".join(_printed(STAGES[name].main) for name in names)
    params = edit_params(lambda _: None)
    output = _printed(check.main) + prepare_project()
    for name in params["embeddings"]:
        output += _printed(embed.main, "--embedding", name)
    for name in params["probes"]:
        output += _printed(probe.main, "--probe", name)
    for name in params["models"]:
        for fold in params["folds"]["run"]:
            for stage in (train, predict):
                output += _printed(stage.main, "--model", name, "--fold", str(fold))
    return output + run_stages(*STAGES)


def _printed(main: Callable[[], object], *arguments: str) -> str:
    output, sys.argv = io.StringIO(), ["program", *arguments]
    with contextlib.redirect_stdout(output):
        main()
    return output.getvalue()
