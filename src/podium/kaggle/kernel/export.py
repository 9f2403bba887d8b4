"""Export a finished project for a code competition: a data set and a kernel."""

import re
import shutil
from pathlib import Path
from typing import Any, Literal, NamedTuple

from podium.config.prepare_values import ColumnKind
from podium.config.submission import Submission
from podium.core import files, paths
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.core.paths import Fold
from podium.core.provenance import EnsembleProvenance
from podium.dataset.submission_file import SubmissionFile
from podium.kaggle import datasets, notebook_files, up_to_date, zip_writer
from podium.kaggle.kernel import probes as kernel_probes
from podium.kaggle.kernel import spec, wheels
from podium.kaggle.kernel.spec import ExportedFold, ExportedModel, KernelSpec
from podium.models import weights
from podium.params.schema import Params
from podium.prediction import knn, predictions
from podium.prediction.predictions import Predictions
from podium.scoring import import_closure, metrics, user_code
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import target_formats, write
from podium.submission.formats import SubmissionFormat
from podium.submission.methods.base import Blend

SRC = Path(__file__).parents[3]
START = Path(__file__).with_name("start.py")
SOURCE = "source.zip"
MIN_TITLE_LENGTH, MAX_TITLE_LENGTH = 6, 50  # characters, on Kaggle
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
TITLE = re.compile(r"[A-Za-z0-9 _-]+")  # Kaggle derives the slug from it


class ExportName(NamedTuple):
    """The name of the data set and of the kernel on Kaggle."""

    owner: str
    title: str
    slug: str

    @classmethod
    def create(cls, competition: str, *, owner: str, title: str | None) -> "ExportName":
        """Derive the slug from the title; the default title is podium-<competition>, truncated.

        Raises:
            UserError: if Kaggle does not allow the title or the owner.
        """
        if not OWNER.fullmatch(owner):
            raise UserError(
                f"{owner!r} is not a valid Kaggle user name. Give the one in kaggle.com/<name>."
            )
        if title is None:
            title = f"podium-{competition}"[:MAX_TITLE_LENGTH].rstrip("-_")
        slug = re.sub("[ _-]+", "-", title.lower()).strip("-")
        is_long_enough = MIN_TITLE_LENGTH <= len(slug) <= len(title) <= MAX_TITLE_LENGTH
        if not TITLE.fullmatch(title) or not is_long_enough:
            raise UserError(
                f"{title!r} is not a valid title (slug {slug!r}). Give one whose title and slug "
                f"have {MIN_TITLE_LENGTH} to {MAX_TITLE_LENGTH} characters: letters, digits, "
                "spaces, - and _."
            )
        return cls(owner, title, slug)

    @property
    def ref(self) -> str:
        """The name as Kaggle's client writes it."""
        return f"{self.owner}/{self.slug}"


def export(params: Params, target: Path, *, name: ExportName, with_wheels: bool = False) -> None:
    """Write `target`/dataset and `target`/kernel for the project's submission.

    Raises:
        UserError: if the submission is missing or out of date, or one of its inputs is damaged.
    """
    up_to_date.check(params)
    blended = predictions.read(paths.ENSEMBLE / "test.parquet", EnsembleProvenance)
    members, of = params.ensemble.members, params.folds.of
    size = sum(paths.weights(m, fold).stat().st_size for m in members for fold in of(m))
    with files.atomic(target, size=size) as folder:
        dataset, kernel = folder / "dataset", folder / "kernel"
        dataset.mkdir(parents=True)
        kernel.mkdir()
        models = [_export_model(model, of(model), blended, dataset) for model in members]
        spec.write(dataset / spec.SPEC, _spec(params, blended, models))
        zip_writer.write(dataset / SOURCE, source_files(params.metric))
        if with_wheels:
            wheels.download(Path("requirements.txt"), dataset)
        constants = {
            "DATASET": name.ref,
            "COMPETITION": params.competition.slug,
            "SPEC_SHA256": files.sha256(dataset / spec.SPEC),
        }
        notebook_files.write_code(kernel, START, constants)
        write_metadata(folder, name, params.competition.slug)


