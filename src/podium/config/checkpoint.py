"""The section `checkpoint` of params.yaml."""

from podium.core.section import Positive, Section


class Checkpoint(Section):
    """Checkpoints, from which an interrupted training run resumes."""

    every_minutes: Positive
    """Minutes between checkpoints. One is also written after each epoch; if it is larger than 64
    MiB, only if that takes less than 5 % of the time. Changing it never retrains a model."""
