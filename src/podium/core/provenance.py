"""Provenance of weights, predictions and the ensemble, typed and as JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from podium.core.errors import UserError
from podium.core.paths import Fold

Averaging = Literal["logits", "probabilities"]  # how views, folds and members are averaged
Targets = list[dict[str, Any]] | None  # several targets: see `Task.targets_json`


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Base class. A provenance is stored in the header of the file that it describes."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON can represent; `targets` only if there are several."""
        return asdict(self, dict_factory=_without_no_targets)

    @classmethod
    def from_json(cls, values: dict[str, Any], *, path: Path) -> Self:
        """Rebuild from the values of `to_json`, read from the file at `path`.

        Raises:
            UserError: if the fields differ, because another version of Podium wrote the file.
        """
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError:
            raise UserError(
                f"{path} was written by another version of Podium. Run `dvc repro`."
            ) from None


@dataclass(frozen=True, kw_only=True)
class TrainingProvenance(Provenance):
    """Everything that determines the weights of one model and fold."""

    task: str
    classes: list[str]
    folds_sha256: str
    images_sha256: str  # checksum of the training images
    config: dict[str, Any]  # the model's section of params.yaml, defaults included
    fold: Fold
    epochs: list[int] | None  # per phase, of a model of all folds; None: the best
    seed: int
    metric: str
    metric_sha256: str | None  # checksum of the code of a user-defined metric
    deterministic: bool
    pretrained_sha256: str | None  # checksum of the file with the initial weights
    pretrained_revision: str | None  # <repo>@<commit> of that file on the Hugging Face hub
    scale: list[float]  # the means of the regression targets, then their standard deviations
    torch: str
    device: str
    micro_batches: int  # per batch
    metadata: list[dict[str, Any]] | None = None  # the columns' encoding; None: no metadata
    channels: int = 3  # of the images
    targets: Targets = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingProvenance(Provenance):
    """Everything that determines the features of one backbone."""

    config: dict[str, Any]  # the embedding's section of params.yaml, defaults included
    images_sha256: str  # checksum of the images
    seed: int | None  # of random weights; None with pretrained ones
    pretrained_sha256: str | None  # see `TrainingProvenance`
    pretrained_revision: str | None
    deterministic: bool
    torch: str
    device: str
    channels: int = 3  # of the images


@dataclass(frozen=True, kw_only=True)
class PredictionProvenance(Provenance):
    """Everything that determines the logits of one model and fold."""

    training: TrainingProvenance
    weights_sha256: str
    predict: dict[str, Any]  # the section of params.yaml, with the views that were used
    images_sha256: str  # checksum of the predicted images
    averaging: Averaging  # see `losses.Loss.averaging`

    @property
    def task(self) -> str:
        return self.training.task

    @property
    def classes(self) -> list[str]:
        return self.training.classes

    @property
    def targets(self) -> Targets:
        return self.training.targets


@dataclass(frozen=True, kw_only=True)
class PseudoProvenance(Provenance):
    """Everything that determines the pseudo-labels for one fold."""

    task: str
    classes: list[str]
    fold: int  # which none of the networks trained on
    folds_sha256: str
    images_sha256: str  # checksum of the test images
    members: dict[str, PredictionProvenance]
    targets: Targets = None


@dataclass(frozen=True, kw_only=True)
class EnsembleProvenance(Provenance):
    """Everything that determines the blended logits, and the rule that turns them into labels."""

    task: str
    classes: list[str]
    blend: dict[str, Any]  # the fields of `submission.methods.base.Blend`
    weights: dict[str, float]  # the blend's, by member
    decision: dict[str, Any]  # the fields of `scoring.decisions.DecisionRule`
    oof: dict[str, float]  # the out-of-fold score, by the metric's name
    members: dict[str, list[PredictionProvenance]]  # one per fold
    targets: Targets = None


def _without_no_targets(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key != "targets" or value is not None}
