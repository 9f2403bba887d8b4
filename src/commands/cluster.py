"""Train and predict all models and folds on a cluster: what `dvc status` reports as missing."""

import argparse
import asyncio
from pathlib import Path

from podium.cluster import head, rounds, session, snapshot
from podium.cluster.driver import Driver
from podium.cluster.nodes import Request, locked_versions
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import console, params_file, program
from podium.core.errors import UserError
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
        all_rounds = rounds.rounds(params)
        if count := sum(len(rounds.missing_jobs(pipeline, folds)) for folds in all_rounds):
            request = Request(options.gpus, options.cpus, session.environment())
            versions = locked_versions(REQUIREMENTS)
            read = lambda name: pipeline.object_path(name).read_bytes()  # noqa: E731
            with ray_cluster.connect(address, read) as cluster, View() as view:
                total = sum(map(len, all_rounds))
                view.say(
                    f"{count} of {total} models and folds to do; other machines join with "
                    f"`make node HEAD={cluster.address}`"
                )
                driver = Driver(cluster, pipeline, request, versions=versions, view=view)
                asyncio.run(_run(driver, all_rounds))
        console.say("all models are trained: run `dvc repro`")


async def _run(driver: Driver, all_rounds: list[list[tuple[str, Fold]]]) -> None:
    for folds in all_rounds:
        if jobs := rounds.missing_jobs(driver.pipeline, folds):
            # With dvc.lock as it is after the stages before them.
            tree = snapshot.files(Path.cwd(), params_file.read(params_file.PARAMS))
            await driver.run(jobs, tree)
            rounds.check_out(driver.pipeline, jobs)


if __name__ == "__main__":
    program.run(main)
