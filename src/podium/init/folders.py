"""Which folders of the archive contain the training images and the test images."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from podium.core.errors import UserError, counted, examples
from podium.init.guesses import Confidence, Guess
from podium.init.id_patterns import AUXILIARY_WORDS
from podium.init.matching import matching_folders, parents
from podium.init.survey import Survey
from podium.init.words import has_word

Part = Literal["train", "test"]
OTHER_PART: dict[Part, Part] = {"train": "test", "test": "train"}
ON_BAD_IMAGE = "prepare.on_bad_image"
TRAIN_WORD = re.compile("(?i)train(ing)?")


def guess_folder(
    part: Part, ids: Sequence[str], survey: Survey, *, are_paths: bool = False
) -> Guess:
    """The folder with the images that `ids` identify. `are_paths`: they are the images of ids that
    have several, and ids without images.
    """
    ids = [image for image in ids if image.strip()]
    matches, matched = matching_folders(ids, survey.index)
    above = {parent for folder in matches for parent in parents(folder)}
    innermost = [folder for folder in matches if folder not in above]
    key = f"prepare.{part}_images"
    if not innermost:
        named = [folder for folder in survey.folders if _is_named(folder, part)]
        reason = "no id matches an image file"
        return Guess(key, named[0] if named else "", "guess", reason, tuple(named[1:]))
    best = innermost
    for is_better in (
        lambda folder: has_word(folder, part),
        lambda folder: not has_word(folder, OTHER_PART[part], *AUXILIARY_WORDS),
    ):
        best = [folder for folder in best if is_better(folder)] or best
    value = max(best, key=lambda folder: _area(folder, survey))
    count = len(set(ids))
    images = "all ids" if matched == count else f"all but {counted(count - matched, 'id')}"
    shown = f"contains images for {images}"
    if are_paths and matched < count:
        lacking = counted(count - matched, "id", "has")
        shown = f"contains {counted(matched, 'image')}; {lacking} none"
    reason = f"{shown}{_comparison(best, survey)}"
    confidence: Confidence = "certain" if matched == count and len(innermost) == 1 else "likely"
    if len(best) > 1:
        confidence = "guess"
    others = tuple(folder for folder in best if folder != value)
    return Guess(key, value, confidence, reason, others)


def like_train(guess: Guess, levels: int, train: str) -> Guess:
    """The folder of the test images that is `levels` above a guessed one, since training images are
    that much deeper below their folder, `train`: the public test set of a code competition may have
    the folder of a single patient. The guess itself if there is none next to the training images.
    """
    folder, mirror = guess.value, _mirror(train)
    if folder == mirror or not levels:
        return guess
    for _ in range(levels):
        folder = folder.rpartition("/")[0]
    folder = mirror if is_in(guess.value, mirror) else folder
    if folder in (guess.value, train) or not is_test(folder) or is_in(train, folder):
        return guess
    reason = (
        f"{guess.reason}, all in {guess.value}, but {train} has more folders: in a code "
        "competition, Kaggle adds others when it scores the notebook"
    )
    return replace(guess, value=folder, confidence="likely", reason=reason)


def _mirror(train: str) -> str:
    """The folder that is called like that of the training images, but for test images; "test" if
    that is not called after training.
    """
    parts = train.split("/")
    named = [part for part in parts if TRAIN_WORD.search(part)]
    if not named:
        return "test"
    return "/".join(TRAIN_WORD.sub("test", p) if p == named[-1] else p for p in parts)


def depth(ids: Sequence[str], folder: str, survey: Survey) -> int:
    """How many folders deep the images of `ids` are below `folder`; 0 if this differs."""
    inside = f"{folder}/" if folder else ""
    names = (name for image in ids for name in survey.index.find(image))
    depths = {name.removeprefix(inside).count("/") for name in names if name.startswith(inside)}
    return depths.pop() if len(depths) == 1 else 0


def guess_hidden(
    ids: Sequence[str], train: str, survey: Survey, known: Collection[str] = ()
) -> list[Guess]:
    """That the test images with these `ids` come only when Kaggle scores, and the folder that they
    will be in; nothing if most ids have an image, or none has although a folder is named as one of
    test images. The training images `known` are not test images.
    """
    tests = [folder for folder in survey.folders if is_test(folder)]

    present = sum(any(name not in known for name in survey.index.find(image)) for image in ids)
    if 2 * present > len(ids) or (tests and not present):
        return []
    what = f"only {present}" if present else "none"
    verb = "are" if present > 1 else "is"
    reason = (
        f"{what} of the {counted(len(ids), 'test image')} {verb} in the archive: in a code "
        "competition, Kaggle adds them when it scores the notebook"
    )
    folder = tests[0] if tests else _mirror(train)
    where = "where the exported kernel will look for them"
    return [
        Guess("prepare.hidden_test", True, "likely", reason, (False,)),
        Guess("prepare.test_images", folder, "guess", where, parse=str),
    ]


def guess_unlisted(survey: Survey, train: str, classes: Collection[str] = ()) -> Guess:
    """The folder of the test images if no table lists them; `train` contains the training images,
    or folders of them, which are `classes`.

    Raises:
        UserError: if there is none.
    """
    known = {train, *(f"{train}/{name}".lstrip("/") for name in classes)}
    folders = [f for f in _top_folders(survey.folders) if f not in known and not is_in(f, train)]
    named = [folder for folder in folders if _is_named(folder, "test")]
    candidates = named or [
        folder
        for folder in folders
        if not has_word(folder, "train", "val", *AUXILIARY_WORDS) and not is_in(train, folder)
    ]
    if not candidates:
        raise UserError(
            "no test images found: no test table, no sample submission, and no image folder "
            f"other than {train or 'that of the training images'} (image folders: "
            f"{examples([folder or '(top)' for folder in survey.folders])}). Add a folder "
            "called test. Podium predicts labels of test images: it does not generate images."
        )
    confidence: Confidence = "likely" if len(named) == 1 else "guess"
    reason = "by its name" if named else "contains images that are not training images"
    return Guess("prepare.test_images", candidates[0], confidence, reason, tuple(candidates[1:]))


def guess_more(
    folder: str, counts: Mapping[str, int], others: Mapping[str, Mapping[str, int]]
) -> Guess | None:
    """The folders of labeled validation images, which can also be trained on; None if none exist.

    Args:
        folder: the folder of the training images.
        counts: its number of images per class.
        others: the same for other folders with class folders.
    """
    found = [
        name
        for name, classes in others.items()
        if name.rpartition("/")[0] == folder.rpartition("/")[0]
        and has_word(name.rpartition("/")[2], "val")
        and {*classes} <= {*counts}
    ]
    if not found or not folder:
        return None
    images = sum(sum(others[name].values()) for name in found)
    reason = (
        f"{counted(images, 'labeled validation image')} of the same classes: used as "
        "further training images "
        "in all folds"
    )

    def parse(answer: str) -> list[str]:
        names = [] if answer == "none" else [name.strip() for name in answer.split(",")]
        if unknown := [name for name in names if name not in others]:
            raise UserError(f"{examples(unknown)}: not a folder with class folders. Choose none.")
        return names

    return Guess("prepare.more_train_images", found, "guess", reason, (None,), parse)


def missing(ids: Sequence[str], folder: str, survey: Survey) -> list[str]:
    """Those of `ids` that have no image in `folder`, except empty ones."""
    inside = f"{folder}/" if folder else ""
    find = survey.index.find
    return [i for i in ids if i.strip() and not any(name.startswith(inside) for name in find(i))]


def is_test(folder: str) -> bool:
    """Whether a folder's name says that it contains test images."""
    return has_word(folder, "test") and not has_word(folder.rpartition("/")[2], "train")


