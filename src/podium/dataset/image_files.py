"""Find the archive's image files: by id, or all of a folder."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from podium.competition.archive import Archive
from podium.competition.text.names import canonical, is_number, nfc
from podium.core.errors import UserError, counted, examples
from podium.images import decoders

IMAGE_SUFFIXES = decoders.suffixes()
OUTSIDE = re.compile(r"\w+://|/|\.\./|[A-Za-z]:/")  # URLs, paths outside the archive
ARRAY_SUFFIXES = (".npy", ".npz")
OTHER_SUFFIXES = {".csv", ".dng", ".nef", ".cr2", ".arw"}  # raw files start as TIFF files do


def image_names(archive: Archive) -> list[str]:
    """The archive's image files: by their suffixes, which may belong to damaged images; files with
    other suffixes by their first bytes.
    """
    names = {name: PurePosixPath(name).suffix.lower() for name in archive.names}
    return [
        name
        for name, suffix in names.items()
        if suffix in IMAGE_SUFFIXES
        or (
            suffix not in OTHER_SUFFIXES
            and decoders.is_image(archive.head(name, decoders.HEAD_BYTES))
        )
    ]


class ImageIndex:
    """Finds image files by the end of their path, with or without the extension.

    Looking up all ids takes time linear in the number of ids and files.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._by_depth: dict[int, dict[str, list[str]]] = {}

    def find(self, image_id: str) -> list[str]:
        """The files that `image_id` may refer to. If it includes the extension of some of them,
        only those. If there is no file of that name, 7.0 matches 7.jpg, a.jpg matches A.JPG, and a
        URL or a path outside the archive is matched by its end.
        """
        return (
            self.find_exact(image_id)
            or self._numbers.get(_as_number(image_id), [])
            or self._other_case.get(normalize_path(image_id).strip().casefold(), [])
            or self._find_outside(image_id)
        )

    def _find_outside(self, image_id: str) -> list[str]:
        """The files for a URL or a path outside the archive: those that match the longest part of
        its end.
        """
        if not OUTSIDE.match(image_id.strip().replace("\\", "/")):
            return []
        parts = normalize_path(image_id).split("/")
        ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((found for end in ends if (found := self.find_exact(end))), [])

    def find_exact(self, image_id: str) -> list[str]:
        """The files that `image_id` may refer to without reading it in another way."""
        path = normalize_path(image_id)
        matches = self._tails(path.count("/")).get(path, [])
        if not matches and path != path.strip():
            return self.find_exact(path.strip())
        return [name for name in matches if nfc(name).endswith(path)] or matches

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], list[str]]:
        """Files whose names are numbers, by every end of their folders' path, and the number."""
        numbers: dict[tuple[str, str], list[str]] = {}
        for name in self.names:
            *folders, file = nfc(name).split("/")
            if is_number(stem := file.rpartition(".")[0]):
                for start in range(len(folders) + 1):
                    key = "/".join(folders[start:]), canonical(stem)
                    numbers.setdefault(key, []).append(name)
        return numbers

    @cached_property
    def _other_case(self) -> dict[str, list[str]]:
        """Files by every end of their paths, whatever the case."""
        files: dict[str, list[str]] = {}
        for name in self.names:
            parts = nfc(name).casefold().split("/")
            for start in range(len(parts)):
                tail = "/".join(parts[start:])
                for key in {tail, tail.rpartition(".")[0]}:
                    files.setdefault(key, []).append(name)
        return files

    def _tails(self, depth: int) -> dict[str, list[str]]:
        """Files by the last `depth` + 1 parts of their paths, built on first use."""
        if depth not in self._by_depth:
            tails: dict[str, list[str]] = {}
            for name in self.names:
                parts = nfc(name).rsplit("/", depth + 1)[-depth - 1 :]
                if len(parts) == depth + 1:
                    tail = "/".join(parts)
                    for key in {tail, tail.rpartition(".")[0]}:
                        tails.setdefault(key, []).append(name)
            self._by_depth[depth] = tails
        return self._by_depth[depth]


def normalize_path(image_id: str) -> str:
    r"""An id as a path within the archive: "train/cats/1.jpg" for ".\\train\\cats\\1.jpg"."""
    return nfc(image_id).replace("\\", "/").removeprefix("./").strip("/")


def _as_number(image_id: str) -> tuple[str, str]:
    """The folder and the canonical number of an id: train/7.0 -> ("train", "7")."""
    folder, _, stem = normalize_path(image_id).rpartition("/")
    return folder, canonical(stem)


