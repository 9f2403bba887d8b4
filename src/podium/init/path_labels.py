"""Labels in the paths of the images: their folders, or their names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from podium.config.prepare import check_pattern
from podium.core.errors import UserError, examples
from podium.dataset.image_files import label_in
from podium.init.folders import is_test, parents
from podium.init.guesses import Chooser, Guess, Sureness
from podium.init.survey import Survey, says

SPLITS = ("train", "test", "val", "image", "img")
TEST = re.compile(r"(?i)test(s|ing|[_-].*)?")
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


def choose_classes(found: list[Classes], survey: Survey, chooser: Chooser) -> Classes:
    """The folder to train on, of those `found`, and where in its files' names the labels stand."""
    first, *rest = found
    others = tuple(other.folder for other in rest)
    sure: Sureness = "likely" if others or first.pattern is not None else "certain"
    why = first.why
    if sum(first.counts.values()) < 2 * len(first.counts):
        sure, why = "a guess", f"{why}; but few have more than one image"
    folder = chooser.choose(Guess("prepare.train_images", first.folder, sure, why, others))
    chosen = next(one for one in found if one.folder == folder)
    return chosen if chosen.pattern is None else _choose_pattern(chosen, survey, chooser)


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
    above = {parent for folder in files if not is_test(folder) for parent in parents(folder)}
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


def _choose_pattern(guessed: Classes, survey: Survey, chooser: Chooser) -> Classes:
    """Where in its files' names the labels of a folder stand."""

    def found(pattern: str) -> Classes:
        of_folder = (one for one in class_names(survey, pattern) if one.folder == guessed.folder)
        if (one := next(of_folder, None)) is None:
            raise UserError(f"{pattern!r} finds no label in the names of {guessed.folder}")
        return one

    def read(answer: str) -> str:
        return str(found(answer).pattern)

    guess = Guess("prepare.label_pattern", guessed.pattern, "likely", guessed.why, read=read)
    return found(chooser.choose(guess))
