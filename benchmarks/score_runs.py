"""Run one system on one competition for benchmarks/score.py, within a limit of CPU time."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from competition import copy_code
from score_competition import Competition, Predicted

from podium.core.provenance import EnsembleProvenance
from podium.prediction import predictions
from podium.scoring.decisions import DecisionRule

HERE = Path(__file__).parent
POLL_SECONDS = 0.5
LOG_LINES = 15  # of a failed run, to show
NOTE = "note: "  # begins a line of the log to show
INIT_SECONDS = 45.0  # of CPU time that `make init` takes for its measurements
MARGIN = 0.85  # of the rest, for `dvc repro`: the measurements take a few seconds only
SMALLEST = 1e-15  # probability, whose logarithm is taken


class Settings(NamedTuple):
    """What all runs have in common."""

    weights: Path
    architecture: str
    others: Path | None  # the Python of fastai and AutoGluon
    size: int
    seconds: float


class Run(NamedTuple):
    """A system's run on a competition, or why it failed."""

    competition: str
    metric: str
    greater_is_better: bool
    system: str
    seed: int
    limit: float
    size: int
    cpu_seconds: float
    seconds: float
    failure: str | None = None
    score: float | None = None
    log_loss: float | None = None
    accuracy: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What distinguishes it from others."""
        return self.competition, self.system, self.seed, self.limit, self.size


class RunError(Exception):
    """A command failed, or needed more than the time that was left."""


class Limit:
    """CPU time, of all processes that it starts and of theirs."""

    def __init__(self, seconds: float, log: Path) -> None:
        self.seconds, self.log = seconds, log
        self._before, self._start = _finished_children(), time.perf_counter()
        self._when_killed = 0.0

    @property
    def cpu_seconds(self) -> float:
        """Used so far, by processes that have ended."""
        return max(_finished_children() - self._before, self._when_killed)

    @property
    def wall_seconds(self) -> float:
        """Since the limit was created."""
        return time.perf_counter() - self._start

    def run(self, *command: str, folder: Path, environment: dict[str, str]) -> None:
        """Run a command.

        Raises:
            RunError: if its exit status is not 0, or it exceeds what is left; it is killed then.
        """
        with self.log.open("a") as log:
            process = psutil.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            before = self.cpu_seconds
            while True:
                try:
                    status = process.wait(timeout=POLL_SECONDS)
                    break
                except psutil.TimeoutExpired:
                    if (used := before + _used(process)) > self.seconds:
                        self._when_killed = used
                        _kill(process)
        if self.cpu_seconds > self.seconds:
            raise RunError(f"over {self.seconds:.0f} s")
        if status != 0:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            print("\n".join(lines), file=sys.stderr)
            raise RunError(f"exit status {status}")


def run(system: str, competition: Competition, settings: Settings, seed: int) -> Run:
    """Train, predict and score."""
    print(f"{competition.name}, {system}, seed {seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=f"score-{system}-") as temporary:
        folder = Path(temporary) / "run"
        folder.mkdir()
        limit = Limit(settings.seconds, Path(temporary) / "log")
        failure, scores = None, {}
        try:
            function = _podium if system == "podium" else _other
            predicted = function(system, competition, settings, seed, folder, limit)
            scores = competition.scores(predicted)
        except RunError as error:
            failure = str(error)
    return Run(
        competition=competition.name,
        metric=competition.metric.name,
        greater_is_better=competition.metric.greater_is_better,
        system=system,
        seed=seed,
        limit=settings.seconds,
        size=settings.size,
        cpu_seconds=round(limit.cpu_seconds, 1),
        seconds=round(limit.wall_seconds, 1),
        failure=failure,
        **scores,
    )


def _podium(
    _: str, competition: Competition, settings: Settings, seed: int, folder: Path, limit: Limit
) -> Predicted:
    """`make init` and `dvc repro`, with the commands that make runs."""
    copy_code(folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": "src"}
    archive, weights = str(competition.archive), str(settings.weights)
    time_limit = ("--cpu-time", "--minutes", f"{minutes(settings.seconds):.2f}")
    init = ("python", "-m", "commands.init", "--yes", *time_limit, "--pretrained", weights)
    for command in (
        ("git", "init", "--quiet"),
        (*init, "--", archive),
        ("dvc", "repro"),
    ):
        limit.run(*command, folder=folder, environment=environment)
        params = folder / "params.yaml"
        if params.exists():
            text = re.sub(r"(?m)^seed: \d+", f"seed: {seed}", params.read_text(encoding="utf-8"))
            params.write_text(text, encoding="utf-8")
    read = predictions.read(folder / "data/ensemble/test.parquet", EnsembleProvenance)
    return Predicted(read.ids, read.logits, DecisionRule(**read.provenance.decision))


def minutes(seconds: float) -> float:
    """The minutes to give to `make init`, whose work is part of the CPU time, too."""
    return max(0.1, MARGIN * (seconds - INIT_SECONDS) / 60)


def _other(
    system: str, competition: Competition, settings: Settings, seed: int, folder: Path, limit: Limit
) -> Predicted:
    """The program score_<system>.py."""
    job = {
        "data": str(competition.folder),
        "classes": len(competition.task.classes),
        "metric": competition.metric.name,
        "architecture": settings.architecture,
        "weights": str(settings.weights),
        "size": settings.size,
        "seed": seed,
        "seconds": settings.seconds,
    }
    (folder / "job.json").write_text(json.dumps(job))
    python = sys.executable if system == "logistic" else str(settings.others)
    program = str(HERE / f"score_{system}.py")
    limit.run(python, program, str(folder), folder=folder, environment={"HF_HUB_OFFLINE": "1"})
    notes = [line for line in limit.log.read_text(errors="replace").splitlines() if NOTE in line]
    print("\n".join(notes), file=sys.stderr)
    probabilities = np.load(folder / "probabilities.npy")
    logits = np.log(np.maximum(probabilities, SMALLEST))
    return Predicted(competition.tables.ids["test"], logits)


def _finished_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _used(process: psutil.Process) -> float:
    """CPU time of a process, its children, and those of them that have ended."""
    total = 0.0
    for one in _tree(process):
        try:
            total += sum(one.cpu_times()[:4])  # user, system, and both of ended children
        except psutil.NoSuchProcess:
            continue
    return total


def _kill(process: psutil.Process) -> None:
    for one in _tree(process):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
