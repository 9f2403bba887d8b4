"""The provenance of a submission, which is written next to it as JSON."""

import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from podium.core import files, paths
from podium.core.errors import UserError
from podium.core.provenance import EnsembleProvenance, PredictionProvenance
from podium.submission import git

LOCK = Path("dvc.lock")
INPUTS = (
    "params.yaml",
    "dvc.yaml",
    "src",
    "custom",
    "requirements.txt",
)  # tracked files that affect results


def describe(
    submission: Path, *, raw: dict[str, Any], ensemble: EnsembleProvenance
) -> dict[str, Any]:
    """Describe a submission: its hash, and the commit, params, data, devices and packages behind
    it.

    `raw` is the content of data/raw/source.json.
    """
    folds = [fold for member in ensemble.members.values() for fold in member]
    return {
        "submission": submission.name,
        "sha256": files.sha256(submission),
        "oof": ensemble.oof,
        "method": ensemble.blend["method"],
        "weights": ensemble.weights,
        "blend": ensemble.blend,
        "git": _git(),
        "data": raw,
        "stages": _stages(ensemble.members),
        "pretrained": _pretrained(folds),
        "devices": sorted({fold.training.device for fold in folds}),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted({(d.name, d.version) for d in distributions()})),
    }


def _pretrained(folds: list[PredictionProvenance]) -> dict[str, str | None]:
    """The pretrained weights of all models and embeddings: revision on the hub, by SHA-256."""
    weights = dict[str, str | None]()
    for fold in folds:
        training = fold.training
        pairs = [(training.pretrained_sha256, training.pretrained_revision)]
        for embedding in training.config.get("embeddings", ()):
            pairs.append((embedding["pretrained_sha256"], embedding["pretrained_revision"]))
        weights |= {sha256: revision for sha256, revision in pairs if sha256 is not None}
    return weights


def _git() -> dict[str, Any] | None:
    """The commit, and the files that results depend on and that differ from it, as `git status`
    lists them; None without git.
    """
    try:
        commit = git.output("log", "-1", "--format=%H")
        # The paths are relative to the root of the repository, which can contain other projects.
        prefix = git.output("rev-parse", "--show-prefix")
        changed = git.output("status", "--porcelain", "--no-renames", "--", *INPUTS)
    except UserError as error:
        print(f"warning: the provenance will not contain the commit: {error}")
        return None
    if commit is None or prefix is None or changed is None:
        return None
    lines = [line[:3] + line[3:].replace(prefix.strip(), "", 1) for line in changed.splitlines()]
    return {"commit": commit.strip(), "changed": lines}


def _stages(members: dict[str, list[PredictionProvenance]]) -> dict[str, Any]:
    """The params, and the hashes of inputs and outputs, of the stages that led to this submission,
    as dvc.lock has them.
    """
    if not LOCK.exists():
        return {}
    stages = YAML(typ="safe").load(LOCK)["stages"]
    used = {"fetch", "prepare", "folds", "ensemble"} | {
        paths.stage(stage, name, fold.training.fold)
        for name, folds in members.items()
        for fold in folds
        for stage in ("train", "predict")
    }
    used |= {f"probe@{name}" for name in members}
    used |= {name for name in stages if name.startswith("embed@")}
    return {
        name: {
            "params": stage.get("params", {}).get("params.yaml", {}),
            "inputs": {item["path"]: item["md5"] for item in stage.get("deps", [])},
            "outputs": {item["path"]: item["md5"] for item in stage.get("outs", [])},
        }
        for name, stage in stages.items()
        if name in used
    }
