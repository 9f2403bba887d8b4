"""Train and predict all models and folds on a cluster: what `dvc status` reports as missing."""

import argparse
import asyncio
import contextlib
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from podium.cluster import snapshot, token
from podium.cluster.driver import Driver
from podium.cluster.job import Job
from podium.cluster.nodes import Request, locked_versions
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import console, files, params_file, paths, program
from podium.core.errors import UserError
from podium.params import schema

# Settings of this machine's user that apply to each training run.
PASSED_ON = ("PODIUM_WORKERS", "PODIUM_CACHE_MIB")
CHECKPOINT_MINUTES = "1"
REQUIREMENTS = Path("requirements.txt")


def main() -> None:
    """Bring every training run and prediction up to date; `dvc repro` does the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cluster", help="host:port of the head, or auto: start one here")
    parser.add_argument("--gpus", type=int, help="per task (default: 1 if a node has any)")
    parser.add_argument("--cpus", type=int, help="per task (default: an equal share)")
    options = parser.parse_args()
    for name, minimum in (("gpus", 0), ("cpus", 1)):
        value = getattr(options, name)
        if value is not None and value < minimum:
            raise UserError(f"{name.upper()} must be at least {minimum}, not {value}.")
    params = schema.load()
    token.require(create=options.cluster == "auto")
    try:  # after the token: Ray reads the environment when it is imported
        from podium.cluster import ray_cluster
    except ImportError:
        raise UserError("Ray is not installed. Run this as `make train CLUSTER=…`.") from None
    with _only_driver(options.cluster):
        snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))  # or fail now
        if subprocess.run(["dvc", "--wait-for-lock", "repro", "folds"], check=False).returncode:
            raise UserError("`dvc repro folds` failed. Fix the error above and rerun.")
        pipeline = Pipeline(Path.cwd())
        jobs = _jobs(
            pipeline, [(model, fold) for model in params.models for fold in params.folds.run]
        )
        if not jobs:
            console.say("all models are trained: run `dvc repro`")
            return
        # With dvc.lock as it is after `dvc repro folds`.
        tree = snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))
        request = Request(options.gpus, options.cpus, _environment())
        versions = locked_versions(REQUIREMENTS)
        read = lambda name: pipeline.object_path(name).read_bytes()  # noqa: E731
        with ray_cluster.connect(options.cluster, read) as cluster, View() as view:
            view.say(f"{len(jobs)} models and folds; join with `make node HEAD={cluster.address}`")
            driver = Driver(cluster, pipeline, tree, request, versions=versions, view=view)
            asyncio.run(driver.run(jobs))
        _check_out(pipeline, jobs)


def _jobs(pipeline: Pipeline, folds: list[tuple[str, int]]) -> list[Job]:
    """The missing stages of each model and fold."""
    stages = {
        (model, fold): [f"{stage}@{model}-{fold}" for stage in ("train", "predict")]
        for model, fold in folds
    }
    missing = {*pipeline.missing([name for names in stages.values() for name in names])}
    jobs = []
    for (model, fold), (train, predict) in stages.items():
        if train in missing:  # with other weights, the prediction is another one
            jobs.append(Job(model, fold, (train, predict)))
        elif predict in missing:
            jobs.append(Job(model, fold, (predict,)))
    return jobs


def _environment() -> dict[str, str]:
    """What the training runs on all nodes share: on a CPU, the number of threads changes bytes."""
    import torch

    return {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PODIUM_CHECKPOINT_MINUTES": os.environ.get(
            "PODIUM_CHECKPOINT_MINUTES", CHECKPOINT_MINUTES
        ),
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
    }


@contextlib.contextmanager
def _only_driver(cluster: str) -> Iterator[None]:
    """Raises: UserError: naming the other driver, if there is one for this project."""
    owner = paths.CHECKPOINTS / "driver"
    owner.parent.mkdir(exist_ok=True)
    lock = FileLock(owner.with_name("driver.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        text = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        raise UserError(
            f"This project is being trained by {text}. Wait for it, or stop it."
        ) from None
    try:
        who = f"process {os.getpid()} of {getpass.getuser()} on {socket.gethostname()}"
        files.write_text(owner, f"{who} with CLUSTER={cluster}")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _check_out(pipeline: Pipeline, jobs: list[Job]) -> None:
    names = [stage for job in jobs for stage in job.stages]
    if missing := {*names} - {*pipeline.restore(names)}:
        raise UserError(
            f"{len(missing)} results belong to other params or code than those that are here now: "
            "you have edited them meanwhile. Rerun, or undo the edit and run `dvc repro`, which "
            "finds the results in its cache."
        )
    console.say("all models are trained: run `dvc repro`")


if __name__ == "__main__":
    program.run(main)