def _export_model(
    name: str, folds: list[Fold], blended: Predictions[EnsembleProvenance], dataset: Path
) -> ExportedModel:
    """Copy the weights of all folds of a model."""
    provenance = {fold.training.fold: fold for fold in blended.provenance.members[name]}
    exported = []
    for fold in folds:
        path = paths.weights(name, fold)
        copy = dataset / f"{paths.fold_name(name, fold).replace('/', '-')}.safetensors"
        _, _, sha256 = weights.read(path)  # detects damage that DVC does not
        if sha256 != provenance[fold].weights_sha256:
            raise UserError(f"{path} is not what the submission was made with. Run `dvc repro`.")
        shutil.copyfile(path, copy)
        exported.append(ExportedFold(file=copy.name, sha256=files.sha256(copy)))
    neighbors = []
    if provenance[folds[0]].predict.get("neighbors"):
        for fold in folds:
            path = paths.neighbors(name, fold)
            copy = dataset / f"{paths.fold_name(name, fold).replace('/', '-')}-{path.name}"
            knn.read(path)  # detects damage
            shutil.copyfile(path, copy)
            neighbors.append(ExportedFold(file=copy.name, sha256=files.sha256(copy)))
    return ExportedModel(
        name=name,
        averaging=provenance[folds[0]].averaging,
        folds=exported,
        embeddings=kernel_probes.export(provenance[folds[0]].training, dataset),
        neighbors=neighbors,
    )


def _spec(
    params: Params, blended: Predictions[EnsembleProvenance], models: list[ExportedModel]
) -> KernelSpec:
    task = Task.of(blended.provenance)
    prepared = Manifest(paths.PREPARED)
    file = SubmissionFile.read(prepared)
    sample = file.wide(prepared.csv("sample_submission.csv"), task.submitted_names)
    metric = metrics.get(params.metric, task.name)
    # The kernel has no training images from which it could detect the range.
    is_detected = params.prepare.value_range == "auto"
    if task.parts:
        formats = target_formats.detect(sample, task, metric, params.submission)
        submission = target_formats.fixed(formats)
    else:
        submission = _fixed(SubmissionFormat.detect(sample, task, metric, params.submission))
    limits = write.value_range(params.submission, prepared)
    return KernelSpec(
        competition=params.competition.slug,
        task=task.name,
        classes=task.classes,
        targets=task.targets_json,
        metric=params.metric,
        deterministic=params.deterministic,
        prepare=params.prepare.model_copy(
            update={"hidden_test": False, "features": _features(prepared)}
        ),
        detected_range=prepared.facts["value_range"] if is_detected else None,
        predict=params.predict,
        submission=submission,
        value_range=None if limits is None else [[*limit] for limit in limits],
        models=models,
        blend=Blend(**blended.provenance.blend),
        aggregate=params.ensemble.aggregate,
        decision=DecisionRule.of(blended.provenance.decision),
        public_ids=prepared.csv("test.csv")["id"].tolist(),
    )


def _fixed(detected: SubmissionFormat) -> Submission:
    """The section `submission` with which nothing is left to be detected."""
    submission: dict[str, Any] = {"format": detected.name}
    if detected.name == "top_k":
        submission["top"] = detected.top
    if detected.name in ("labels", "top_k"):
        submission["separator"] = detected.lists.separator
    return Submission(**submission)


def _features(prepared: Manifest) -> list[dict[str, ColumnKind]] | Literal["none"]:
    """`prepare.features` with the inferred type of each column."""
    return [{name: kind} for name, kind in prepared.facts["features"].items()] or "none"


def source_files(metric: str | None) -> dict[str, zip_writer.Content]:
    """The files that the kernel imports, by name: from src/, and a user-defined metric's."""
    sources = {*import_closure.closure(START, SRC)} - {START}
    custom = set[Path]()
    if metric is not None and user_code.is_user_defined(metric):
        custom = {*user_code.source_files(Path(metric.rpartition(":")[0]), Path())}
        sources |= {path for file in custom for path in import_closure.closure(file, SRC)} - custom
    names = {path.relative_to(SRC).as_posix(): path for path in sources}
    return {**names, **{path.as_posix(): path for path in custom}}


def write_metadata(folder: Path, name: ExportName, competition: str) -> None:
    """Describe the data set and the kernel to Kaggle."""
    datasets.write_metadata(folder / "dataset", name.ref, name.title)
    notebook_files.write_metadata(
        folder / "kernel", name.ref, name.title, datasets=[name.ref], competition=competition
    )
