"""Where a competition's files come from, by what a user names as their source."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podium.core import files
from podium.core.errors import UserError

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
KAGGLE = re.compile(r"(?:https?://)?(?:www\.)?kaggle\.com/(?:competitions|c)/([\w-]+).*")


def source_and_slug(source: str, slug: str | None) -> tuple[str, str]:
    """competition.source and competition.slug for what the user names as source.

    Raises:
        UserError: if it is neither a folder or file nor can be a competition's name on Kaggle.
    """
    if slug is not None and not SLUG.fullmatch(slug):
        raise UserError(f"--slug {slug}: letters, digits, - and _ only, a letter or digit first")
    path = Path(source).expanduser()
    if path.exists():
        return source, slug or _slug_of(path)
    if source == "builtin":
        return source, slug or "digits"
    name = KAGGLE.sub(r"\1", source)
    if not SLUG.fullmatch(name):
        raise UserError(
            f"{source}: there is no such folder or zip, and no competition on Kaggle is called so"
        )
    return "kaggle", slug or name


@contextmanager
def beside(folder: Path, slug: str) -> Iterator[Path]:
    """Where to put a competition's files: `folder` where that has those of `slug`, else beside it,
    to become `folder` if the block succeeds. So another competition's stay until this one fits; and
    those beside it stay too, to go on from.
    """
    if not folder.exists() or (folder / f"{slug}.zip").exists():
        yield folder
        return
    new = folder.with_name(f"{folder.name}.new")
    yield new
    files.remove(folder)
    new.replace(folder)


def _slug_of(path: Path) -> str:
    """A folder's or file's name as a slug: "My data (1).zip" -> "My-data-1"."""
    full = path.resolve()
    stem = full.stem if full.is_file() else full.name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "competition"
