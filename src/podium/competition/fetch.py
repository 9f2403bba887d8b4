"""Getting a competition's archive: from Kaggle, from a folder or zip, or the embedded one."""

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
    """Put the archive into `raw` as `<slug>.zip`, and the labels of its test images, if there
    are any, into `solution` as solution.csv. An archive that is there and intact is kept.

    Returns:
        False if the archive was there already.

    Raises:
        UserError: if the source is not there, not readable, or refuses.
    """
    archive, record = raw / f"{competition.slug}.zip", raw / "source.json"
    _fetch_solution(competition, solution)
    kept = _is_intact(archive, record, competition.source)
    if not kept:
        _check_apart(Path(competition.source).expanduser(), raw)
        with files.atomic(archive, size=_size(competition.source)) as temporary:
            made = temporary
            if competition.source == "kaggle":
                made = _download(competition.slug, raw / "download")
            elif competition.source == "builtin":
                digits.write_archive(temporary)
            else:
                _copy(Path(competition.source).expanduser(), temporary)
            if made == temporary:
                _check_zip(temporary, competition.source)
            # Before the archive has its name: killed in between, a download is not lost.
            found = {"source": competition.source, **_fingerprint(made, archive.name)}
            files.write_json(record, found)
            made.replace(temporary)
    for other in set(raw.iterdir()) - {archive, record}:  # of the source before, or unfinished
        files.remove(other)
    return not kept


def _download(slug: str, folder: Path) -> Path:
    """A competition's archive from Kaggle, checked; in `folder`, which outlives a failure so that
    the next try goes on, unless what arrived is damaged.
    """
    path = download.download(slug, folder)
    try:
        _check_zip(path, f"{slug}.zip as it came from Kaggle")
    except UserError as error:
        files.remove(folder)
        raise UserError(f"{error}; run it again: it is fetched anew") from None
    return path


def _check_apart(source: Path, raw: Path) -> None:
    """A folder that holds `raw`, or lies in it, cannot be packed into it."""
    if source.exists():
        inner, outer = sorted((source.resolve(), raw.resolve()), key=lambda p: -len(p.parts))
        if inner.is_relative_to(outer):
            raise UserError(
                f"competition.source: {source} and {raw}, where the archive goes, overlap: "
                "put the competition's files elsewhere"
            )


def _is_intact(archive: Path, record: Path, source: str) -> bool:
    """Whether `archive` is what was recorded when it came from `source`.

    A folder or zip of the user's own may have changed since: a zip is compared, a folder packed
    anew. The embedded competition is written anew too: that takes less than a second.
    """
    if source == "builtin" or not (archive.is_file() and record.is_file()):
        return False
    found = {"source": source, **_fingerprint(archive, archive.name)}
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and files.sha256(path) != found["sha256"]):
        return False
    try:
        return bool(files.read_json(record) == found)
    except UserError:
        return False  # a damaged record


def _fingerprint(archive: Path, name: str) -> dict[str, Any]:
    return {"file": name, "bytes": archive.stat().st_size, "sha256": files.sha256(archive)}


def _fetch_solution(competition: Competition, folder: Path) -> None:
    target = folder / "solution.csv"
    folder.mkdir(parents=True, exist_ok=True)
    files.remove(target)
    if competition.solution is not None:
        source = Path(competition.solution).expanduser()
        if not source.is_file():
            raise UserError(f"competition.solution: there is no file {source}")
        with files.atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    elif competition.source == "builtin":
        with files.atomic(target) as temporary:
            digits.write_solution(temporary)


def _size(source: str) -> int | None:
    """The bytes of a folder or file; None for what is not here."""
    path = Path(source).expanduser()
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(p.stat().st_size for p in found if p.is_file()) or None


def _copy(source: Path, target: Path) -> None:
    """Copy a zip archive, or pack a folder into one (uncompressed, in the order of its names)."""
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
    """Whether `path` can be read as a zip from its first byte to its last, and nothing in it harms
    who unpacks it; archives in it likewise.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            zips.entries(archive, source)
            broken = archive.testzip()
    except zips.READ_ERRORS as error:
        raise UserError(f"{source} is not a zip archive that can be read: {error}") from None
    if broken is not None:
        raise UserError(f"{source} is damaged: its entry {broken} has a wrong checksum")
    with zips.unpacking(path.with_name("unpacked.tmp")) as scratch:
        Archive(path, scratch, title=source)
