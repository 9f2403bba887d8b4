"""A trial as a job of a cluster's driver: one model trained on the search's folds."""

import json
import math
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ruamel.yaml import YAML

from podium.cluster import view
from podium.cluster.job import Job
from podium.cluster.node_program import Work
from podium.cluster.pipeline import Pipeline
from podium.core import console, files, params_file, paths
from podium.core.errors import UserError
from podium.init import yaml_edit
from podium.search import space
from podium.search.space import Value

GRACE = 1 / 3  # of the epochs, before which no trial is pruned: warm-up and high rates come first
# Messages of training runs whose settings make no sense: the trial has failed, not the search.
DIVERGED = re.compile(r"loss is (nan|-?inf)|weights are not finite|non-finite logits")
SCORE = re.compile(rf"epoch +(\d+)  .*  \S+ ({console.NUMBER}|nan)[* ] +lr ")


class Setting(NamedTuple):
    """What all trials of a search share."""

    text: str  # of params.yaml
    model: str
    folds: list[int]
    metric: str
    epochs: Callable[[dict[str, Any]], int]  # of the model in params, at most

    def with_values(self, values: Mapping[str, Value], folds: list[int]) -> str:
        """The text of params.yaml with a trial's values, for training on `folds`."""
        text = space.apply(self.text, self.model, values)
        run = space.parsed(text)["folds"]["run"]
        return text if {*folds} <= {*run} else _with_folds(text, sorted({*run, *folds}))


def _with_folds(text: str, run: list[int]) -> str:
    params = yaml_edit.load(text)
    yaml_edit.put(params["folds"], "run", run)
    return yaml_edit.dump(params)


class Trials(Protocol):
    """What a trial needs of `study.Study`."""

    def begin(self, number: int | None) -> tuple[int, dict[str, Value]]: ...
    def should_prune(self, number: int, step: int, score: float) -> bool: ...
    def note(self, number: int, key: str, value: object) -> None: ...
    def noted(self, number: int) -> dict[str, Any]: ...
    def complete(self, number: int, score: float) -> None: ...
    def prune(self, number: int) -> None: ...


class Training(Job):
    """A model with some values, trained on some folds."""

    def __init__(self, name: str, setting: Setting, folds: list[int], saved: Path) -> None:
        """Keep the checkpoints in `saved`."""
        stages = tuple(paths.stage("train", setting.model, fold) for fold in folds)
        super().__init__(setting.model, folds[0], stages)
        self.name, self.setting, self.folds = name, setting, folds
        self.folder, self.saved = paths.CHECKPOINTS / setting.model, saved
        self.values: dict[str, Value] = {}
        self.scores = dict[int, float]()  # by fold

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(self.scores.values())

    def work(
        self, pipeline: Pipeline, snapshot: dict[str, bytes], environment: dict[str, str]
    ) -> Work:
        """As `Job.work`, with the values in params.yaml."""
        text = self.setting.with_values(self.values, self.folds)
        changed = {**snapshot, params_file.PARAMS.as_posix(): text.encode()}
        return super().work(pipeline, changed, environment)

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """As `Job.receive`. Of a result, the score is read."""
        super().receive(pipeline, kind, name, content)
        if kind == "entry":
            self._read_score(pipeline, content)

    def _read_score(self, pipeline: Pipeline, entry: bytes) -> None:
        outs = {out["path"]: out["md5"] for out in YAML(typ="safe").load(entry)["outs"]}
        for fold in self.folds:
            path = paths.metrics(self.model, fold).as_posix()
            if path in outs:
                record = json.loads(pipeline.object_path(outs[path]).read_bytes())
                self.scores[fold] = float(record[self.setting.metric])


class Check(Training):
    """Values that are scored on a fold that the search did not use."""

    def __init__(
        self,
        label: str,
        values: Mapping[str, Value],
        setting: Setting,
        fold: int,
        *,
        folder: Path,
        scored: Callable[[str, int, float], None],
    ) -> None:
        """`scored` gets the label, the fold and the score."""
        name = f"{label}-{fold}"
        super().__init__(name, setting, [fold], folder / name)
        self.values, self.label, self.scored = {**values}, label, scored

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """As `Training.receive`."""
        super().receive(pipeline, kind, name, content)
        if self.scores:
            self.scored(self.label, self.folds[0], self.score)


class Trial(Training):
    """A trial of a study. Its values are chosen when a node is free, from all trials before it."""

    def __init__(
        self,
        trials: Trials,
        setting: Setting,
        pipeline: Pipeline,
        *,
        number: int,
        is_new: bool,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        """`number` is that of an interrupted trial, or of one that does not exist yet."""
        super().__init__(f"trial-{number}", setting, setting.folds, folder / str(number))
        self.trials, self.pipeline, self.number, self.say = trials, pipeline, number, say
        self.is_new, self.pruned, self.position = is_new, False, 0
        self.epochs = 0

    @property
    def complete(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.pruned or super().complete

    def begin(self) -> None:
        """Choose the values, if that has not happened yet."""
        if self.values:
            return
        number, self.values = self.trials.begin(None if self.is_new else self.number)
        assert number == self.number
        shown = "  ".join(f"{key}={value}" for key, value in self.values.items())
        self.say(f"{self.name}: {shown}")
        text = space.apply(self.setting.text, self.model, self.values)
        try:
            self.epochs = self.setting.epochs(space.parsed(text))
        except UserError:  # the values do not fit each other
            self.trials.prune(number)
            raise
        for name, entry in self.trials.noted(number).get("entries", {}).items():
            self.entries[name] = entry.encode()
            self._read_score(self.pipeline, self.entries[name])

    def read(self, line: str) -> bool:
        """Report an epoch's score; stop a trial that is worse than others at this epoch."""
        if match := view.STAGE.match(line):
            self.position = max(0, self._position(line))
        match = SCORE.match(line)
        if match is None:
            return False
        epoch, score = int(match[1]), console.parse(match[2])
        if not math.isfinite(score):
            return False
        step = self.position * self.epochs + epoch
        worse = self.trials.should_prune(self.number, step, score)
        if not worse or step <= GRACE * self.epochs or epoch >= self.epochs:
            return False
        self._prune(f"pruned after epoch {epoch} of {self.epochs}")
        return True

    def _position(self, line: str) -> int:
        names = [number for number, stage in enumerate(self.stages) if f"'{stage}'" in line]
        return names[0] if names else -1

    def excuses(self, message: str) -> bool:
        """A diverged training run is a trial without a score."""
        if DIVERGED.search(message) is None:
            return False
        self._prune(message.partition(". ")[0])
        return True

    def _prune(self, reason: str) -> None:
        self.pruned = True
        self.trials.prune(self.number)
        files.remove(self.pipeline.root / self.saved)
        self.say(f"{self.name}: {reason}")

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """As `Training.receive`; ends the trial after its last fold."""
        super().receive(pipeline, kind, name, content)
        if kind != "entry":
            return
        entries = {name: entry.decode() for name, entry in self.entries.items()}
        self.trials.note(self.number, "entries", entries)
        if self.complete:
            self.trials.complete(self.number, self.score)
            self.say(f"{self.name}: {self.setting.metric} {console.score(self.score)}")
