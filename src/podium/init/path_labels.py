"""Labels in image paths: folder names or file names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from podium.competition.text.names import normalize
from podium.config.prepare_values import check_pattern
from podium.core.errors import UserError, examples
from podium.dataset.image_files import label_in
from podium.init.folders import AUXILIARY_WORDS, is_in, is_test
from podium.init.goal import NEGATIVE_NAMES
from podium.init.guesses import Confidence, Guess
from podium.init.matching import parents
from podium.init.sample import Sample, are_numbers
from podium.init.survey import Survey
from podium.init.words import has_word

SPLIT_WORDS = ("train", "test", "val", "image", "img")
TEST_FOLDER = re.compile(r"(?i)test(s|ing|[_-].*)?")
ONE_NUMBER = "the submission has one number per image"
NUMBERED_NAMES = (
    r"^(.+?)[ ._-]+\(?\d+\)?\.\w+$",  # "cat.0.jpg", "bulldog_12.jpg", "cat (3).jpg"
    r"^(\D+)\d+\.\w+$",  # "cloudy12.jpg"
)


@dataclass(frozen=True)
class LabeledFolder:
    """A folder of training images whose paths contain their labels."""

    folder: str
    counts: dict[str, int]  # images per class
    pattern: str | None = None  # matches the label in a file name; None: the label is a folder name

    @property
    def reason(self) -> str:
        """Why the names are assumed to be labels."""
        names = examples([*self.counts], 3)
        if self.pattern is not None:
            return f"file names start with {len(self.counts)} labels: {names}"
        return f"has {len(self.counts)} class folders: {names}"


def guess_folder(candidates: Sequence[LabeledFolder], survey: Survey) -> Guess:
    """The folder of the training images, the first of `candidates`.

    Raises:
        UserError: if as many images or more are in other folders that look like classes.
    """
    first, *alternatives = candidates
    others = tuple(candidate.folder for candidate in alternatives)
    confidence: Confidence = "likely" if others or first.pattern is not None else "certain"
    reason = first.reason
    used = sum(first.counts.values())
    if used < 2 * len(first.counts):
        confidence, reason = "guess", f"{reason}, but most have only one image"
    if unused := _unused(first, survey):
        count, shown = sum(unused.values()), examples([f"{folder}/" for folder in unused], 3)
        confidence, reason = (
            "guess",
            f"{reason}, but {count} images in others are not used: {shown}",
        )
        if sum(n for folder, n in unused.items() if _is_as_deep(folder, first)) >= used:
            raise UserError(
                f"{first.folder} {reason}. Which folders are the classes is unclear. Move one "
                "folder per class into one folder, or add a table of image ids and labels"
            )
    return Guess("prepare.train_images", first.folder, confidence, reason, others)


def _unused(labeled: LabeledFolder, survey: Survey) -> dict[str, int]:
    """The numbers of images in other folders near a folder of training images: in the outermost
    folder around it named train, or else next to it; and in others named train next to that one.
    """
    around = [*sorted(parents(labeled.folder), key=len), labeled.folder]
    train = (folder for folder in around if _is_train(folder.split("/")))
    root = next(train, labeled.folder.rpartition("/")[0])
    beside = root.count("/")

    def is_near(folder: str) -> bool:
        if root in ("", folder) or is_in(folder, root):
            return True
        parts = folder.split("/")[: beside + 1]
        return parts[:-1] == root.split("/")[:-1] and _is_train(parts)

    return {
        folder: count
        for folder, count in survey.folders.items()
        if is_near(folder)
        and not (labeled.folder in ("", folder) or is_in(folder, labeled.folder))
        and not has_word(folder, "test", "val", *AUXILIARY_WORDS)
    }


def _is_as_deep(folder: str, labeled: LabeledFolder) -> bool:
    """Whether a folder is as deep as the classes, and below the top or in another train folder:
    another part of them.
    """
    is_below_top = "/" in labeled.folder or _is_train(folder.split("/")[:1])
    return is_below_top and folder.count("/") > labeled.folder.count("/")


def guess_pattern(labeled: LabeledFolder, survey: Survey) -> Guess:
    """The regular expression whose group matches the label in a file name."""

    def parse(answer: str) -> str:
        with_pattern(labeled.folder, answer, survey)
        return answer

    key, reason = "prepare.label_pattern", labeled.reason
    return Guess(key, labeled.pattern, "likely", reason, parse=parse)


def guess_map(labeled: LabeledFolder, sample: Sample | None) -> Guess | None:
    """Which label each of several folders stands for, if one number per image is submitted; None if
    the folders are the classes.
    """
    names = [*labeled.counts]
    if sample is None or not sample.has_scores or are_numbers(names) or len(names) < 3:
        return None

    def parse(answer: str) -> dict[str, str] | None:
        if answer == "none":
            return None
        pairs = [pair.strip().rpartition("=") for pair in answer.split(",")]
        mapping = {folder.strip(): label.strip() for folder, _, label in pairs}
        if {*mapping} != {*names} or not all(mapping.values()):
            raise UserError(f"{answer!r} must give each folder a label: {example}")
        return mapping

    negative = [name for name in names if normalize(name) in NEGATIVE_NAMES]
    zero = negative[0] if len(negative) == 1 else names[0]
    value = {name: str(int(name != zero)) for name in names}
    example = ",".join(f"{name}={label}" for name, label in value.items())
    if negative:
        reason = f"{ONE_NUMBER}: {zero} is 0 by its name, the others 1"
        reason += ". Answer none if each folder is a class"
        return Guess("prepare.label_map", value, "guess", reason, (None,), parse)
    reason = f"{ONE_NUMBER}, but there are {len(names)} folders: if they are finer than the "
    reason += f"labels, answer such as {example}"
    return Guess("prepare.label_map", None, "guess", reason, parse=parse)


def labels_of(labeled: LabeledFolder, label_map: dict[str, str] | None) -> pd.DataFrame:
    """The label of each image, as a table with one column."""
    names = [label_map[name] if label_map else name for name in labeled.counts]
    return pd.DataFrame({"label": np.repeat(names, [*labeled.counts.values()])}, dtype=str)


def with_pattern(folder: str, pattern: str, survey: Survey) -> LabeledFolder:
    """The folder with the labels that `pattern` matches in its file names.

    Raises:
        UserError: if it matches no file name.
    """
    for labeled in named_files(survey, pattern):
        if labeled.folder == folder:
            return labeled
    raise UserError(f"{pattern!r} matches no file name in {folder or 'the top folder'}. Fix it.")


def find_folders(survey: Survey, pattern: str | None, *, has_table: bool) -> list[LabeledFolder]:
    """The folders whose image paths contain labels, training folders first.

    With a `pattern`, only file names are considered; without a table (`has_table`), these too.
    """
    if pattern is not None:
        return named_files(survey, pattern)
    labeled = class_folders(survey)
    if not has_table and all(is_test(candidate.folder) for candidate in labeled):
        return named_files(survey) or labeled
    return labeled


def class_folders(survey: Survey) -> list[LabeledFolder]:
    """The folders with one subfolder of images per class, training folders first."""
    by_parent: dict[str, dict[str, int]] = {}
    for folder, count in survey.folders.items():
        parts = folder.split("/") if folder else []
        for depth, name in enumerate(parts):
            # A class may have subfolders if its parent folder is named "train".
            if depth == len(parts) - 1 or _is_train(parts[:depth]):
                counts = by_parent.setdefault("/".join(parts[:depth]), {})
                counts[name] = counts.get(name, 0) + count
    labeled = []
    for parent, counts in by_parent.items():
        classes = {name: n for name, n in counts.items() if not TEST_FOLDER.fullmatch(name)}
        if _are_classes([*classes]):
            labeled.append(LabeledFolder(parent, classes))
    return _training_first(labeled)


def named_files(survey: Survey, pattern: str | None = None) -> list[LabeledFolder]:
    """The folders whose files are named after their class, training folders first.

    `pattern` matches the label; by default the label is what precedes a number.

    Raises:
        UserError: if `pattern` is invalid or matches no file name.
    """
    try:
        patterns = NUMBERED_NAMES if pattern is None else (check_pattern(pattern),)
    except ValueError as error:
        raise UserError(str(error)) from None
    files: dict[str, list[str]] = {}
    for path in survey.images:
        folder, _, name = path.rpartition("/")
        files.setdefault(folder, []).append(name)
    above = {parent for folder in files if not is_test(folder) for parent in parents(folder)}
    labeled = []
    for folder, names in files.items():
        if is_test(folder) or folder in above:
            continue
        for candidate in patterns:
            labels = [label for name in names if (label := label_in(name, candidate)) is not None]
            counts = Counter(labels)
            is_clear = len(labels) == len(names) >= 2 * len(counts) and _are_classes([*counts])
            if is_clear or (labels and pattern is not None):
                labeled.append(LabeledFolder(folder, dict(sorted(counts.items())), candidate))
                break
    if pattern is not None and not labeled:
        raise UserError(f"{pattern!r} matches no file name of a training image. Fix it.")
    return _training_first(labeled)


def _training_first(labeled: Sequence[LabeledFolder]) -> list[LabeledFolder]:
    def rank(candidate: LabeledFolder) -> tuple[bool, bool, bool, int]:
        folder = candidate.folder
        return (
            not _is_train(folder.split("/")),
            not has_word(folder, "train"),
            has_word(folder, "test", "val"),
            -sum(candidate.counts.values()),
        )

    return sorted(labeled, key=rank)


def _is_train(parts: Sequence[str]) -> bool:
    return bool(parts) and has_word(parts[-1], "train")


def _are_classes(names: Sequence[str]) -> bool:
    """Whether names can be classes: "bus", "car" and "train" can, "train" and "val" cannot."""
    return len(names) > 1 and 2 * sum(has_word(n, *SPLIT_WORDS) for n in names) < len(names)
