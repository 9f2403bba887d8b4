"""Which file of an archive is which image: by id, or by folder."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from podium.competition.archive import composed
from podium.core.errors import UserError, examples

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}


def match_images(names: list[str], ids: list[str], *, folder: str) -> list[str]:
    """The archive's file for each image id: [len(ids)].

    Raises:
        UserError: with the number and the first few of the ids that no file or several files match.
    """
    found = find_images(names, ids, folder=folder)
    missing = [image for image, name in zip(ids, found, strict=True) if name is None]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(ids)} images that the CSV names are not in the archive's "
            f"folder {folder or '(all)'}: {examples(missing)}"
        )
    return [name for name in found if name is not None]


def find_images(names: list[str], ids: list[str], *, folder: str) -> list[str | None]:
    """The archive's file for each image id, None where there is none: [len(ids)].

    An id is a file's name or path, with or without its extension, in `folder` or below it; the
    path may begin anywhere ("a.jpg", "cats/a", "train/cats/a.jpg").

    Raises:
        UserError: with the number and the first few of the ids that several files match.
    """
    by_tail: dict[str, list[str]] = defaultdict(list)
    inside = _in_folder(names, folder)
    for name in inside:
        path = PurePosixPath(composed(name))
        for tail in (*_tails(path), *_tails(path.with_suffix(""))):
            by_tail[tail].append(name)
    matches = [_closest(by_tail, image, inside) for image in ids]
    several = {image: found for image, found in zip(ids, matches, strict=True) if len(found) > 1}
    if several:
        image, found = next(iter(several.items()))
        raise UserError(
            f"{len(several)} ids match several files each, as {image}: {examples(found)}; "
            "name a narrower folder in prepare.train_images or prepare.test_images"
        )
    return [found[0] if found else None for found in matches]


def check_distinct(ids: Sequence[str], found: Sequence[str | None]) -> None:
    """Raises: UserError: if several of `ids` are the same file of those `found` for them."""
    by_file: dict[str, list[str]] = {}
    for image, name in zip(ids, found, strict=True):
        if name is not None:
            by_file.setdefault(name, []).append(image)
    if twice := {name: images for name, images in by_file.items() if len(images) > 1}:
        name, images = next(iter(twice.items()))
        raise UserError(
            f"{len(twice)} images have several ids each, as {name}: {examples(images)}; write "
            "their ids in one way, and keep one row of each"
        )


def images_below(names: list[str], folder: str, *, besides: str = "") -> dict[str, str]:
    """The image files in `folder` and below it, sorted: their paths below it -> their names.
    Those of the folder `besides` are left out, where that lies in `folder`.

    A folder that holds nothing but one of its own name (`train.zip` with `train/` in it) is that.
    """
    folder, besides = folder.strip("/"), besides.strip("/")
    if not besides or (folder and not besides.startswith(folder + "/")):
        other = set[str]()
    else:
        other = set(_in_folder(names, besides))
    found = {
        "/".join(name.split("/")[-1 - path.count("/") :]): name  # as it is written there
        for name, path in _in_folder(names, folder).items()
        if name not in other
    }
    again = folder.rpartition("/")[2] + "/"
    while found and again != "/" and all(path.startswith(again) for path in found):
        found = {path.removeprefix(again): name for path, name in found.items()}
    return dict(sorted(found.items()))


def label_in(path: str, pattern: str | None) -> str | None:
    """The label of the image at `path` below the folder of the training images: what the group of
    `pattern` finds in its name, or the first folder of its path; None if there is none.
    """
    *folders, name = path.split("/")
    if pattern is None:
        return folders[0] if folders else None
    found = re.search(pattern, name)
    return found[1] if found else None


def _in_folder(names: Sequence[str], folder: str) -> dict[str, str]:
    """The image files in `folder`, wherever that lies, and their paths below it."""
    prefix = f"/{composed(folder).strip('/')}/" if folder.strip("/") else "/"
    found = {}
    for name in names:
        _, is_inside, path = ("/" + composed(name)).partition(prefix)
        if is_inside and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
            found[name] = path
    return found


def _tails(path: PurePosixPath) -> Iterator[str]:
    """All that a path can be called: "c", "b/c", "a/b/c"."""
    for start in range(len(path.parts)):
        yield "/".join(path.parts[start:])


def _closest(by_tail: dict[str, list[str]], image: str, inside: dict[str, str]) -> list[str]:
    """The files that `image` can stand for. One that it names whole goes before all others, those
    that it names with their extension before those that it names without.
    """
    wanted = composed(image).replace("\\", "/").removeprefix("./").strip("/")
    found = by_tail.get(wanted) or by_tail.get(wanted.strip(), [])
    if len(found) < 2:
        return found
    whole = [name for name in found if composed(name).endswith(wanted)] or found
    exact = [name for name in whole if inside[name] == wanted]
    return exact if len(exact) == 1 else whole
