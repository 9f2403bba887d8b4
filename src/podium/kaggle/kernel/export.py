"""From a finished project to the two folders that a code competition takes: weights and code."""

import ast
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core import files
from podium.core.errors import UserError, examples
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance
from podium.kaggle.kernel import spec, wheels
from podium.kaggle.kernel.spec import CONFIG, SOURCE, Exported, Fold, Member
from podium.models import weights
from podium.params.schema import Params
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import import_closure, metrics, user_code
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat

DATA, MODELS = Path("data"), Path("models")
SRC = Path(__file__).parents[3]
START = Path(__file__).with_name("start.py")
CODE_FILE = "main.py"
SHORTEST, LONGEST = 6, 50  # characters of a data set's slug and title on Kaggle
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
TITLE = re.compile(r"[A-Za-z0-9 _-]+")  # of which it is sure what slug Kaggle makes


class Names(NamedTuple):
    """What the data set and the kernel are called on Kaggle."""

    owner: str
    title: str
    slug: str

    @property
    def ref(self) -> str:
        """As Kaggle's client names both."""
        return f"{self.owner}/{self.slug}"


def names(competition: str, *, owner: str, title: str | None) -> Names:
    """The names of the export of a competition; `title` None: podium-<competition>, cut to length.

    Raises:
        UserError: if Kaggle does not take the title, or there can be no such owner.
    """
    if not OWNER.fullmatch(owner):
        raise UserError(f"the owner is a name on Kaggle, as in kaggle.com/<name>, not {owner!r}")
    if title is None:
        title = f"podium-{competition}"[:LONGEST].rstrip("-_")
    slug = re.sub("[ _-]+", "-", title.lower()).strip("-")
    if not TITLE.fullmatch(title) or not SHORTEST <= len(slug) <= len(title) <= LONGEST:
        raise UserError(
            f"Kaggle takes titles of {SHORTEST} to {LONGEST} characters, and with them the slug "
            f"that it makes of it: {title!r} has {len(title)} and {slug!r} {len(slug)}; give one "
            "of plain letters, digits, spaces, - and _"
        )
    return Names(owner, title, slug)


def export(params: Params, target: Path, *, called: Names, with_wheels: bool = False) -> Exported:
    """Write `target`/dataset and `target`/kernel, of the project's submission as it is.

    Raises:
        UserError: if the submission is not there or not up to date, or something that it was made
            from is damaged.
    """
    _check_current(params)
    ensemble = predictions.read(DATA / "ensemble" / "test.parquet", EnsembleProvenance)
    with files.atomic(target, size=_size(params)) as folder:
        dataset, kernel = folder / "dataset", folder / "kernel"
        dataset.mkdir(parents=True)
        kernel.mkdir()
        exported = _resolve(params, ensemble, _members(params, ensemble, dataset))
        spec.write(dataset / CONFIG, exported)
        _pack(_sources(params.metric), dataset / f"{SOURCE}.zip")
        if with_wheels:
            wheels.download(Path("requirements.txt"), dataset)
        files.write_text(kernel / CODE_FILE, _code(called, params, dataset / CONFIG))
        write_metadata(folder, called, params.competition.slug)
    return exported


