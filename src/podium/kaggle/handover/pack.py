"""The archive that Kaggle asks of prize winners: what goes in, and whether it belongs together.

Source: https://www.kaggle.com/WinningModelDocumentationGuidelines, section B.
"""

import hashlib
import json
import shlex
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from podium.core import console, files
from podium.core.errors import UserError, examples
from podium.init import merge
from podium.kaggle.handover import code, commands, readme
from podium.kaggle.handover.commands import Handover

PARAMS, LOCK, RAW = Path("params.yaml"), Path("dvc.lock"), Path("data/raw")
REQUIRED = [PARAMS, LOCK, Path("dvc.yaml"), Path("requirements.txt"), RAW / "source.json"]
REQUIRED += [Path("data/folds.csv"), Path("data/folds.json"), Path("metrics/ensemble.json")]
Content = Path | bytes  # a file's, by its name in the archive


def check(made: Handover) -> dict[str, Any]:
    """The record beside the submission, if submission and weights are those that it speaks of, and
    nothing has changed since.

    Raises:
        UserError: naming what is missing, edited or out of date.
    """
    needed = [made.submission, made.record, *REQUIRED, *made.trained()]
    if missing := [path for path in needed if not path.is_file()]:
        raise UserError(
            f"{len(missing)} files of the submission are missing: {examples(missing)}: "
            "run `dvc repro`"
        )
    record: dict[str, Any] = files.read_json(made.record)
    if files.sha256(made.submission) != record.get("sha256"):
        raise UserError(
            f"{made.submission} is not the one that {made.record} speaks of: `dvc repro` brings "
            "that back"
        )
    if other := [path for path in made.weights() if _md5(path) != _recorded(path, record)]:
        raise UserError(
            f"{len(other)} of {len(made.weights())} weights are not those that "
            f"{made.submission} was made with: {examples(other)}: run `dvc repro`"
        )
    if changed := [name for name in _changed() if name in made.stages()]:
        raise UserError(
            f"{made.submission} is not of the present state: {len(changed)} stages have changed "
            f"since: {examples(changed)}: take the edits back, or run `dvc repro` for another "
            "submission (`dvc status` says more)"
        )
    return record


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _recorded(path: Path, record: dict[str, Any]) -> str | None:
    """The hash of an output when the submission was written."""
    outputs = (stage["outputs"] for stage in record.get("stages", {}).values())
    return next((found[path.as_posix()] for found in outputs if path.as_posix() in found), None)


def _changed() -> list[str]:
    """The stages that `dvc repro` would look at."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"`dvc status` failed: {done.stderr.strip()}")
    return [*json.loads(done.stdout)]


def contents(made: Handover, record: dict[str, Any]) -> dict[str, Content]:
    """What the archive holds, by name.

    Raises:
        UserError: if pretrained weights that a training started from are no longer there.
    """
    found: dict[str, Content] = {}
    for path in code.listing(made.competition):
        # The archive has a README.md of its own.
        found["PODIUM.md" if path == Path("README.md") else path.as_posix()] = path
    for path in (*REQUIRED, *made.trained(), made.submission, made.record):
        found[path.as_posix()] = path
    params = files.read(PARAMS).decode()
    for model, path in _pretrained(made, record).items():
        if path.is_absolute() or ".." in path.parts:
            found[name := f"pretrained/{files.sha256(path)[:12]}/{path.name}"] = path
            params = merge.set_model_key(params, model, "pretrained", name)
        else:
            found[path.as_posix()] = path
    found[PARAMS.as_posix()] = params.encode()
    found["entry_points.md"] = commands.text(made).encode()
    found["SETTINGS.json"] = (json.dumps(commands.SETTINGS, indent=2) + "\n").encode()
    found["README.md"] = _readme(made, record, {})
    structure = "directory_structure.txt"
    found[structure] = commands.directory_structure([*found, structure]).encode()
    return found


def _pretrained(made: Handover, record: dict[str, Any]) -> dict[str, Path]:
    """By model the weights file that its training started from, if it is one."""
    named = {model: config.pretrained for model, config in made.members.items()}
    found = {m: Path(given).expanduser() for m, given in named.items() if isinstance(given, str)}
    for model, path in found.items():
        if not path.is_file() or files.sha256(path) not in record["pretrained"]:
            raise UserError(
                f"models.{model}.pretrained: {path} is not the file any more that the training "
                "started from: put that one back"
            )
    return found


def _readme(made: Handover, record: dict[str, Any], seconds: dict[str, float]) -> bytes:
    """`seconds` is what commands of the entry points took, but for the trainings."""
    with zipfile.ZipFile(RAW / f"{made.slug}.zip") as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
    tops = [name.partition("/")[0] + "/" * ("/" in name) for name in names]
    return readme.render(
        made,
        record,
        seconds={**made.trained_seconds(), **seconds},
        scores=files.read_json(Path("metrics/ensemble.json")),
        raw={top: tops.count(top) for top in sorted(set(tops))},
    ).encode()


def measure(
    made: Handover, record: dict[str, Any], found: dict[str, Content], output: Path
) -> dict[str, Content]:
    """`found` with a README that says how long each command takes from the data to the submission.
    They run in an unpacked copy beside `output`, which goes away again.

    Raises:
        UserError: if a command fails, or another submission comes out.
    """
    folder = output.absolute().with_name(output.name + ".copy")
    files.remove(folder)
    try:
        for name, content in found.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(content, target)
        archive = RAW / f"{made.slug}.zip"
        (folder / archive).symlink_to(archive.absolute())
        (folder / made.submission).unlink()
        seconds = {command: _timed(command, folder) for command in made.prepare() + made.predict()}
        if files.sha256(folder / made.submission) != record["sha256"]:
            raise UserError(
                f"{made.submission} comes out differently from the weights and the data that are "
                f"here: the models were trained on {', '.join(record['devices'])}; measure there"
            )
        return {**found, "README.md": _readme(made, record, seconds)}
    finally:
        files.remove(folder)


def _copy(content: Content, target: Path) -> None:
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copyfile(content, target)


def _timed(command: str, folder: Path) -> float:
    console.say(command)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UserError(f"`{command}` failed in a copy of the archive: {done.stdout.strip()}")
    return time.perf_counter() - start


def write(output: Path, found: dict[str, Content]) -> int:
    """Pack `found` into a zip at `output`: the same content gives the same bytes. Returns its size.

    Raises:
        UserError: if `output` cannot be written.
    """
    if output.is_dir():
        raise UserError(f"--output: {output} is a folder, not a file's name")
    parts = (c if isinstance(c, bytes) else c.stat().st_size for c in found.values())
    size = sum(len(part) if isinstance(part, bytes) else part for part in parts)
    with files.atomic(output, size=size) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(found.items()):
            info = zipfile.ZipInfo(name)  # of 1980
            runs = isinstance(content, Path) and content.stat().st_mode & stat.S_IXUSR
            info.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            if not name.endswith(".safetensors"):  # which gain next to nothing
                info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as entry:
                if isinstance(content, bytes):
                    entry.write(content)
                else:
                    with content.open("rb") as file:
                        shutil.copyfileobj(file, entry)
    return output.stat().st_size
