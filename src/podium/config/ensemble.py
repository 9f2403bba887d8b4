"""The section `ensemble` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from podium.core.section import Section, Unique, require


class Ensemble(Section):
    """Which models are blended, and how."""

    members: Annotated[list[str], Field(min_length=1), Unique]
    """Names in `models` and `probes`."""
    method: str = "mean"
    """How the models' predictions are blended. `mean`: equal weights. `weighted`: the weights that
    minimize the out-of-fold loss. `rank`: the mean of the images' ranks, for metrics that look only
    at their order (`roc_auc`, `average_precision`). `greedy`: models are selected one after the
    other, also repeatedly, by the metric. `stack`: logistic regression on the models' logits; ridge
    regression for `task: regression`. `stack_lightgbm`: gradient-boosted trees on them,
    which take minutes with many classes."""
    stack_metadata: bool = False
    """Whether `stack` and `stack_lightgbm` also use the columns of `prepare.features`."""
    aggregate: Literal["mean", "max"] = "mean"
    """How the predictions of images that share a row of the submission are combined
    (`prepare.images`, `prepare.submission_id_column`), for each member. `max`: the highest number
    or probability of each label; with two classes, or ordinal ones, the image that is rated
    highest."""
    temperature: Literal["none", "fitted"] = "none"
    """Temperature scaling, for `log_loss` and user-defined metrics of probabilities, except with
    `stack` and `stack_lightgbm`. `fitted`: the blended logits are divided by the number that
    minimizes the out-of-fold log loss."""
    thresholds: Literal["fitted", "default"] = "fitted"
    """Decision thresholds. `fitted`: tuned to the metric on the out-of-fold predictions, for the
    tasks in the table of metrics above. `default`: 0.5, the highest-scoring class, the nearest
    whole number."""

    new_class_threshold: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = "auto"
    """With `prepare.new_class`: an image gets that label if the probability of its best class is
    lower. In a list of the k best labels, it comes before all classes of a lower probability.
    `auto`: tuned to the metric, on the out-of-fold predictions of all training images, also those
    with that label."""

    @field_validator("thresholds", mode="before")
    @classmethod
    def _renamed(cls, thresholds: object) -> object:
        require(thresholds != "plain", "plain was renamed: use default")
        return thresholds
