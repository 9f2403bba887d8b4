"""The section `checkpoint` of params.yaml."""

from podium.core.section import Positive, Section


class Checkpoint(Section):
    """How much of a training an interruption may cost: an epoch, or less."""

    every_minutes: Positive
    """A checkpoint is written after each epoch, and within one after so many minutes."""
