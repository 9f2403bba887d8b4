"""The driver: starts a notebook for what is missing, follows it and takes its results."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from podium.cluster import rounds
from podium.cluster.job import Job
from podium.cluster.pipeline import Pipeline
from podium.core import console, files, paths
from podium.core.errors import UserError, examples
from podium.kaggle_gpu import following, results, uploads, work
from podium.kaggle_gpu.client import Client, NotAttachedError
from podium.kaggle_gpu.state import FOLDER, Notebook, State, hours_left
from podium.params.schema import Params

MIN_HOURS = 0.25  # of the quota, for which a notebook is worth starting
SPARE_HOURS = 0.25  # of the quota, for writing results
CHECKPOINT = re.compile(r"\.checkpoints/(?!\.\./)[^/]+/(fold\d+|all)/(fold\d+/)?\d\.ckpt")


class Machine(NamedTuple):
    """A machine of Kaggle's."""

    name: str  # as the client calls it
    gpus: int


MACHINES = {"T4x2": Machine("NvidiaTeslaT4", 2), "P100": Machine("NvidiaTeslaP100", 1)}


@dataclass(frozen=True)
class Request:
    """What the user asks for."""

    machine: Machine
    hours: float  # at most, per notebook
    models: tuple[str, ...] = ()  # none: all
    only_predict: bool = False


