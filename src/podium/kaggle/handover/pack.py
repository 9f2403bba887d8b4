"""Pack the archive that Kaggle requires of prize winners.

Source: https://www.kaggle.com/WinningModelDocumentationGuidelines, section B.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from podium.core import console, files, params_file, paths
from podium.core.errors import UserError, examples
from podium.init import merge
from podium.kaggle import zip_writer
from podium.kaggle.handover import code, readme
from podium.kaggle.handover.solution import Solution

SETTINGS = {
    "RAW_DATA_DIR": paths.RAW,
    "CLEAN_DATA_DIR": paths.DATA,
    "TRAIN_DATA_CLEAN_PATH": paths.IMAGES / "train",
    "TEST_DATA_CLEAN_PATH": paths.IMAGES / "test",
    "FOLDS_PATH": paths.DATA / "folds.csv",
    "CHECKPOINT_DIR": paths.CHECKPOINTS,
    "MODEL_DIR": paths.MODELS,
    "METRICS_DIR": paths.METRICS,
    "PREDICTIONS_DIR": paths.PREDICTIONS,
    "ENSEMBLE_DIR": paths.ENSEMBLE,
    "SUBMISSION_DIR": paths.SUBMISSIONS,
}
INCLUDED = [Path("dvc.yaml"), Path("dvc.lock"), Path("requirements.txt")]
INCLUDED += [paths.RAW / "source.json", SETTINGS["FOLDS_PATH"], paths.FOLDS]
INCLUDED += [paths.METRICS / "ensemble.json"]
Contents = dict[str, zip_writer.Content]  # by name


def contents(solution: Solution, seconds: dict[str, float] | None = None) -> Contents:
    """Collect the archive's files by name; `seconds` as in `readme.render_readme`.

    Raises:
        UserError: if a file is missing, or pretrained weights have changed since training.
    """
    entries: Contents = {}
    for path in [*code.list_files(solution.competition), *INCLUDED, *solution.outputs()]:
        entries["PODIUM.md" if path == Path("README.md") else path.as_posix()] = path
    params = files.read(params_file.PARAMS).decode()
    for model, path in _pretrained(solution).items():
        name = path.as_posix()
        if path.is_absolute() or ".." in path.parts:
            name = f"pretrained/{files.sha256(path)[:12]}/{path.name}"
            params = merge.set_model_key(params, model, "pretrained", name)
        entries[name] = path
    if missing := [p for p in entries.values() if isinstance(p, Path) and not p.is_file()]:
        raise UserError(f"{len(missing)} files are missing: {examples(missing)}. Restore them.")
    settings = {name: path.as_posix() for name, path in SETTINGS.items()}
    entries |= {
        params_file.PARAMS.as_posix(): params.encode(),
        "SETTINGS.json": (json.dumps(settings, indent=2) + "\n").encode(),
        "entry_points.md": readme.render("entry_points.md.j2", solution),
        "README.md": readme.render_readme(solution, seconds or {}),
    }
    structure = "directory_structure.txt"
    return {**entries, structure: directory_structure([*entries, structure]).encode()}


def directory_structure(names: Iterable[str]) -> str:
    """List the folders and files of an archive like `find . | LC_ALL=C sort`."""
    every = {path for name in names for path in (Path(name), *Path(name).parents)} - {Path()}
    return "\n".join([".", *sorted(f"./{path.as_posix()}" for path in every)]) + "\n"


def _pretrained(solution: Solution) -> dict[str, Path]:
    """The weights file that each model's training started from, unless timm provided it."""
    recorded = files.read_json(solution.record)["pretrained"]
    weights = {
        name: Path(model.pretrained).expanduser()
        for name, model in solution.models.items()
        if isinstance(model.pretrained, str)
    }
    for name, path in weights.items():
        if not path.is_file() or files.sha256(path) not in recorded:
            raise UserError(
                f"models.{name}.pretrained: {path} is missing or has changed since training. "
                "Restore the original file."
            )
    return weights


def measure(solution: Solution, output: Path) -> dict[str, float]:
    """Reproduce the submission from the weights in an unpacked copy of the archive, in a temporary
    folder next to `output`, and return the seconds that each command took.

    Raises:
        UserError: if a command fails or the submission differs.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="handover-", dir=output.parent) as scratch:
        copy, archive = Path(scratch, "copy"), Path(scratch, "archive.zip")
        zip_writer.write(archive, contents(solution))
        shutil.unpack_archive(archive, copy)
        (copy / solution.archive).symlink_to(solution.archive.absolute())
        (copy / solution.submission).unlink()
        steps = solution.steps()
        seconds = {line: _time(line, copy) for line in steps["prepare"] + steps["predict"]}
        if files.sha256(copy / solution.submission) != files.sha256(solution.submission):
            devices = ", ".join(files.read_json(solution.record)["devices"])
            raise UserError(
                f"{solution.submission} was not reproduced from the weights and the data. Measure "
                f"on the device that the models were trained on ({devices})."
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
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise UserError(f"`{command}` failed in a copy of the archive: {finished.stdout.strip()}")
    return time.perf_counter() - start
