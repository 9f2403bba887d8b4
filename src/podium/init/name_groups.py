"""Images with the same name in several class folders: versions of one picture."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from podium.config.prepare_values import check_pattern
from podium.core.errors import UserError, examples
from podium.dataset.image_files import label_in
from podium.init.folders import is_in
from podium.init.guesses import Guess
from podium.init.path_labels import LabeledFolder
from podium.init.recorder import Recorder
from podium.init.survey import Survey

KEY = "prepare.group_pattern"
SAME_NAME = r"^(.+)\."  # without the extension
MIN_SHARED = 0.9  # of the names, in more than one folder


def read(record: Recorder, labeled: LabeledFolder, survey: Survey, *, are_finer: bool) -> None:
    """Record the pattern of groups in the file names, if class folders have the same ones (not only
    numbers from 1 on, unless the folders are finer than the labels), or if it was given.
    """
    guess = _guess(labeled, survey, are_finer=are_finer and labeled.pattern is None)
    if guess.value is not None or KEY in record.answers:
        record.take(guess)


def _guess(labeled: LabeledFolder, survey: Survey, *, are_finer: bool) -> Guess:
    images = [name for name in survey.images if is_in(name, labeled.folder) or not labeled.folder]
    names = _names(images, labeled)
    distinct = Counter(name for own in names.values() for name in own)
    shared = sum(count > 1 for count in distinct.values())
    found = bool(distinct) and shared >= MIN_SHARED * len(distinct)
    found = found and (are_finer or not _are_numbered(sorted(distinct)))

    def parse(answer: str) -> str | None:
        if answer == "none":
            return None
        try:
            pattern = check_pattern(answer)
        except ValueError as error:
            raise UserError(str(error)) from None
        if wrong := [name for name in images if not label_in(name, pattern)]:
            raise UserError(f"{answer!r} does not match {examples(wrong, 2)}. Fix it.")
        return pattern

    if not found:
        return Guess(KEY, None, "certain", "the class folders have different file names", (), parse)
    where = examples([f"{name}/" for name in names], 3)
    reason = (
        f"{where} have the same file names: versions of one picture, kept within one fold; none if "
        "they have nothing in common"
    )
    return Guess(KEY, SAME_NAME, "likely", reason, (None,), parse)


def _names(images: Sequence[str], labeled: LabeledFolder) -> Mapping[str, set[str]]:
    """The names of each class folder's images, without their extensions."""
    names: dict[str, set[str]] = {name: set() for name in labeled.counts}
    below = f"{labeled.folder}/" if labeled.folder else ""
    for image in images:
        folder, _, rest = image.removeprefix(below).partition("/")
        if folder in names:
            names[folder].add(rest.rpartition("/")[2].rpartition(".")[0])
    return names


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether names are consecutive numbers after the same text: img_1, img_2."""
    parts = [re.fullmatch(r"(.*?)0*(\d+)", name) for name in names]
    numbers = sorted(int(part[2]) for part in parts if part is not None)
    heads = {part[1] for part in parts if part is not None}
    return (
        None not in parts
        and len(heads) == 1
        and numbers == [*range(numbers[0], numbers[0] + len(numbers))]
    )
