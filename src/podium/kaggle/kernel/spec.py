"""The specification of an export: everything the kernel needs besides weights and code."""

from pathlib import Path
from typing import Any, Literal

from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import checksums, files
from podium.core.errors import UserError, counted, examples
from podium.core.provenance import Averaging
from podium.core.section import Section
from podium.scoring.decisions import DecisionRule
from podium.submission.methods.base import Blend

SPEC = "podium.json"
EXPORT_HINT = "Export it again (`make kernel`)."


class ExportedFold(Section):
    """The weights of one model and fold, or of a frozen backbone."""

    file: str
    sha256: str
    """Checksum of the file."""


class ExportedModel(Section):
    """One member of the ensemble."""

    name: str
    averaging: Averaging
    """What is averaged over its folds."""
    folds: list[ExportedFold]
    embeddings: list[ExportedFold] | None
    """The backbones of a probe; null for a model that was fine-tuned."""
    neighbors: list[ExportedFold]
    """The features of the training images that vote, of each fold; none without them."""


class KernelSpec(Section):
    """How the kernel turns test images into a submission; nothing is left to be detected there."""

    competition: str
    task: TaskName
    classes: list[str]
    targets: list[dict[str, Any]] | None = None
    """Name, task and classes of each of several targets."""
    metric: str | None
    deterministic: bool
    prepare: Prepare
    detected_range: list[float] | None = None
    """That of the training images with more than 8 bits per channel, if `prepare.value_range` is
    auto."""
    predict: Predict
    submission: Submission
    """With the format that was detected from the sample submission."""
    value_range: list[list[float]] | None
    """The range of submitted numbers, per target."""
    models: list[ExportedModel]
    blend: Blend
    """Of the models, in their order."""
    aggregate: Literal["mean", "max"]
    """How the predictions of images that share a row of the submission are combined."""
    decision: DecisionRule
    public_ids: list[str]
    """The test ids that were predicted before the export, in order."""


def write(path: Path, spec: KernelSpec) -> None:
    """Write `spec` to `path` as JSON with its checksum."""
    files.write_text(path, checksums.sign(spec.model_dump(mode="json"), []) + "\n")


def read(folder: Path) -> KernelSpec:
    """Read the specification in `folder`, and check the weights next to it.

    Raises:
        UserError: if a file is missing or damaged.
    """
    path = folder / SPEC
    data = files.read(path)
    try:
        values, _ = checksums.verify(data, [], path=path)
    except UserError:
        raise UserError(f"{path} is damaged. {EXPORT_HINT}") from None
    spec = KernelSpec.model_validate(values)
    exported = [
        file
        for model in spec.models
        for file in (*model.folds, *(model.embeddings or ()), *model.neighbors)
    ]
    weights = {file.file: file.sha256 for file in exported}
    if missing := [name for name in weights if not (folder / name).is_file()]:
        raise UserError(
            f"{folder}: {counted(len(missing), 'weights file', 'is', of=len(weights))} missing "
            f"({examples(missing)}). {EXPORT_HINT}"
        )
    if damaged := [name for name in weights if files.sha256(folder / name) != weights[name]]:
        raise UserError(
            f"{folder}: {counted(len(damaged), 'weights file', 'has', of=len(weights))} a wrong "
            f"checksum ({examples(damaged)}). {EXPORT_HINT}"
        )
    return spec
