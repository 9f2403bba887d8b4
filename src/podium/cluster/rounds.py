"""The missing stages of all models and folds as jobs, and their results in the project."""

from typing import TYPE_CHECKING

from podium.cluster.job import Job
from podium.cluster.pipeline import Pipeline
from podium.core import paths
from podium.core.errors import UserError, examples
from podium.core.paths import Fold

if TYPE_CHECKING:  # it imports torch
    from podium.params.schema import Params


def rounds(params: "Params") -> list[list[tuple[str, Fold]]]:
    """All models and folds, in two rounds: the number of epochs on all folds is that of the folds,
    so these models come last.
    """
    return [
        [(model, fold) for model in params.models for fold in params.folds.run],
        [(model, "all") for model in params.folds.all],
    ]


def missing_jobs(pipeline: Pipeline, folds: list[tuple[str, Fold]]) -> list[Job]:
    """The missing stages of each model and fold."""
    stages = {
        (model, fold): [paths.stage(stage, model, fold) for stage in ("train", "predict")]
        for model, fold in folds
    }
    if not stages:
        return []  # DVC would check all stages
    missing = {*pipeline.missing([name for names in stages.values() for name in names])}
    jobs = []
    for (model, fold), (train, predict) in stages.items():
        if train in missing:  # with other weights, the prediction is another one
            jobs.append(Job(model, fold, (train, predict)))
        elif predict in missing:
            jobs.append(Job(model, fold, (predict,)))
    return jobs


def check_out(pipeline: Pipeline, jobs: list[Job]) -> None:
    """Check out the results of jobs that have ended.

    Raises:
        UserError: if results do not belong to the params and code that are here.
    """
    names = [stage for job in jobs for stage in job.stages]
    if missing := {*names} - {*pipeline.restore(names)}:
        raise UserError(
            f"params or code were edited during the run: {examples(sorted(missing))} no longer fit "
            "them. Rerun, or undo the edit and run `dvc repro`, which finds the results in its "
            "cache."
        )