class Runner:
    """Trains the missing models and folds of the project in the current folder."""

    def __init__(self, client: Client, request: Request) -> None:
        """Use the state of an earlier run, if there is one."""
        self.client, self.request = client, request
        self.state = State.load()
        self.last, self.was_stopped = "", False  # the last notebook, and whether it ran out of time

    def resume(self) -> None:
        """Follow the notebook that an earlier run has started, if it is still there.

        Raises:
            UserError: as in `run`.
        """
        notebook = self.state.notebook
        if notebook is None:
            return
        if not notebook.pushed and self.client.status(notebook.ref) is None:
            self.state.forget()  # the run was stopped just before
        else:
            console.say(f"notebook {notebook.ref}: reattached")
            self.last = notebook.work
            self._follow(notebook)

    def run(self, params: Params, raw: dict[str, Any]) -> bool:
        """Run a notebook for what is missing; False if nothing is. All stages before training must
        be up to date. `raw` is params.yaml as a mapping.

        Raises:
            UserError: if the notebook fails, or Kaggle rejects something; what has arrived is kept.
        """
        jobs = self._jobs(params)
        if not jobs:
            return False
        wheels = uploads.wheels_ref(self.client.owner)
        built = self._build(params, raw, jobs, wheels)
        if built.ref == self.last:
            self.state.forget(failed=True)  # or the next run would take the same results again
            if self.was_stopped:
                reason = "has made no progress. Set more HOURS and rerun"
            else:
                reason = "has results that do not fit the project. Rerun to start another"
            raise UserError(f"The notebook {built.ref} {reason}.")
        self.last = built.ref
        is_there = self.client.status(built.ref) is not None
        hours = self.request.hours if is_there else self._hours(jobs)
        if not is_there:
            self._upload(built)
        notebook = Notebook(
            ref=built.ref,
            work=built.ref,
            work_sha256=built.sha256,
            competition=params.competition.slug,
            machine=self.request.machine.name,
            hours=hours,
            datasets=[wheels, *built.datasets],
            jobs=[(job.model, job.fold) for job in jobs],
        )
        self.state.notebook = notebook
        self.state.save()
        if not is_there:
            self._push(notebook)
        notebook.pushed = True
        self.state.save()
        self._follow(notebook)
        return True

    def _jobs(self, params: Params) -> list[Job]:
        """What is missing.

        Raises:
            UserError: if only predictions are asked for, and models are not trained.
        """
        pipeline = Pipeline(Path.cwd())
        wanted = self.request.models or tuple(params.models)
        selected = [[job for job in folds if job[0] in wanted] for folds in rounds.rounds(params)]
        all_jobs = [job for jobs in selected if jobs for job in rounds.missing_jobs(pipeline, jobs)]
        untrained = [job.name for job in all_jobs if len(job.stages) > 1]
        if self.request.only_predict and untrained:
            raise UserError(
                f"{len(untrained)} models and folds are not trained: {examples(untrained)}. Run "
                "`make train ON=kaggle` or `dvc repro`."
            )
        return all_jobs

    def _hours(self, jobs: list[Job]) -> float:
        """The hours of the next notebook: those asked for, up to what the quota leaves.

        Raises:
            UserError: if nothing is left.
        """
        names = [job.name for job in jobs]
        left = hours_left(self.state.progress, names, self.request.machine.gpus)
        needed = f", about {left:.1f} h" if left else ""
        quota = self.client.quota()
        available = "" if quota is None else f"; {quota.left:.1f} h of the week's GPU quota left"
        console.say(f"{len(jobs)} models and folds to train or predict{needed}{available}")
        if quota is None:
            return self.request.hours
        if quota.left - SPARE_HOURS < min(MIN_HOURS, self.request.hours):
            raise UserError(
                f"Kaggle's GPU quota of this week is used up ({quota.used:.1f} of "
                f"{quota.total:.1f} h). Rerun after {quota.renewed}: {len(jobs)} models and folds "
                f"are left{needed}."
            )
        return min(self.request.hours, quota.left - SPARE_HOURS)

    def _build(
        self, params: Params, raw: dict[str, Any], jobs: list[Job], wheels: str
    ) -> work.Work:
        return work.build(
            params,
            raw,
            Pipeline(Path.cwd()),
            jobs,
            owner=self.client.owner,
            wheels=wheels,
            gpus=self.request.machine.gpus,
            attempt=self.state.attempt,
        )

    def _upload(self, built: work.Work) -> None:
        uploads.upload_wheels(self.client, self.state)
        for ref, contents in built.datasets.items():
            uploads.upload(self.client, self.state, ref, contents)

    def _push(self, notebook: Notebook) -> None:
        try:
            notebook.kernel_id = self.client.push(notebook)
        except NotAttachedError:
            self.state.forget(failed=True)
            raise
        console.say(
            f"notebook https://www.kaggle.com/code/{notebook.ref}: started, for up to "
            f"{notebook.hours:.1f} h. Ctrl-C leaves it running; rerun to reattach."
        )

    def _follow(self, notebook: Notebook) -> None:
        """Print the log until the notebook ends; then take its results.

        Raises:
            UserError: if it failed, or is gone.
        """
        following.wait(self.client, self.state, notebook)
        outcome = self._collect(notebook)
        failed, self.was_stopped = outcome["status"] == "failed", outcome["status"] == "stopped"
        self.state.forget(failed=failed or not outcome["files"])
        if failed:
            raise UserError(following.failure(notebook, outcome))
        if not outcome["files"]:
            raise UserError(
                f"The notebook {notebook.ref} of {notebook.hours:.1f} h has finished nothing and "
                "left no checkpoint. Set more HOURS."
            )

    def _collect(self, notebook: Notebook) -> dict[str, Any]:
        """Store results and checkpoints. Files that an interrupted run has downloaded are kept."""
        pipeline = Pipeline(Path.cwd())
        folder = FOLDER / notebook.work_sha256[:12]
        outcome = self.client.outcome(notebook.ref, folder)
        checkpoints = list[Path]()
        for name, record in outcome["files"].items():
            path = self.client.download(notebook.ref, name, record["sha256"], folder)
            checkpoints += _store(path, pipeline)
        if outcome["files"]:
            for job in notebook.jobs:  # those that have ended need no checkpoint
                ended = paths.CHECKPOINTS / paths.fold_name(*job)
                if not any(path.is_relative_to(ended) for path in checkpoints):
                    files.remove(ended)
        self.state.progress |= outcome["progress"]
        files.remove(folder)
        if (torch := outcome["torch"]) != version("torch"):
            console.say(
                f"warning: Kaggle has torch {torch} instead of {version('torch')}: results may "
                "differ in their last digits from those of a local run"
            )
        return outcome


def _store(path: Path, pipeline: Pipeline) -> list[Path]:
    """Store what is in a file. Returns the checkpoints."""
    checkpoints = []
    for kind, name, content in results.read(path):
        if kind == "object":
            pipeline.add_object(name, content)
        elif kind == "entry":
            pipeline.add_entry(name, content)
        elif kind == "checkpoint" and CHECKPOINT.fullmatch(name):
            files.write_bytes(Path(name), content)
            checkpoints.append(Path(name))
    return checkpoints
