"""What a notebook gets: the tree, the jobs and large files, in data sets that are named by their
content.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from podium.cluster import node_program, session, snapshot
from podium.cluster.job import Job
from podium.cluster.node_program import Work as TaskWork
from podium.cluster.pipeline import Pipeline
from podium.core import files
from podium.core.errors import UserError
from podium.kaggle_gpu import layout, results
from podium.models import pretrained
from podium.params.schema import Params

PREPARATION = ("check", "prepare", "folds")  # stages that run there, on the competition's files
OUTPUT_BYTES = 19 * 10**9  # Kaggle keeps 20 GB
HASH_DIGITS = 12  # in names
MAX_SLUG = 24  # characters of the competition in names

Files = dict[str, bytes | Path]
"""Contents, or the files that have them, by name."""


def check(params: Params) -> None:
    """Raises: UserError: if the competition is not Kaggle's."""
    if params.competition.source == "builtin":
        raise UserError(
            "competition.source: Kaggle does not have the built-in demo. Run `make init SOURCE=…` "
            "with the name of a competition on Kaggle, or train the demo with `dvc repro`."
        )


class Work(NamedTuple):
    """The work of a notebook."""

    ref: str  # <owner>/<slug> of the data set with work.json, and of the notebook
    sha256: str  # of work.json
    datasets: dict[str, Files]  # to upload: by <owner>/<slug>


def name(owner: str, kind: str, sha256: str) -> str:
    """The name of a data set or notebook whose content has a hash. Kaggle allows lowercase letters,
    digits and single hyphens.
    """
    kind = re.sub(r"[^a-z0-9]+", "-", kind.lower())[:MAX_SLUG].strip("-")
    return f"{owner}/podium-{kind}-{sha256[:HASH_DIGITS]}"


def build(
    params: Params,
    raw: dict[str, Any],
    pipeline: Pipeline,
    jobs: Sequence[Job],
    *,
    owner: str,
    wheels: str | None,
    gpus: int,
    attempt: int,
) -> Work:
    """The work of a notebook with a number of `gpus`. `raw` is params.yaml as a mapping, `wheels`
    the data set with packages. The `attempt` distinguishes notebooks with the same work, after one
    has failed.

    Raises:
        UserError: as in `snapshot.files`, `Pipeline.inputs` and `check`.
    """
    check(params)
    slug = params.competition.slug
    tree = snapshot.files(pipeline.root, raw)
    environment = session.environment()
    tasks = [job.work(pipeline, tree, environment) for job in jobs]
    inline = {path: content for task in tasks for path, content in task.files.items()}
    weights: dict[str, Path] = {}
    for model in params.models.values():
        if isinstance(model.pretrained, str) and model.pretrained in inline:
            del inline[model.pretrained]
            weights[model.pretrained] = Path(model.pretrained)
    for path, file in _hub_files(params, jobs).items():
        weights[path] = file
        commit = file.parent.name.encode()
        inline[Path(path).parents[2].joinpath("refs/main").as_posix()] = commit
    inline[layout.NOTEBOOK_PARAMS.as_posix()] = _notebook_params(raw)
    prepared = pipeline.outs(*PREPARATION)
    shared, shared_blobs = _blobs(weights)
    shared_ref = name(owner, "weights", _hash(shared_blobs))
    own, own_blobs = _blobs(_own_files(pipeline, jobs, tasks, prepared))
    work = {
        "competition": slug,
        "attempt": attempt,
        "files": {path: base64.b64encode(inline[path]).decode() for path in sorted(inline)},
        "blobs": {path: {**blob, "dataset": shared_ref} for path, blob in shared_blobs.items()}
        | {path: {**blob, "dataset": None} for path, blob in own_blobs.items()},
        "jobs": [_described(job, params, gpus) for job in jobs],
        "checkpoint_folders": [job.folder.as_posix() for job in jobs],
        "data": prepared,
        "environment": environment,
        "wheels": wheels,
        "tasks": gpus,
        "output_bytes": OUTPUT_BYTES,
    }
    content = json.dumps(work).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    ref = name(owner, slug, sha256)
    datasets: dict[str, Files] = {shared_ref: shared} if shared else {}
    return Work(ref, sha256, {**datasets, ref: {**own, layout.WORK.name: content}})


def _described(job: Job, params: Params, gpus: int) -> dict[str, Any]:
    """A job in work.json."""
    return {
        "model": job.model,
        "fold": job.fold,
        "stages": job.stages,
        "gpus": min(params.models[job.model].shards, gpus),
    }


def _hub_files(params: Params, jobs: Sequence[Job]) -> dict[str, Path]:
    """The weights from the Hugging Face Hub that models start from, by their place in the hub's
    local cache there. Downloads them if they are not in the local cache here.
    """
    found = {}
    for name_ in dict.fromkeys(job.model for job in jobs if len(job.stages) > 1):
        model = params.models[name_]
        if model.pretrained is True and (file := pretrained.locate(model)) is not None:
            repo = str(file.revision).partition("@")[0].replace("/", "--")
            inside = Path("snapshots", file.path.parent.name, file.path.name)
            found[(layout.HUB / f"models--{repo}" / inside).as_posix()] = file.path
    return found


def _own_files(
    pipeline: Pipeline, jobs: Sequence[Job], tasks: list[TaskWork], prepared: dict[str, str]
) -> dict[str, Path]:
    """The newest checkpoints, and the inputs that do not come from the competition's files: such as
    the weights that a prediction uses.
    """
    known = {name for digest in prepared.values() for name in pipeline.with_contents(digest)}
    own = {
        node_program.cached(Path(".dvc/cache"), name).as_posix(): pipeline.object_path(name)
        for task in tasks
        for name in task.objects
        if name not in known
    }
    for job in jobs:
        newest = results.newest_checkpoint(pipeline.root / job.folder)
        if newest is not None:
            own[newest.relative_to(pipeline.root).as_posix()] = newest
    return own


def _blobs(paths: dict[str, Path]) -> tuple[Files, dict[str, dict[str, str]]]:
    """The files to upload by their names, and the record of each by its path in the project."""
    uploaded, records = Files(), {}
    for path, file in sorted(paths.items()):
        sha256 = files.sha256(file)
        blob = f"{sha256[:32]}.bin"
        uploaded[blob], records[path] = file, {"name": blob, "sha256": sha256}
    return uploaded, records


def _hash(records: dict[str, dict[str, str]]) -> str:
    hashes = sorted({record["sha256"] for record in records.values()})
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _notebook_params(raw: dict[str, Any]) -> bytes:
    competition = {
        **raw.get("competition", {}),
        "source": layout.COMPETITION.as_posix(),
        "solution": None,
    }
    stream = io.BytesIO()
    YAML(typ="safe", pure=True).dump({**raw, "competition": competition}, stream)
    return stream.getvalue()
