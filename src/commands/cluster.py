"""Train and predict all models and folds on a cluster: what `dvc status` reports as missing."""

import argparse
import asyncio
from pathlib import Path

from podium.cluster import head, session, snapshot
from podium.cluster.driver import Driver
from podium.cluster.job import Job
from podium.cluster.nodes import Request, locked_versions
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import console, params_file, paths, program
from podium.core.errors import UserError, examples
from podium.core.paths import Fold
from podium.params import schema

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
    address = head.of_cluster(options.cluster, command="make train CLUSTER=…")
    params = schema.load()
    from podium.cluster import ray_cluster  # after the token, which Ray reads when it is imported

    with session.only_driver(f"make train CLUSTER={options.cluster}"):
        snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))  # or fail now
        session.reproduce_folds()
        pipeline = Pipeline(Path.cwd())
        # The number of epochs on all folds is that of the folds: these models come last.
        rounds: list[list[tuple[str, Fold]]] = [
            [(model, fold) for model in params.models for fold in params.folds.run],
            [(model, "all") for model in params.folds.all],
        ]
        if count := sum(len(_jobs(pipeline, folds)) for folds in rounds):
            request = Request(options.gpus, options.cpus, session.environment())
            versions = locked_versions(REQUIREMENTS)
            read = lambda name: pipeline.object_path(name).read_bytes()  # noqa: E731
            with ray_cluster.connect(address, read) as cluster, View() as view:
                view.say(
                    f"{count} of {sum(map(len, rounds))} models and folds to do; other machines "
                    f"join with `make node HEAD={cluster.address}`"
                )
                driver = Driver(cluster, pipeline, request, versions=versions, view=view)
                asyncio.run(_run(driver, rounds))
        console.say("all models are trained: run `dvc repro`")


async def _run(driver: Driver, rounds: list[list[tuple[str, Fold]]]) -> None:
    for folds in rounds:
        if jobs := _jobs(driver.pipeline, folds):
            # With dvc.lock as it is after the stages before them.
            tree = snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))
            await driver.run(jobs, tree)
            _check_out(driver.pipeline, jobs)


def _jobs(pipeline: Pipeline, folds: list[tuple[str, Fold]]) -> list[Job]:
    """The missing stages of each model and fold."""
    stages = {
        (model, fold): [paths.stage(stage, model, fold) for stage in ("train", "predict")]
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


def _check_out(pipeline: Pipeline, jobs: list[Job]) -> None:
    names = [stage for job in jobs for stage in job.stages]
    if missing := {*names} - {*pipeline.restore(names)}:
        raise UserError(
            f"params or code were edited during the run: {examples(sorted(missing))} fit them no "
            "more. Rerun, or undo the edit and run `dvc repro`, which finds the results in its "
            "cache."
        )


if __name__ == "__main__":
    program.run(main)
