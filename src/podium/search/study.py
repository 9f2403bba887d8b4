"""The trials of a search, kept in Optuna's journal: a file to which each change is appended."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial, Trial, TrialState

from podium.search.space import Dimension, Value

# Pruning earlier, or without other trials to compare with, stopped trials that were among the best.
STARTUP_TRIALS = 5
RUNNING, COMPLETE, PRUNED = TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED
WORDS = {COMPLETE: "complete", PRUNED: "pruned", RUNNING: "running"}

OTHER = re.compile(r"(.+) on fold (\d+)")

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Row(NamedTuple):
    """A trial as others see it."""

    number: int
    state: str
    score: float | None  # of the trial, if it is complete, else the last one reported
    values: dict[str, Value]


class Study:
    """All methods may be called in any thread."""

    def __init__(self, study: optuna.Study, dimensions: list[Dimension]) -> None:
        """Wrap a study of Optuna."""
        self.study, self.dimensions = study, dimensions
        self._lock = threading.RLock()
        self._open = dict[int, Trial]()  # running here

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return self.study.study_name

    @property
    def maximize(self) -> bool:
        """Whether a higher score is better."""
        return self.study.direction == optuna.study.StudyDirection.MAXIMIZE

    @property
    def facts(self) -> dict[str, Any]:
        """What was stored with the study."""
        return self.study.user_attrs

    @property
    def others(self) -> dict[str, dict[int, float]]:
        """Scores on folds that the search did not use, by name and fold."""
        scores = dict[str, dict[int, float]]()
        for key, value in self.study.user_attrs.items():
            if match := OTHER.fullmatch(key):
                scores.setdefault(match[1], {})[int(match[2])] = value
        return scores

    def add_other(self, name: str, fold: int, score: float) -> None:
        """Store a score on a fold that the search did not use."""
        with self._lock:
            self.study.set_user_attr(f"{name} on fold {fold}", score)

    def begin(self, number: int | None) -> tuple[int, dict[str, Value]]:
        """A new trial, or one that was interrupted: its number and values."""
        with self._lock:
            if number is None:
                trial = self.study.ask()
            else:
                frozen = self.study.get_trials(deepcopy=False)[number]
                trial = Trial(self.study, frozen._trial_id)
            self._open[trial.number] = trial
            return trial.number, {d.key: d.rounded(_suggest(trial, d)) for d in self.dimensions}

    def should_prune(self, number: int, step: int, score: float) -> bool:
        """Report a score; whether the trial is worse than the median of the others at this step."""
        with self._lock:
            trial = self._open[number]
            frozen = self.study.get_trials(deepcopy=False)[number]
            if step not in frozen.intermediate_values:  # a resumed trial repeats some
                trial.report(score, step)
            return trial.should_prune()

    def note(self, number: int, key: str, value: object) -> None:
        """Store a fact with a running trial."""
        with self._lock:
            self._open[number].set_user_attr(key, value)

    def noted(self, number: int) -> dict[str, Any]:
        """The facts that are stored with a trial."""
        return self.study.get_trials(deepcopy=False)[number].user_attrs

    def complete(self, number: int, score: float) -> None:
        """End a trial with its score."""
        with self._lock:
            self.study.tell(self._open.pop(number), score)

    def prune(self, number: int) -> None:
        """End a trial without a score."""
        with self._lock:
            self.study.tell(self._open.pop(number), state=PRUNED)

    def interrupted(self) -> list[int]:
        """The trials that have begun and not ended: their numbers."""
        return [trial.number for trial in self._trials(RUNNING)]

    def ended(self) -> int:
        """The number of trials that have ended."""
        return len(self._trials(COMPLETE, PRUNED))

    def best(self) -> Row | None:
        """The trial with the best score; of equal ones, the first."""
        rows = [self._row(trial) for trial in self._trials(COMPLETE)]
        sign = 1 if self.maximize else -1
        return max(rows, key=lambda row: (sign * (row.score or 0), -row.number), default=None)

    def rows(self) -> list[Row]:
        """All trials."""
        return [self._row(trial) for trial in self._trials(*WORDS)]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _row(self, trial: FrozenTrial) -> Row:
        steps = trial.intermediate_values
        last = steps[max(steps)] if steps else None
        score = trial.value if trial.state == COMPLETE else last
        by_key = {d.key: d for d in self.dimensions}
        values = {key: by_key[key].rounded(value) for key, value in trial.params.items()}
        return Row(trial.number, WORDS[trial.state], score, values)


def _suggest(trial: Trial, dimension: Dimension) -> Value:
    key = dimension.key
    if dimension.kind == "choice":
        value: Value = trial.suggest_categorical(key, dimension.choices)
        return value
    if dimension.kind == "int":
        return trial.suggest_int(key, int(dimension.low), int(dimension.high))
    is_log = dimension.kind == "log"
    return trial.suggest_float(key, dimension.low, dimension.high, log=is_log)


def open_study(
    journal: Path,
    name: str,
    dimensions: list[Dimension],
    *,
    maximize: bool,
    seed: int,
    facts: Mapping[str, object],
    first: Mapping[str, Value],
) -> Study:
    """Open the study `name`, or create it: with `facts`, and the values of the `first` trial."""
    _repair(journal)
    storage = _storage(journal)
    names = {study.study_name for study in optuna.get_all_study_summaries(storage)}
    if name in names:
        study = optuna.load_study(storage=storage, study_name=name)
    else:
        direction = "maximize" if maximize else "minimize"
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    for key in facts.keys() - study.user_attrs.keys():
        study.set_user_attr(key, facts[key])
    if first and not study.get_trials(deepcopy=False):
        study.enqueue_trial({**first})
    # A resumed search must not draw the same numbers again.
    seed = (seed + len(study.get_trials(deepcopy=False))) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
    return Study(study, dimensions)


def load_studies(journal: Path) -> list[optuna.Study]:
    """The studies in the journal, in the order in which they were created."""
    if not journal.exists():
        return []
    storage = _storage(journal)
    names = [study.study_name for study in optuna.get_all_study_summaries(storage)]
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def _repair(journal: Path) -> None:
    """Remove an incomplete last line: a search was killed while writing it."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.exists() and not (content := journal.read_bytes()).endswith(b"\n"):
        journal.write_bytes(content[: content.rfind(b"\n") + 1])


class _NoLock(BaseJournalFileLock):
    """Only one process writes (`session.only_driver`). Optuna's lock would outlive a killed one."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=_NoLock()))
