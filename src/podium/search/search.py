"""Run a search: its trials, then the best of them on other folds."""

import argparse
import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from podium.cluster import local, session, snapshot
from podium.cluster.address import Address
from podium.cluster.driver import Driver
from podium.cluster.job import Job
from podium.cluster.nodes import Cluster, Request, locked_versions
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import console, files, machine, paths
from podium.core.errors import UserError, counted
from podium.params import schema
from podium.params.schema import Params
from podium.scoring import metrics
from podium.search import report, results, space
from podium.search.space import Dimension
from podium.search.study import Study, open_study
from podium.search.trials import Check, Setting, Trial

REQUIREMENTS = Path("requirements.txt")


def run(
    options: argparse.Namespace, params: Params, text: str, head: Address | None = None
) -> None:
    """Run the missing trials of the search that the command's options give, score the best of all
    on other folds, and report. `text` is that of the file with the `params`, `head` that of the
    cluster, if there is one already.
    """
    params.model(options.model)  # or fail now
    dimensions = space.parse(options.set)
    _validate(text, options.model, dimensions)
    folds, metric = _folds(options.folds, params), metrics.get(params.metric, params.task)
    session.reproduce_folds()
    pipeline = Pipeline(Path.cwd())
    setting = Setting(text, options.model, folds, metric.name, partial(_epochs, options.model))
    first = space.current(params.model(options.model).model_dump(), dimensions)
    fingerprint = results.fingerprint(pipeline, options.model, params.folds.run[0])
    study = open_study(
        results.JOURNAL,
        _name(options.model, fingerprint, options.set.split(), folds),
        dimensions,
        maximize=metric.greater_is_better,
        seed=params.seed,
        facts={
            "model": options.model,
            "set": options.set,
            "folds": folds,
            "metric": metric.name,
            "fingerprint": fingerprint,
            "has_baseline": bool(first),
        },
        first=first,
    )
    search = Search(study, setting, pipeline, params)
    with _cluster(options, pipeline, head) as cluster, View() as view:
        driver = Driver(
            cluster,
            pipeline,
            _request(options),
            versions=locked_versions(REQUIREMENTS),
            view=view,
        )
        asyncio.run(search.run(driver, options.trials))
    found = results.describe(study)
    path = results.FOLDER / options.model / "report.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, found + "\n")
    console.say(found)


class Search:
    """The jobs of a search."""

    def __init__(self, study: Study, setting: Setting, pipeline: Pipeline, params: Params) -> None:
        """Keep checkpoints in a folder of the study."""
        self.study, self.setting, self.pipeline, self.params = study, setting, pipeline, params
        self.folder = paths.CHECKPOINTS / "search" / study.name

    async def run(self, driver: Driver, count: int) -> None:
        """Run trials until `count` have ended, and score the best on other folds."""
        tree = snapshot.files(self.pipeline.root, space.parsed(self.setting.text))
        if trials := self._trials(count, driver.view):
            await driver.run(trials, tree)
        if checks := self._checks():
            await driver.run(checks, tree)

    def _trials(self, count: int, view: View) -> list[Job]:
        """Those that were interrupted, then new ones."""
        interrupted, ended = self.study.interrupted(), self.study.ended()
        begun = ended + len(interrupted)
        if begun:
            view.say(f"{counted(begun, 'earlier trial')}, {len(interrupted)} of which resume")
        return [
            Trial(
                self.study,
                self.setting,
                self.pipeline,
                number=number,
                is_new=number >= begun,
                folder=self.folder,
                say=view.say,
            )
            for number in [*interrupted, *range(begun, count)]
        ]

    def _checks(self) -> list[Job]:
        """The best trial, and params.yaml as it is, on folds that the search did not use."""
        best, used = self.study.best(), self.setting.folds
        run, every = self.params.folds.run, range(self.params.folds.count)
        folds = [fold for fold in run if fold not in used]
        folds = folds or [fold for fold in every if fold not in used][:1]
        if best is None:
            return []
        candidates: dict[str, dict[str, Any]] = {f"trial {best.number}": best.values}
        if not (self.study.facts["has_baseline"] and best.number == 0):
            candidates[report.BASELINE] = {}
        known = self.study.others
        scored = self.study.add_other
        return [
            Check(label, values, self.setting, fold, folder=self.folder, scored=scored)
            for label, values in candidates.items()
            for fold in folds
            if fold not in known.get(label, {})
        ]


def _name(model: str, *facts: object) -> str:
    return f"{model}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]}"


def _validate(text: str, model: str, dimensions: list[Dimension]) -> None:
    """Raises: UserError: if values near the ends of a range, or choices, are not valid."""
    for dimension in dimensions:
        for value in dimension.samples():
            changed = space.apply(text, model, {dimension.key: value})
            source = f"params.yaml with {model}.{dimension.key}: {value}"
            schema.validate(space.parsed(changed), source=source)


def _folds(text: str, params: Params) -> list[int]:
    """The folds that FOLDS names, by default the first that is run."""
    if not text:
        return params.folds.run[:1]
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() and int(number) < params.folds.count for number in numbers):
        raise UserError(f"FOLDS={text}: give numbers below {params.folds.count}, such as 0,1.")
    return sorted({int(number) for number in numbers})


def _epochs(model: str, raw: dict[str, Any]) -> int:
    return sum(phase.epochs for phase in schema.validate(raw).models[model].phases)


def _request(options: argparse.Namespace) -> Request:
    cpus = options.cpus
    if options.jobs is not None and not options.cluster:
        cpus = max(1, machine.cores() // options.jobs)
    return Request(options.gpus, cpus, session.environment())


@contextlib.contextmanager
def _cluster(
    options: argparse.Namespace, pipeline: Pipeline, head: Address | None
) -> Iterator[Cluster]:
    if not options.cluster:
        with local.connect(pipeline.root, pipeline.object_path) as here:
            yield here
        return
    from podium.cluster import ray_cluster

    read = lambda name: pipeline.object_path(name).read_bytes()  # noqa: E731
    with ray_cluster.connect(head, read) as there:
        yield there
