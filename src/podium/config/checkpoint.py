"""The section `checkpoint` of params.yaml."""

from podium.core.section import Positive, Section


class Checkpoint(Section):
    """Checkpoints, from which an interrupted training run resumes."""

    every_minutes: Positive
    """Minutes between checkpoints within an epoch. One is also written after each epoch. Changing
    it never retrains a model."""
