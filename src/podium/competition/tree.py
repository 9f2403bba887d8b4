"""List the files of a folder, following symbolic links safely."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from podium.competition.entry_names import decode_bytes
from podium.competition.text.names import is_hidden
from podium.core.errors import UserError, examples

MAX_LINKED_FOLDERS = 1_000  # visits of them: links to folders of links multiply


def list_files(folder: Path) -> dict[str, Path]:
    """The files in `folder` and below by their paths in it, sorted; without hidden ones.

    Raises:
        UserError: if a folder cannot be read, or a symbolic link leads outside `folder`, to a
            folder above it, or nowhere.
    """
    walk = _Walk(folder)
    try:
        paths = dict(walk.files(folder, "", (walk.top,)))
    except OSError as error:
        raise UserError(f"{folder}: {error}. Make it readable, or remove it.") from None
    if walk.problems:
        texts = [
            f"{len(links)} links {k} ({examples(links)})" for k, links in walk.problems.items()
        ]
        raise UserError(
            f"{folder}: {'; '.join(texts)}. Replace them by what belongs there (`cp -rL` copies a "
            "folder with the files that its links lead to), or remove them."
        )
    names = decode_bytes([_utf8_or_bytes(path) for path in paths])
    decoded = dict(zip(names, paths.values(), strict=True))
    return {path: decoded[path] for path in sorted(decoded, key=PurePosixPath)}


def _utf8_or_bytes(path: str) -> str | bytes:
    """A path, or its bytes if they are not UTF-8, as after unpacking an old archive."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


class _Walk:
    def __init__(self, folder: Path) -> None:
        self.top = Path(os.path.realpath(folder))
        self.problems = defaultdict[str, list[str]](list)
        self._linked_folders = 0

    def files(self, folder: Path, path: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
        """The files of a folder and those below. `above`: the real paths of it and its parents."""
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not is_hidden(entry.name)]
        for entry in listed:
            real = above[-1] / entry.name
            if entry.is_symlink():
                real = Path(os.path.realpath(entry.path))
                if problem := self._problem(real, above):
                    target = Path(entry.path).readlink()
                    self.problems[problem].append(f"{path}{entry.name} -> {target}")
                    continue
            if entry.is_dir():
                yield from self.files(Path(entry.path), f"{path}{entry.name}/", (*above, real))
            elif entry.is_file():
                yield f"{path}{entry.name}", Path(entry.path)

    def _problem(self, target: Path, above: tuple[Path, ...]) -> str | None:
        """Why a link to `target` is not followed; None if it is."""
        if not target.exists():
            return "lead nowhere"
        if target in above:
            return "form loops"
        if not target.is_relative_to(self.top):
            return "lead outside the folder"
        self._linked_folders += target.is_dir()
        if self._linked_folders > MAX_LINKED_FOLDERS:
            raise UserError(
                f"{self.top}: links lead to folders more than {MAX_LINKED_FOLDERS:,} times. "
                "Replace them by files."
            )
        return None
