"""Get a competition's archive: from Kaggle, from a folder or zip, or the built-in one."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

from podium.competition import digits, download, zips
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.core import files
from podium.core.errors import UserError


def fetch(competition: Competition, *, raw: Path, solution: Path) -> bool:
    """Write the archive to `raw`/<slug>.zip and, if the labels of the test images are known, these
    to `solution`/solution.csv. An intact archive is kept.

    Returns:
        False if the archive was kept.

    Raises:
        UserError: if the source is missing or not readable, or Kaggle refuses the download.
    """
    archive, record = raw / f"{competition.slug}.zip", raw / "source.json"
    _fetch_solution(competition, solution)
    is_kept = _is_intact(archive, record, competition.source)
    if not is_kept:
        _check_apart(Path(competition.source).expanduser(), raw)
        with files.atomic(archive, size=_size(competition.source)) as temporary:
            new = temporary
            if competition.source == "kaggle":
                new = _download(competition.slug, raw / "download")
            elif competition.source == "builtin":
                digits.write_archive(temporary)
            else:
                _copy(Path(competition.source).expanduser(), temporary)
            if new == temporary:
                _check_zip(temporary, competition.source)
            # Before the archive has its final name: if killed in between, a download is not lost.
            fingerprint = _fingerprint(new, archive.name)
            files.write_json(record, {"source": competition.source, **fingerprint})
            new.replace(temporary)
    for other in set(raw.iterdir()) - {archive, record}:  # from another source, or unfinished
        files.remove(other)
    return not is_kept


def _download(slug: str, folder: Path) -> Path:
    """Download and check a competition's archive. `folder` survives a failure, so that the next try
    resumes, unless the download is damaged.
    """
    path = download.download(slug, folder)
    try:
        _check_zip(path, f"{slug}.zip from Kaggle")
    except UserError as error:
        files.remove(folder)
        raise UserError(f"{error}. Rerun to download it again") from None
    return path


def _check_apart(source: Path, raw: Path) -> None:
    """Check that neither folder is inside the other: an archive cannot contain itself."""
    if source.exists():
        inner, outer = sorted((source.resolve(), raw.resolve()), key=lambda p: -len(p.parts))
        if inner.is_relative_to(outer):
            raise UserError(
                f"competition.source: {source} overlaps with {raw}, where the archive is written. "
                "Move the competition's files elsewhere"
            )


def _is_intact(archive: Path, record: Path, source: str) -> bool:
    """Whether `archive` is as recorded when it was fetched from `source`.

    A folder or zip of the user's may have changed since: a zip is compared, a folder packed again.
    The built-in competition is always written again: that takes less than a second.
    """
    if source == "builtin" or not (archive.is_file() and record.is_file()):
        return False
    current = {"source": source, **_fingerprint(archive, archive.name)}
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and files.sha256(path) != current["sha256"]):
        return False
    try:
        return bool(files.read_json(record) == current)
    except UserError:
        return False  # the record is damaged


def _fingerprint(archive: Path, name: str) -> dict[str, Any]:
    return {"file": name, "bytes": archive.stat().st_size, "sha256": files.sha256(archive)}


def _fetch_solution(competition: Competition, folder: Path) -> None:
    target = folder / "solution.csv"
    folder.mkdir(parents=True, exist_ok=True)
    files.remove(target)
    if competition.solution is not None:
        source = Path(competition.solution).expanduser()
        if not source.is_file():
            raise UserError(f"competition.solution: file {source} not found")
        with files.atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    elif competition.source == "builtin":
        with files.atomic(target) as temporary:
            digits.write_solution(temporary)


def _size(source: str) -> int | None:
    """The bytes of a local folder or file, None for other sources."""
    path = Path(source).expanduser()
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(p.stat().st_size for p in paths if p.is_file()) or None


def _copy(source: Path, target: Path) -> None:
    """Copy a zip archive, or pack a folder into one: uncompressed, sorted by name."""
    if source.is_file():
        shutil.copyfile(source, target)
    elif source.is_dir():
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as output:
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(path.relative_to(source).as_posix())
                    with path.open("rb") as file, output.open(info, "w", force_zip64=True) as entry:
                        shutil.copyfileobj(file, entry)
    else:
        raise UserError(
            f"competition.source: {source} is neither `builtin`, `kaggle`, nor a folder or file"
        )


def _check_zip(path: Path, source: str) -> None:
    """Check that `path`, and archives in it, can be read to the last byte and unpacked safely."""
    try:
        with zipfile.ZipFile(path) as archive:
            zips.entries(archive, source)
            damaged = archive.testzip()
    except zips.READ_ERRORS as error:
        raise UserError(f"{source} is not a readable zip archive: {error}") from None
    if damaged is not None:
        raise UserError(f"{source} is damaged: checksum mismatch for its entry {damaged}")
    with zips.unpacking(path.with_name("unpacked.tmp")) as scratch:
        Archive(path, scratch, title=source)
