"""Check with DVC that the submission belongs to the current params, code and data."""

import json
import subprocess
import sys

from podium.core import files, paths
from podium.core.errors import UserError, counted, examples
from podium.params.schema import Params
from podium.scoring import metrics


def check(params: Params) -> None:
    """Check that `dvc repro` would not rerun any stage that the submission depends on.

    Raises:
        UserError: naming the stages that changed, or whose outputs were edited or are missing.
    """
    stages = ["fetch", "prepare", "folds", "ensemble", "submission"]
    stages += [f"embed@{name}" for name in params.used_embeddings()]
    for member in params.ensemble.members:
        if member in params.probes:
            stages.append(f"probe@{member}")
        else:
            for stage in ("train", "predict"):
                stages += [paths.stage(stage, member, fold) for fold in params.folds.of(member)]
    command = [sys.executable, "-m", "dvc", "status", "--json", *stages]
    status = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="backslashreplace", check=False
    )
    if status.returncode != 0:
        raise UserError(f"`dvc status` failed. Fix this and run it again: {status.stderr.strip()}")
    changed = [stage for stage in stages if stage in json.loads(status.stdout)]
    # `check` also has params that the submission does not depend on.
    metric = metrics.get(params.metric, params.task)
    if files.read_json(paths.METRIC) != params.scored_by(metric):
        changed.append("check")
    if changed:
        raise UserError(
            f"the submission is out of date ({counted(len(changed), 'stage')} changed: "
            f"{examples(changed)}). "
            "Run `dvc repro`, or undo the edits that `dvc status` lists."
        )
