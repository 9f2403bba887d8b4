"""The section `ensemble` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from podium.core.section import Section


class Ensemble(Section):
    """Which models make the submission, and how."""

    members: Annotated[list[str], Field(min_length=1)]
    method: Literal["mean", "weighted"] = "mean"
    """Of logits; `weighted`: the weights with the least out-of-fold loss."""
    thresholds: Literal["fitted", "default"] = "fitted"
    """Where the metric takes labels: from which probability, or between which numbers, a label is
    given. `fitted` on the out-of-fold predictions (binary, multilabel, ordinal and regression);
    `default`: 0.5, the likeliest, rounded."""
