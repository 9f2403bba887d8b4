"""The channels of the images: how many, and whether they are in separate files."""

from collections.abc import Sequence

from podium.competition.text.names import natural_order
from podium.core.errors import UserError, counted, examples
from podium.init import id_patterns, words
from podium.init.guesses import Guess
from podium.init.recorder import Recorder
from podium.init.survey import Survey

COLORS = ("red", "green", "blue")
# Separate images of one thing, which do not lie on each other: left and right, mammograms, …
VIEWS = (
    *("left", "right", "front", "back", "frontal", "lateral", "top", "bottom", "side", "view"),
    *("l", "r", "cc", "mlo", "ap", "pa"),
)


def read(record: Recorder, survey: Survey, folder: str, ids: Sequence[Sequence[str]] = ()) -> None:
    """The size and the channels of the images in `folder`, of which each of `ids` may have several:
    those of the training table, and of the test images.
    """
    record.layout.image_stats = stats = survey.stats(folder)
    pattern = record.prepare.get("images")
    if stats is not None and stats.grayscale and pattern is not None:
        _read_stack(record, survey, ids, pattern)
    elif stats is not None and stats.channels not in (1, 3):
        record.take(guess_channels(stats.channels))


def _read_stack(
    record: Recorder, survey: Survey, ids: Sequence[Sequence[str]], pattern: str
) -> None:
    parts = id_patterns.parts(ids, survey.images, pattern)
    if parts is None or (stack := record.take(guess_stack(parts))) is None:
        return
    record.prepare["channels"] = len(stack)
    lacking = [id_patterns.incomplete(some, survey.images, pattern, parts) for some in ids]
    if not any(lacking):
        return
    value = "blank" if any(lacking[1:]) else "skip"
    names = [image for some in lacking for image in some]
    lack = counted(len(names), "id", "lacks")
    reason = f"{lack} one of the {len(stack)} images: {examples(names, 3)}"
    key = "prepare.on_bad_image"
    if "on_bad_image" in record.prepare and key not in record.answers:
        record.revise(key, value, reason, "likely")
    elif "on_bad_image" not in record.prepare:
        record.take(Guess(key, value, "likely", reason, ("error",)))


def guess_channels(channels: int) -> Guess:
    """`prepare.channels` for images that are neither grayscale nor RGB."""
    if channels == 4:
        reason = "the fourth channel does not look like transparency"
        return Guess("prepare.channels", 4, "likely", reason, (3,))
    return Guess("prepare.channels", channels, "certain", f"the files have {channels} channels")


def guess_stack(parts: Sequence[str]) -> Guess:
    """`prepare.stack`, if each id has one grayscale image for each of `parts`: the channels of one
    image, unless they are numbers or views.
    """
    stack = sorted(parts, key=lambda part: (_place(part), natural_order(part)))

    def parse(answer: str) -> list[str] | None:
        names = answer.split(",")
        if answer == "none" or sorted(names) == sorted(stack):
            return None if answer == "none" else names
        raise UserError(f"{answer!r} must be none or all of {','.join(stack)}, in any order")

    shown = examples(stack, 3)
    are_views = any(words.has_part(part, VIEWS) for part in stack)
    if are_views or all(part.isdecimal() for part in stack):
        reason = f"an id's images {shown} are not channels, by their names"
        return Guess("prepare.stack", None, "guess", reason, (stack,), parse)
    reason = f"each id has a grayscale image {shown}"
    return Guess("prepare.stack", stack, "likely", reason, (None,), parse)


def _place(part: str) -> int:
    name = part.lower()
    return COLORS.index(name) if name in COLORS else len(COLORS)
