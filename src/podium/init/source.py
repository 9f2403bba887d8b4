"""Where a competition's files come from: a folder, a zip or Kaggle."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podium.competition import packed
from podium.core import files
from podium.core.errors import UserError

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
KAGGLE_URL = re.compile(r"(?:https?://)?(?:www\.)?kaggle\.com/(?:competitions|c)/([\w-]+).*")


def source_and_slug(source: str, slug: str | None) -> tuple[str, str]:
    """competition.source and competition.slug for the user's SOURCE.

    Raises:
        UserError: if it is not a folder, a file or a possible Kaggle slug.
    """
    if slug is not None and not SLUG.fullmatch(slug):
        raise UserError(
            f"--slug {slug}: must contain only letters, digits, - and _, and not start with - or "
            "_. Fix it."
        )
    path = Path(source).expanduser()
    if path.exists():
        return source, slug or _slug_of(path)
    if source == "builtin":
        return source, slug or "digits"
    name = KAGGLE_URL.sub(r"\1", source)
    if not SLUG.fullmatch(name):
        raise UserError(
            f"{source}: not a folder, an archive or a Kaggle competition slug. Fix the path or "
            "the name."
        )
    return "kaggle", slug or name


@contextmanager
def staging(folder: Path, slug: str) -> Iterator[Path]:
    """Where to put a competition's files: `folder` if it contains those of `slug`, else a folder
    next to it that replaces `folder` if the block succeeds.

    The previous competition's files stay until this one's layout is understood, and an interrupted
    download can be resumed.
    """
    if not folder.exists() or (folder / f"{slug}.zip").exists():
        yield folder
        return
    new = folder.with_name(f"{folder.name}.new")
    yield new
    files.remove(folder)
    new.replace(folder)


def _slug_of(path: Path) -> str:
    """A slug from a file or folder name: "My-data-1" for "My data (1).zip"."""
    full = path.resolve()
    stem = full.stem if full.is_file() else full.name
    if match := packed.PART.fullmatch(full.name):
        stem = packed.folder(match[1])
    elif full.is_file() and packed.kind(full.name) == packed.TAR:
        stem = packed.folder(full.name)
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "competition"
