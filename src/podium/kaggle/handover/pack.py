"""Pack the archive that Kaggle requires of prize winners.

Source: https://www.kaggle.com/WinningModelDocumentationGuidelines, section B.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from podium.config.models import Model
from podium.core import console, files, params_file, paths
from podium.core.errors import UserError, counted, examples
from podium.init import merge
from podium.kaggle import zip_writer
from podium.kaggle.handover import code, documents
from podium.params.schema import Params

Contents = dict[str, zip_writer.Content]  # by name


def contents(params: Params, seconds: dict[str, float] | None = None) -> Contents:
    """Collect the archive's files by name; `seconds` as in `documents.render`.

    Raises:
        UserError: if a file is missing, or pretrained weights have changed since training.
    """
    entries: Contents = {}
    for path in [*code.list_files(params.competition), *_outputs(params)]:
        entries["PODIUM.md" if path == Path("README.md") else path.as_posix()] = path
    packed = files.read(params_file.PARAMS).decode()
    if params.trackers:  # reviewers have no account for them
        packed = merge.apply(packed, "trackers: []\n")
    for (section, model), path in _pretrained(params).items():
        name = path.as_posix()
        if path.is_absolute() or ".." in path.parts:
            name = f"pretrained/{files.sha256(path)[:12]}/{path.name}"
            packed = merge.set_key(packed, section, model, "pretrained", name)
        entries[name] = path
    if missing := [p for p in entries.values() if isinstance(p, Path) and not p.is_file()]:
        raise UserError(
            f"{counted(len(missing), 'file', 'is')} missing: {examples(missing)}. Restore "
            "what is missing."
        )
    entries[params_file.PARAMS.as_posix()] = packed.encode()
    entries |= documents.render(params, seconds or {})
    structure = "directory_structure.txt"
    return {**entries, structure: directory_structure([*entries, structure]).encode()}


def _outputs(params: Params) -> Iterator[Path]:
    """The files that document the solution or were written by the pipeline."""
    yield from map(Path, ("dvc.yaml", "dvc.lock", "requirements.txt"))
    yield from (paths.METRIC, paths.RAW / "source.json", paths.DATA / "folds.csv", paths.FOLDS)
    for model, fold in documents.list_runs(params):
        weights = paths.weights(model, fold)
        yield weights
        if model in params.models:
            yield weights.with_name("curves.csv")
            yield from _pseudo_labels(params.models[model])
        yield paths.metrics(model, fold)
    yield paths.METRICS / "ensemble.json"
    for suffix in (".csv", ".json"):
        yield paths.SUBMISSIONS / f"{params.competition.slug}{suffix}"


def _pseudo_labels(model: Model) -> list[Path]:
    """The tables that a model trains on in addition."""
    if model.pseudo_labels is None:
        return []
    return sorted(Path(model.pseudo_labels.folder).glob("*.parquet"))


def directory_structure(names: Iterable[str]) -> str:
    """List the folders and files of an archive like `find . | LC_ALL=C sort`."""
    every = {path for name in names for path in (Path(name), *Path(name).parents)} - {Path()}
    return "\n".join([".", *sorted(f"./{path.as_posix()}" for path in every)]) + "\n"


def _pretrained(params: Params) -> dict[tuple[str, str], Path]:
    """The weights file of each model and embedding of the ensemble, unless timm provided it; by
    section of params.yaml and name.
    """
    record = files.read_json(paths.SUBMISSIONS / f"{params.competition.slug}.json")
    weights = {}
    models = [name for name in params.ensemble.members if name in params.models]
    used = {("models", name): params.models[name].pretrained for name in models}
    for name in params.used_embeddings():
        used["embeddings", name] = params.embeddings[name].pretrained
    for (section, name), pretrained in used.items():
        if isinstance(pretrained, str):
            weights[section, name] = path = Path(pretrained).expanduser()
            if not path.is_file() or files.sha256(path) not in record["pretrained"]:
                raise UserError(
                    f"{section}.{name}.pretrained: {path} is missing or has changed since "
                    "training. Restore the original file."
                )
    return weights


def measure(params: Params, output: Path) -> dict[str, float]:
    """Reproduce the submission from the weights in an unpacked copy of the archive, in a temporary
    folder next to `output`, and return the seconds that each command took.

    Raises:
        UserError: if a command fails or the submission differs.
    """
    data = paths.RAW / f"{params.competition.slug}.zip"
    submission = paths.SUBMISSIONS / f"{params.competition.slug}.csv"
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="handover-", dir=output.parent) as scratch:
        copy, archive = Path(scratch, "copy"), Path(scratch, "archive.zip")
        zip_writer.write(archive, contents(params))
        shutil.unpack_archive(archive, copy)
        (copy / data).symlink_to(data.absolute())
        (copy / submission).unlink()
        steps = documents.steps(params)
        seconds = {line: _time(line, copy) for line in steps["prepare"] + steps["predict"]}
        if files.sha256(copy / submission) != files.sha256(submission):
            devices = ", ".join(files.read_json(submission.with_suffix(".json"))["devices"])
            raise UserError(
                f"{submission} was not reproduced from the weights and the data. Rerun on the "
                f"device that the models were trained on ({devices})."
            )
        return seconds


def _time(command: str, folder: Path) -> float:
    console.say(command)
    start = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    if finished.returncode != 0:
        problem = finished.stdout.strip()
        raise UserError(
            f"`{command}` failed in a copy of the archive. Fix this and run it again: {problem}"
        )
    return time.perf_counter() - start
