"""The channels of the images: how many, and whether they are in separate files."""

from collections.abc import Sequence

from podium.competition.text.names import natural_order
from podium.core.errors import UserError, examples
from podium.init import id_patterns, words
from podium.init.guesses import Guess
from podium.init.recorder import Recorder
from podium.init.survey import ImageStats, Survey

COLORS = ("red", "green", "blue")
# Separate images of one thing, which do not lie on each other: left and right, mammograms, …
VIEWS = (
    *("left", "right", "front", "back", "frontal", "lateral", "top", "bottom", "side", "view"),
    *("l", "r", "cc", "mlo", "ap", "pa"),
)


def read(
    record: Recorder, survey: Survey, stats: ImageStats | None, ids: Sequence[Sequence[str]]
) -> None:
    """The channels of the training images, with `stats`; each of `ids` may have several images."""
    pattern = record.prepare.get("images")
    if stats is not None and stats.grayscale and pattern is not None:
        parts = id_patterns.parts(ids, survey.images, pattern)
        if parts and (stack := record.take(guess_stack(parts))) is not None:
            record.prepare["channels"] = len(stack)
    elif stats is not None and stats.channels not in (1, 3):
        record.take(guess_channels(stats.channels))


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
        reason = f"an id's images {shown} are no channels, by their names"
        return Guess("prepare.stack", None, "guess", reason, (stack,), parse)
    reason = f"each id has a grayscale image {shown}"
    return Guess("prepare.stack", stack, "likely", reason, (None,), parse)


def _place(part: str) -> int:
    name = part.lower()
    return COLORS.index(name) if name in COLORS else len(COLORS)
