"""The sections `probes.<name>` of params.yaml."""

from typing import Annotated

from pydantic import Field

from podium.core.section import Name, Positive, Section, Unique

METADATA = "metadata"  # in the features of a probe


class Probe(Section):
    """A head on frozen features: a member of the ensemble that trains in seconds."""

    features: Annotated[list[str], Field(min_length=1), Unique]
    """Names in `embeddings`, whose features are concatenated. They need the same views. `metadata`:
    the columns of `prepare.features`, alone or together with embeddings."""
    head: str | dict[Name, str] = "logistic"
    """`logistic`: logistic regression. `ridge`: ridge regression. `svm`: a linear support vector
    machine. `knn`: the nearest neighbors by cosine similarity. `lightgbm`: gradient-boosted trees,
    which take minutes with many features or classes. `task: regression` requires `ridge`, `svm`,
    `knn` or `lightgbm`, `task: ordinal` `logistic`, `knn` or `lightgbm`. With several targets, one
    for all, or for each: `{label: logistic, age: ridge}`."""
    strength: Positive | None = None
    """How closely the head fits the training images: C of `logistic` and `svm`, 1 / alpha of
    `ridge`, 1 / the number of neighbors of `knn`, the number of trees (per class) of `lightgbm`.
    null: the best in cross-validation among the training folds."""
    normalize: bool = True
    """Scale the features of each image to length 1, per embedding: then only their ratios count,
    not how strongly the backbone responds."""

    @property
    def embeddings(self) -> list[str]:
        """`features` without metadata."""
        return [name for name in self.features if name != METADATA]

    @property
    def has_metadata(self) -> bool:
        """Whether the features include metadata."""
        return METADATA in self.features
