"""Which folders of the archive contain the training images and the test images."""

from collections.abc import Sequence
from typing import Literal

from podium.core.errors import UserError, examples
from podium.init.guesses import Confidence, Guess
from podium.init.matching import FolderMatch, matching_folders, missing_images
from podium.init.survey import Survey, has_word

Part = Literal["train", "test"]
OTHER_PART: dict[Part, Part] = {"train": "test", "test": "train"}
AUXILIARY_WORDS = ("mask", "annot", "segment", "thumb", "depth")


def guess_folder(part: Part, ids: Sequence[str], survey: Survey) -> Guess:
    """The folder with the images that `ids` identify."""
    matches = _innermost(matching_folders(ids, survey.index))
    key = f"prepare.{part}_images"
    if not matches:
        named = [folder for folder in survey.folders if _is_named(folder, part)]
        reason = "no id identifies an image"
        return Guess(key, named[0] if named else "", "guess", reason, tuple(named[1:]))
    is_only = len(matches) == 1
    for is_better in (
        lambda folder: has_word(folder, part),
        lambda folder: not has_word(folder, OTHER_PART[part], *AUXILIARY_WORDS),
    ):
        matches = [match for match in matches if is_better(match.folder)] or matches
    best = max(matches, key=lambda match: _area(match.folder, survey))
    count = len(set(ids))
    images = "all ids" if best.ids == count else f"{best.ids} of {count} ids"
    reason = f"contains images for {images}{_comparison(matches, survey)}"
    confidence: Confidence = "certain" if best.ids == count and is_only else "likely"
    if len(matches) > 1:
        confidence = "guess"
    others = tuple(match.folder for match in matches if match is not best)
    return Guess(key, best.folder, confidence, reason, others)


def guess_unlisted(survey: Survey, train: str) -> Guess:
    """The folder of the test images if no table lists them; `train` is that of the training images.

    Raises:
        UserError: if there is none.
    """
    folders = [f for f in _top_folders(survey.folders) if f != train and not is_in(f, train)]
    named = [folder for folder in folders if _is_named(folder, "test")]
    candidates = named or [
        folder
        for folder in folders
        if not has_word(folder, "train", "val", *AUXILIARY_WORDS) and not is_in(train, folder)
    ]
    if not candidates:
        raise UserError(
            "no test images: there is no test table, no sample submission, and no image folder "
            f"besides {train or 'the training images'} (image folders: "
            f"{examples([folder or '(top)' for folder in survey.folders])})"
        )
    confidence: Confidence = "likely" if len(named) == 1 else "guess"
    reason = "by its name" if named else "contains images that are not training images"
    return Guess("prepare.test_images", candidates[0], confidence, reason, tuple(candidates[1:]))


def guess_missing(ids: Sequence[str], folder: str, survey: Survey) -> Guess | None:
    """What to do about training images that are not in their folder; None if all are."""
    missing = missing_images(ids, folder, survey.index)
    if not missing:
        return None
    reason = f"{len(missing)} training images are missing: {examples(missing, 3)}"
    return Guess("prepare.on_bad_image", "skip", "guess", reason, ("error", "blank"))


def is_test(folder: str) -> bool:
    """Whether a folder is, by its name, one of test images."""
    return has_word(folder, "test") and not has_word(folder.rpartition("/")[2], "train")


def outside(survey: Survey, folders: Sequence[str]) -> list[str]:
    """The image folders that are neither `folders` nor inside them."""
    return [
        name
        for name in survey.folders
        if not any(folder in ("", name) or is_in(name, folder) for folder in folders)
    ]


def parents(folder: str) -> set[str]:
    """The folders above one, including "", the top of the archive."""
    parts = folder.split("/") if folder else []
    return {"/".join(parts[:end]) for end in range(len(parts))}


def is_in(folder: str, outer: str) -> bool:
    """Whether a folder is inside `outer`, which is not the top of the archive."""
    return outer != "" and folder.startswith(f"{outer}/")


def _is_named(folder: str, part: Part) -> bool:
    return has_word(folder.rpartition("/")[2], part)


def _innermost(matches: Sequence[FolderMatch]) -> list[FolderMatch]:
    """Those that contain no other one."""
    above = {parent for match in matches for parent in parents(match.folder)}
    return [match for match in matches if match.folder not in above]


def _area(folder: str, survey: Survey) -> int:
    stats = survey.stats(folder)
    return stats.height * stats.width if stats else 0


def _comparison(matches: Sequence[FolderMatch], survey: Survey) -> str:
    """How the images of several folders differ in size."""
    if len(matches) == 1:
        return ""
    stats = {match.folder: survey.stats(match.folder) for match in matches}
    sizes = {f: f"{s.width} x {s.height}" if s else "unknown" for f, s in stats.items()}
    shown = examples([f"{folder or '(top)'} {size}" for folder, size in sizes.items()])
    largest = "; it has the largest" if len(set(sizes.values())) > 1 else ""
    return f", as do others{largest}: {shown}"


def _top_folders(folders: Sequence[str] | dict[str, int]) -> list[str]:
    """The outermost folders that contain images, or are named after the test."""
    candidates = dict.fromkeys(folders)
    for folder in folders:
        for parent in sorted(parents(folder)):
            if _is_named(parent, "test"):
                candidates[parent] = None
    return [
        f for f in candidates if not any(parent in candidates for parent in parents(f) if parent)
    ]