def _check_current(params: Params) -> None:
    """Whether DVC finds nothing of the submission to do again."""
    each = [f"{name}-{fold}" for name in params.ensemble.members for fold in params.folds.run]
    stages = ["prepare", "folds", *(f"{s}@{e}" for s in ("train", "predict") for e in each)]
    command = ["dvc", "status", "--json", *stages, "ensemble", "submission"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        changed = json.loads(done.stdout)
    except ValueError:
        raise UserError(f"`dvc status` failed: {done.stderr.strip()}") from None
    if changed:
        raise UserError(
            f"the submission is not up to date, {len(changed)} stages would run again: "
            f"{examples([*changed])}; `dvc repro` first"
        )


def _size(params: Params) -> int:
    """The bytes of all weights."""
    paths = [_weights(m, fold) for m in params.ensemble.members for fold in params.folds.run]
    return sum(path.stat().st_size for path in paths)


def _weights(member: str, fold: int) -> Path:
    return MODELS / member / f"fold{fold}" / "weights.safetensors"


def _members(
    params: Params, ensemble: Predictions[EnsembleProvenance], dataset: Path
) -> list[Member]:
    """Copy the weights of all members; in the ensemble's order."""
    found = []
    for name in params.ensemble.members:
        folds = []
        by_fold = {fold.training.fold: fold for fold in ensemble.provenance.members[name]}
        for fold in sorted(params.folds.run):  # as the ensemble takes their mean
            path, copy = _weights(name, fold), dataset / f"{name}-fold{fold}.safetensors"
            _, _, sha256 = weights.load(path)  # which finds damage that DVC does not see
            if sha256 != by_fold[fold].weights_sha256:
                raise UserError(f"{path} did not make the ensemble's predictions: `dvc repro`")
            shutil.copyfile(path, copy)
            folds.append(Fold(file=copy.name, sha256=files.sha256(copy)))
        weight, averaging = ensemble.provenance.weights[name], by_fold[fold].averaging
        found.append(Member(name=name, weight=weight, averaging=averaging, folds=folds))
    return found


def _resolve(
    params: Params, ensemble: Predictions[EnsembleProvenance], members: list[Member]
) -> Exported:
    task = Task.of(ensemble.provenance)
    prepared = Manifest(DATA / "prepared.json")
    sample = prepared.csv("sample_submission.csv")
    metric = metrics.get(params.metric, task.name)
    form = SubmissionFormat.detect(sample, task, metric, params.submission)
    told: dict[str, Any] = {"format": form.name}
    if form.name == "top_k":
        told["top"] = form.top
    if form.name in ("labels", "top_k"):
        told["separator"] = form.separator
    return Exported(
        competition=params.competition.slug,
        task=task.name,
        classes=task.classes,
        metric=params.metric,
        deterministic=params.deterministic,
        prepare=with_value_range(params.prepare, prepared.facts["value_range"]),
        predict=params.predict,
        submission=Submission(**told),
        members=members,
        decision=DecisionRule(**ensemble.provenance.decision),
        known=ensemble.ids,
    )


def with_value_range(prepare: Prepare, value_range: list[float] | None) -> Prepare:
    """`prepare` with the range that was detected here: the kernel has no training images."""
    if value_range is None:
        return prepare
    return prepare.model_copy(update={"value_range": value_range})


def _sources(metric: str | None) -> list[Path]:
    """The files of ours that the kernel's code imports, with the user's own metric."""
    found = {*import_closure.closure(START, SRC)} - {START}
    if metric is not None and ":" in metric:
        for file in user_code.source_files(Path(metric.rpartition(":")[0]), Path()):
            found |= {file, *import_closure.closure(file, SRC)}
    return sorted(found)


def _pack(paths: list[Path], target: Path) -> None:
    """An archive of our code: the same bytes each time."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as output:
        for path in paths:
            name = path.relative_to(SRC) if path.is_relative_to(SRC) else path
            info = zipfile.ZipInfo(name.as_posix())
            output.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _code(called: Names, params: Params, config: Path) -> str:
    """The kernel's code: `START` with the names of what it reads."""
    text = START.read_text(encoding="utf-8")
    values = {
        "DATASET": called.ref,
        "COMPETITION": params.competition.slug,
        "CONFIG_SHA256": files.sha256(config),
    }
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and (name := ast.unparse(node.targets[0])) in values:
            lines[node.lineno - 1] = f"{name} = {json.dumps(values.pop(name))}\n"
    assert not values
    return "".join(lines)


def write_metadata(folder: Path, called: Names, competition: str) -> None:
    """Source: the client's docs/datasets_metadata.md and docs/kernels_metadata.md."""
    files.write_json(
        folder / "dataset" / "dataset-metadata.json",
        {"title": called.title, "id": called.ref, "licenses": [{"name": "other"}]},
    )
    files.write_json(
        folder / "kernel" / "kernel-metadata.json",
        {
            "id": called.ref,
            "title": called.title,
            "code_file": CODE_FILE,
            "language": "python",
            "kernel_type": "script",
            "is_private": True,
            "enable_gpu": True,
            "enable_internet": False,
            "dataset_sources": [called.ref],
            "competition_sources": [competition],
            "kernel_sources": [],
            "model_sources": [],
        },
    )
