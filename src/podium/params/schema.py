"""All of params.yaml as one model."""

import re
import typing
from typing import Annotated, Any

from pydantic import Field

from podium.config import prepare_checks
from podium.config.checkpoint import Checkpoint
from podium.config.competition import Competition
from podium.config.embeddings import Embedding
from podium.config.ensemble import Ensemble
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.probes import Probe
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.config.trackers import Trackers
from podium.core import params_file, validation
from podium.core.errors import UserError, nearest
from podium.core.section import Section, Slug
from podium.params import checks, libraries
from podium.scoring import units
from podium.scoring.metrics import Metric


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Random seed for folds, weight initialization, data order and augmentation."""
    deterministic: bool
    """true: deterministic algorithms, byte-identical results on the same machine. false: faster on
    a GPU."""
    task: TaskName
    """The prediction task, per image: one of two classes, one of several classes, any number of
    classes, an ordered class (ordinal regression), a number, or several targets, each of them a
    class or a number ([below](#several-targets))."""
    metric: str | None
    """Model selection and early-stopping metric; also scores the ensemble. null: the task's
    default. User-defined: `custom/<file>.py:<function>`."""
    competition: Competition
    prepare: Prepare
    folds: Folds
    checkpoint: Checkpoint
    models: dict[Slug, Model]
    embeddings: dict[Slug, Embedding]
    probes: dict[Slug, Probe]
    predict: Predict
    ensemble: Ensemble
    submission: Submission
    trackers: Trackers
    """Experiment trackers that training logs to ([trackers.md](trackers.md)). Changes never retrain
    a model."""

    def model(self, name: str) -> Model:
        """The model called `name`.

        Raises:
            UserError: if there is none.
        """
        if not name:
            raise UserError(f"no model is given. Set MODEL to one of: {', '.join(self.models)}.")
        if name not in self.models:
            raise UserError(f"params.yaml has no models.{name}{nearest(name, self.models)}")
        return self.models[name]

    def scored_by(self, metric: Metric) -> dict[str, Any]:
        """What data/metric.json contains: it changes if the scores may."""
        has_units = prepare_checks.has_units(self.prepare)
        return metric.facts() | units.facts(self.ensemble.aggregate if has_units else "mean")

    def used_embeddings(self) -> list[str]:
        """The embeddings of the ensemble's members."""
        probes = [self.probes[name] for name in self.ensemble.members if name in self.probes]
        return list(dict.fromkeys(name for probe in probes for name in probe.embeddings))


def validate(
    raw: dict[str, Any], *, source: str = str(params_file.PARAMS), build_models: bool = False
) -> Params:
    """Validate a whole params file; with `build_models` also names and arguments of timm and
    albumentations, files of weights, and what views and losses return.

    Raises:
        UserError: listing each problem with its key, its value and what is allowed.
    """
    params, problems = validation.check(Params, raw)
    sections = {}
    kinds = typing.get_type_hints(Params, include_extras=True)
    for name in Params.model_fields.keys() & raw.keys():
        section, own_problems = validation.check(kinds[name], raw[name])
        if not own_problems:
            sections[name] = section
    problems += checks.problems(sections)
    if build_models:
        neighbors = "predict" in sections and sections["predict"].neighbors is not None
        channels = sections["prepare"].channels if "prepare" in sections else 3
        models, embeddings = (
            sections.get(name) or _buildable(kind, raw.get(name))
            for name, kind in (("models", Model), ("embeddings", Embedding))
        )
        problems += libraries.problems(models, channels=channels, neighbors=neighbors)
        problems += libraries.embedding_problems(embeddings, channels=channels)
        if sections.keys() >= (needs := {"predict", "models", "embeddings", "task", "prepare"}):
            from podium.params import extensions  # imports torch

            problems += extensions.problems(**{name: sections[name] for name in needs})
    if problems:
        raise validation.error(problems, source=source)
    valid: Params = params
    return valid


def _buildable(kind: type[Section], raw: Any) -> dict[str, Any]:
    """The items of an invalid section that can be built all the same: those that are valid, if need
    be without their wrong keys (not if these are required).
    """
    found = {}
    for name, value in raw.items() if isinstance(raw, dict) else ():
        item, problems = validation.check(kind, value)
        if problems and isinstance(value, dict):
            wrong = {re.split(r"[.\[]", key)[0] for key, _ in problems}
            rest = {key: value[key] for key in value if key not in wrong}
            item, problems = validation.check(kind, rest)
        if not problems:
            found[name] = item
    return found


def load(*, build_models: bool = False) -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: see `validate`; with all problems, also those of `build_models`.
    """
    raw = params_file.read(params_file.PARAMS)
    try:
        return validate(raw, build_models=build_models)
    except UserError:
        validate(raw, build_models=True)
        raise