def find_images(names: list[str], ids: list[str], *, folder: str) -> list[str | None]:
    """Find the image file, among `names`, for each image id, None where it is missing: [len(ids)].

    An id is the name or path of a file, with or without its extension, in `folder` or below it. The
    path may start at any folder ("a.jpg", "cats/a", "train/cats/a.jpg").

    Raises:
        UserError: if an id matches several files, or several ids the same file.
    """
    paths = _paths_below(names, folder)
    index = ImageIndex(paths)
    matches: list[str | None] = []
    ambiguous: dict[str, list[str]] = {}
    for image in ids:
        files = index.find(image)
        if len(files) > 1:  # arrays next to images are masks or features
            files = [n for n in files if not n.lower().endswith(ARRAY_SUFFIXES)] or files
        if len(files) > 1:  # the one at exactly that path in the folder, if there is one
            files = [n for n in files if paths[n] == normalize_path(image)] or files
        if len(files) > 1:
            ambiguous[image] = files
        matches.append(files[0] if files else None)
    if ambiguous:
        image, files = next(iter(ambiguous.items()))
        fix = "Set prepare.train_images or prepare.test_images to the folder of one of them."
        if len({name.rpartition("/")[0] for name in files}) == 1:
            fix = "Add the extension to the ids, or keep one of them."
        raise UserError(
            f"{counted(len(ambiguous), 'id', 'matches')} several files, such as {image}: "
            f"{examples(files)}. {fix}"
        )
    _check_distinct(ids, matches)
    return matches


def _check_distinct(ids: Sequence[str], files: Sequence[str | None]) -> None:
    by_file: dict[str, list[str]] = {}
    for image, name in zip(ids, files, strict=True):
        if name is not None:
            by_file.setdefault(name, []).append(image)
    if repeated := {name: images for name, images in by_file.items() if len(images) > 1}:
        name, images = next(iter(repeated.items()))
        raise UserError(
            f"{counted(len(repeated), 'image', 'has')} several ids, such as {name}: "
            f"{examples(images)}. "
            "Spell each id in one way, and keep one row per image."
        )


def images_below(names: list[str], folder: str, *, exclude: str = "") -> dict[str, str]:
    """List the image files `names` in `folder` and below, sorted: their paths in it -> their full
    names. Without those of the folder `exclude`, if that is inside `folder`.

    If all that a folder contains is a folder of the same name (`train.zip` with `train/` in it),
    the inner one is taken.

    Raises:
        UserError: if images in several folders of this name have the same paths.
    """
    folder, exclude = folder.strip("/"), exclude.strip("/")
    excluded = set[str]()
    if exclude and (not folder or exclude.startswith(folder + "/")):
        excluded = set(_paths_below(names, exclude))
    inside = {n: path for n, path in _paths_below(names, folder).items() if n not in excluded}
    by_path = {
        "/".join(name.split("/")[-1 - path.count("/") :]): name  # as written in the archive
        for name, path in inside.items()
    }
    if len(by_path) < len(inside):
        path = Counter(inside.values()).most_common(1)[0][0]
        found = [name for name, other in inside.items() if other == path]
        raise UserError(
            f"the folder {folder} is ambiguous: {path} is in several ({examples(found)}). Set "
            "prepare.train_images and prepare.test_images to full paths."
        )
    repeated = folder.rpartition("/")[2] + "/"
    while by_path and repeated != "/" and all(path.startswith(repeated) for path in by_path):
        by_path = {path.removeprefix(repeated): name for path, name in by_path.items()}
    return dict(sorted(by_path.items()))


def label_in(path: str, pattern: str | None) -> str | None:
    """The label in an image's path below the training folder: what the group of `pattern` matches
    in the file name, or, without a pattern, the first folder; None if there is none.
    """
    *folders, name = path.split("/")
    if pattern is None:
        return folders[0] if folders else None
    match = re.search(pattern, name)
    return match[1] if match else None


def shown(folder: str) -> str:
    """A folder of the archive, for messages."""
    return f"{folder.strip('/')}/" if folder.strip("/") else "the archive"


def _paths_below(names: Sequence[str], folder: str) -> dict[str, str]:
    """The files in `folder`, with their paths in it: at the top of the archive, else anywhere."""
    prefix = f"/{nfc(folder).strip('/')}/" if folder.strip("/") else "/"
    at_top, anywhere = dict[str, str](), dict[str, str]()
    for name in names:
        above, is_inside, path = ("/" + nfc(name)).partition(prefix)
        if is_inside:
            (anywhere if above else at_top)[name] = path
    return at_top or anywhere
