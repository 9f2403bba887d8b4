"""Fetch a competition's archive from Kaggle, a folder or a zip, or write the built-in one."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

from podium.competition import digits, download, packed, zips
from podium.competition.archive import Archive
from podium.competition.source import Source
from podium.competition.tree import list_files
from podium.config.competition import Competition
from podium.core import files
from podium.core.errors import UserError


def fetch(competition: Competition, *, raw: Path, solution: Path) -> bool:
    """Write the archive to `raw`/<slug>.zip and the test labels, if known, to
    `solution`/solution.csv.

    Returns False if the archive was there already, intact.

    Raises:
        UserError: if the source is missing or not readable, or the download fails.
    """
    source, slug = competition.source, competition.slug
    local = Path(source).expanduser()
    archive, record = raw / f"{slug}.zip", raw / "source.json"
    _fetch_solution(competition, solution)
    is_new = not _is_intact(archive, record, source)
    if is_new:
        with files.atomic(archive, size=_size(local)) as temporary:
            new = temporary
            if source == "kaggle":
                new = _download(slug, raw / "download")
            elif source == "builtin":
                digits.write_archive(temporary)
            else:
                _copy(local, temporary, raw)
                _check_zip(temporary, source, zips.REPLACE)
            # Before the archive has its final name: if killed in between, a download is not lost.
            files.write_json(record, _record(source, new, archive.name))
            new.replace(temporary)
    for other in set(raw.iterdir()) - {archive, record}:  # from another source, or unfinished
        files.remove(other)
    # DVC would warn about an empty folder.
    files.write_json(solution / "known.json", (solution / "solution.csv").exists())
    return is_new


def _download(slug: str, folder: Path) -> Path:
    """Download and check a competition's archive. After a failure, `folder` is kept for resuming
    unless the download is damaged.
    """
    path = download.download(slug, folder)
    try:
        _check_zip(path, f"{slug}.zip from Kaggle", "Rerun to download it again.")
    except UserError:
        files.remove(folder)
        raise
    return path


def _is_intact(archive: Path, record: Path, source: str) -> bool:
    """Whether `archive` is as recorded when it was fetched from `source`.

    A local source may have changed: a zip is compared, a folder is always packed again, as the
    built-in competition is always written again, which takes less than a second.
    """
    if source == "builtin" or not (archive.is_file() and record.is_file()):
        return False
    current = _record(source, archive, archive.name)
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and files.sha256(path) != current["sha256"]):
        return False
    try:
        return bool(files.read_json(record) == current)
    except UserError:
        return False  # the record is damaged


def _record(source: str, archive: Path, name: str) -> dict[str, Any]:
    size, sha256 = archive.stat().st_size, files.sha256(archive)
    return {"source": source, "file": name, "bytes": size, "sha256": sha256}


def _fetch_solution(competition: Competition, folder: Path) -> None:
    target = folder / "solution.csv"
    folder.mkdir(parents=True, exist_ok=True)
    files.remove(target)
    if competition.solution is not None:
        source = Path(competition.solution).expanduser()
        if not source.is_file():
            raise UserError(f"competition.solution: file {source} not found. Fix the path.")
        with files.atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    elif competition.source == "builtin":
        digits.write_solution(target)


def _size(path: Path) -> int | None:
    """The size of a file or folder in bytes; None if there is none."""
    paths = list_files(path).values() if path.is_dir() else [path]
    return sum(p.stat().st_size for p in paths if p.is_file()) or None


def _copy(source: Path, target: Path, raw: Path) -> None:
    """Copy a zip archive, or pack a folder into one: uncompressed, sorted by name."""
    inner, outer = sorted((source.resolve(), raw.resolve()), key=lambda p: -len(p.parts))
    if source.exists() and inner.is_relative_to(outer):  # an archive cannot contain itself
        raise UserError(
            f"competition.source: {source} overlaps with {raw}, where the archive is written. "
            "Move the competition's files elsewhere."
        )
    if source.is_file():
        _copy_archive(source, target)
    elif source.is_dir():
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as output:
            for name, path in list_files(source).items():
                info = zipfile.ZipInfo(name)
                with path.open("rb") as file, output.open(info, "w", force_zip64=True) as entry:
                    shutil.copyfileobj(file, entry)
    else:
        is_copy = "/.dvc/tmp/exps/" in Path.cwd().as_posix()  # of `dvc exp run --temp` or --queue
        hint = " This is a copy of what git tracks: use an absolute path." if is_copy else ""
        raise UserError(
            f"competition.source: {source} is neither `builtin`, `kaggle`, nor a folder or file. "
            f"Fix the path.{hint}"
        )


def _copy_archive(source: Path, target: Path) -> None:
    """Copy a zip archive, join its parts, or repack another kind of archive."""
    name, parts = source.name, [source]
    if match := packed.PART.fullmatch(name):
        names = [p.name for p in source.parent.iterdir() if p.name.startswith(match[1])]
        name = match[1]
        parts = [source.with_name(part) for part in packed.group(names)[name]]
    kind = packed.kind(name)
    if len(parts) == 1 and kind in (None, packed.ZIP):
        shutil.copyfile(source, target)
        return
    with zips.unpacking(target.with_name("joined.tmp")) as scratch:
        sources = [Source.of(part) for part in parts]
        joined = packed.join(sources, scratch) if len(sources) > 1 else sources[0]
        if kind == packed.ZIP:
            joined.path.replace(target)
        else:
            packed.repack(joined, name, target, str(source))


def _check_zip(path: Path, source: str, fix: str) -> None:
    """Check that the archive at `path` is completely readable, and that it and archives inside it
    are safe to unpack. `fix` says what to do about a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            zips.entries(archive, source)
            damaged = archive.testzip()
    except zips.READ_ERRORS as error:
        raise UserError(f"{source} is not a readable zip archive: {error}. {fix}") from None
    if damaged is not None:
        raise UserError(f"{source} is damaged: checksum mismatch for {damaged}. {fix}")
    with zips.unpacking(path.with_name("unpacked.tmp")) as scratch:
        Archive(path, scratch, title=source, used=())