def outside(survey: Survey, folders: Sequence[str]) -> list[str]:
    """The image folders that are neither `folders` nor inside them."""
    return [
        name
        for name in survey.folders
        if not any(folder in ("", name) or is_in(name, folder) for folder in folders)
    ]


def is_in(folder: str, outer: str) -> bool:
    """Whether a folder is inside `outer`, which is not the top of the archive."""
    return outer != "" and folder.startswith(f"{outer}/")


def _is_named(folder: str, part: Part) -> bool:
    return has_word(folder.rpartition("/")[2], part)


def _area(folder: str, survey: Survey) -> int:
    stats = survey.stats(folder)
    return stats.height * stats.width if stats else 0


def _comparison(folders: Sequence[str], survey: Survey) -> str:
    """How the images of several folders differ in size."""
    if len(folders) == 1:
        return ""
    stats = {folder: survey.stats(folder) for folder in folders}
    sizes = {f: f"{s.width} x {s.height}" if s else "unknown" for f, s in stats.items()}
    shown = examples([f"{folder or '(top)'} {size}" for folder, size in sizes.items()])
    largest = "; this one has the largest" if len(set(sizes.values())) > 1 else ""
    return f", and so do other folders{largest}: {shown}"


def _top_folders(folders: Iterable[str]) -> list[str]:
    """The outermost folders that contain images or have "test" in their name."""
    candidates = dict.fromkeys(folders)
    for folder in folders:
        for parent in sorted(parents(folder)):
            if _is_named(parent, "test"):
                candidates[parent] = None
    return [f for f in candidates if not (parents(f) - {""}) & candidates.keys()]
