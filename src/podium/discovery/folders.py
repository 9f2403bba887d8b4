"""Which folder of the archive holds the training images, and which the test images."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from podium.discovery.guesses import Chooser, Guess, Sureness
from podium.discovery.matching import Cover, Names
from podium.discovery.survey import Survey, look, says
from podium.errors import UserError, examples
from podium.image_files import label_in
from podium.prepare_schema import check_pattern

SPLITS = ("train", "test", "val", "image", "img")
TEST = re.compile(r"(?i)test(s|ing|[_-].*)?")
ASIDE = ("mask", "annot", "segment", "thumb", "depth")
OTHER = {"train": "test", "test": "train"}
NUMBERED = (  # of a class's images
    r"^(.+?)[ ._-]+\(?\d+\)?\.\w+$",  # "cat.0.jpg", "bulldog_12.jpg", "cat (3).jpg"
    r"^(\D+)\d+\.\w+$",  # "cloudy12.jpg"
)


@dataclass(frozen=True)
class Classes:
    """A folder of training images with their labels in their paths."""

    folder: str
    counts: dict[str, int]  # of each class's images
    pattern: str | None = None  # finds the label in a file's name; None: it is a folder's name

    @property
    def why(self) -> str:
        """What tells so."""
        shown = examples([*self.counts], 3)
        if self.pattern is not None:
            return f"its files are named after {len(self.counts)} classes: {shown}"
        return f"its {len(self.counts)} folders are the classes: {shown}"


def choose_folder(
    part: str, ids: list[str], names: Names, survey: Survey, chooser: Chooser
) -> tuple[str, list[str]]:
    """The folder with the images of `part` ("train" or "test"), and some of its images."""
    covers = _leaves(names.covers(ids))
    key, several = f"prepare.{part}_images", len(covers) > 1
    if not covers:
        folders = [folder for folder in survey.folders if says(folder.rpartition("/")[2], part)]
        folder = folders[0] if folders else ""
        return str(chooser.choose(Guess(key, folder, "a guess", "no id names an image"))), []
    for wanted in (lambda f: says(f, part), lambda f: not says(f, OTHER[part], *ASIDE)):
        covers = [cover for cover in covers if wanted(cover.folder)] or covers
    best, why = _largest(covers, survey)
    count = len(set(ids))
    holds = "all ids" if best.ids == count else f"{best.ids} of {count} ids"
    sure: Sureness = "certain" if best.ids == count and not several else "likely"
    if len(covers) > 1:
        sure = "a guess"
    others = tuple(cover.folder for cover in covers if cover is not best)
    guess = Guess(key, best.folder, sure, f"it has images of {holds}{why}", others)
    folder = str(chooser.choose(guess))
    return folder, next(cover.examples for cover in covers if cover.folder == folder)


def choose_unlisted(survey: Survey, train: str, chooser: Chooser) -> str:
    """The folder whose files are the test images, where no table names them.

    Raises:
        UserError: if there is none.
    """
    folders = [f for f in _tops(survey.folders) if f != train and not _is_in(f, train)]
    named = [folder for folder in folders if says(folder.rpartition("/")[2], "test")]
    aside = [f for f in folders if not says(f, "train", "val", *ASIDE) and not _is_in(train, f)]
    found = named or aside
    if not found:
        raise UserError(
            f"no test images: there is no test table, no sample submission, and beside "
            f"{train or 'the training images'} no folder of images; the folders are "
            f"{examples([folder or '(top)' for folder in survey.folders])}"
        )
    sure: Sureness = "likely" if named and len(named) == 1 else "a guess"
    why = "by its name" if named else "the images that are not for training"
    guess = Guess("prepare.test_images", found[0], sure, why, tuple(found[1:]))
    return str(chooser.choose(guess))


def is_test(folder: str) -> bool:
    """Whether a folder is called so."""
    return says(folder, "test") and not says(folder.rpartition("/")[2], "train")


def outside(survey: Survey, folders: Sequence[str]) -> list[str]:
    """The folders of images that lie in none of `folders`."""
    return [
        name
        for name in survey.folders
        if not any(folder in ("", name) or _is_in(name, folder) for folder in folders)
    ]


def class_folders(survey: Survey) -> list[Classes]:
    """The folders with one folder of images a class; those for training first."""
    found: dict[str, dict[str, int]] = {}
    for folder, count in survey.folders.items():
        parts = folder.split("/") if folder else []
        for depth, name in enumerate(parts):
            # Below a class there may be folders too, if what is above says that it is one.
            if depth == len(parts) - 1 or _is_train(parts[:depth]):
                counts = found.setdefault("/".join(parts[:depth]), {})
                counts[name] = counts.get(name, 0) + count
    for parent, counts in found.items():
        found[parent] = {name: n for name, n in counts.items() if not TEST.fullmatch(name)}
    return _for_training_first(
        [Classes(parent, counts) for parent, counts in found.items() if _are_classes([*counts])]
    )


def class_names(survey: Survey, pattern: str | None = None) -> list[Classes]:
    """The folders whose files are named after classes, as `pattern` has it (None: and numbered);
    those for training first.

    Raises:
        UserError: if `pattern` finds no label in any name, or is none.
    """
    try:
        patterns = NUMBERED if pattern is None else (check_pattern(pattern),)
    except ValueError as error:
        raise UserError(str(error)) from None
    files: dict[str, list[str]] = {}
    for path in survey.images:
        folder, _, name = path.rpartition("/")
        files.setdefault(folder, []).append(name)
    above = {parent for folder in files if not is_test(folder) for parent in _parents(folder)}
    found = []
    for folder, names in files.items():
        if is_test(folder) or folder in above:
            continue
        for tried in patterns:
            labels = [label for name in names if (label := label_in(name, tried)) is not None]
            counts = Counter(labels)
            whole = len(labels) == len(names) >= 2 * len(counts) and _are_classes([*counts])
            if whole or (labels and pattern is not None):
                found.append(Classes(folder, dict(sorted(counts.items())), tried))
                break
    if pattern is not None and not found:
        raise UserError(f"{pattern!r} finds no label in the names of images for training")
    return _for_training_first(found)


def _for_training_first(found: Sequence[Classes]) -> list[Classes]:
    def rank(classes: Classes) -> tuple[bool, bool, bool, int]:
        folder = classes.folder
        return (
            not _is_train(folder.split("/")),
            not says(folder, "train"),
            says(folder, "test", "val"),
            -sum(classes.counts.values()),
        )

    return sorted(found, key=rank)


def _is_train(parts: list[str]) -> bool:
    return bool(parts) and says(parts[-1], "train")


def _are_classes(names: list[str]) -> bool:
    """Whether folders can be classes: "bus", "car" and "train" can, "train" and "extra" cannot."""
    return len(names) > 1 and 2 * sum(says(name, *SPLITS) for name in names) < len(names)


def _leaves(covers: list[Cover]) -> list[Cover]:
    """Those that no other one lies in."""
    folders = [cover.folder for cover in covers]
    above = {end for folder in folders for end in _parents(folder)}
    return [cover for cover in covers if cover.folder not in above]


def _parents(folder: str) -> set[str]:
    parts = folder.split("/") if folder else []
    return {"/".join(parts[:end]) for end in range(len(parts))}


def _largest(covers: list[Cover], survey: Survey) -> tuple[Cover, str]:
    """The one with the largest pictures, and how the others differ."""
    if len(covers) == 1:
        return covers[0], ""
    looks = {cover.folder: look(survey.archive, cover.examples) for cover in covers}
    sizes = {f: (found.height, found.width) if found else (0, 0) for f, found in looks.items()}
    best = max(covers, key=lambda cover: sizes[cover.folder][0] * sizes[cover.folder][1])
    shown = [f"{folder or '(top)'} {width} x {height}" for folder, (height, width) in sizes.items()]
    same = len(set(sizes.values())) == 1
    return best, f", as have others{'' if same else '; the largest'}: {examples(shown)}"


def _tops(folders: dict[str, int]) -> list[str]:
    """Folders that hold images, and above them those that are called test."""
    known = dict.fromkeys(folders)
    for folder in folders:
        for parent in sorted(_parents(folder)):
            if says(parent.rpartition("/")[2], "test"):
                known[parent] = None
    return [f for f in known if not any(p in known for p in _parents(f) if p)]


def _is_in(folder: str, outer: str) -> bool:
    return outer != "" and folder.startswith(f"{outer}/")
