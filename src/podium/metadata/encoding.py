"""Encode rows of metadata as vectors; the encoding is fitted to training rows.

Numbers are power-transformed (Yeo and Johnson 2000, https://doi.org/10.1093/biomet/87.4.954) and
standardized; categories are one-hot encoded.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from podium.core.errors import UserError, counted, examples
from podium.core.provenance import TrainingProvenance
from podium.metadata.table import is_numeric

LIMIT = 5.0  # standard deviations at which numbers are clipped
MIN_COUNT = 2  # training rows of a category with its own dimension
MAX_CATEGORIES = 100  # per column, the most frequent
MIN_DISTINCT = 3  # values of a column that is power-transformed
MAX_POWER = 5.0


@dataclass(frozen=True)
class NumericColumn:
    """The fitted scale of a numeric column."""

    name: str
    power: float
    mean: float  # after the transform
    std: float
    missing: bool  # whether there is a missing-value indicator

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> Self:
        """Fit to numbers [N]; non-finite ones are missing."""
        known = values[np.isfinite(values)]
        missing = len(known) < len(values)
        if not len(known):
            return cls(name, 1.0, 0.0, 1.0, missing)
        power = 1.0
        if len(np.unique(known)) >= MIN_DISTINCT:
            from scipy.stats import yeojohnson_normmax  # takes a second to import

            fitted = float(yeojohnson_normmax(known))
            if abs(fitted) <= MAX_POWER:
                power = fitted
        powers = yeo_johnson(known, power)
        std = float(powers.std())
        return cls(name, power, float(powers.mean()), std if std > 0 else 1.0, missing)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Numbers [N] -> [N, 1], or [N, 2] with a missing-value indicator."""
        known = np.isfinite(values)
        powers = yeo_johnson(np.where(known, values, 0.0), self.power)
        scaled = np.where(known, ((powers - self.mean) / self.std).clip(-LIMIT, LIMIT), 0.0)
        return np.stack([scaled, ~known] if self.missing else [scaled], axis=1)


@dataclass(frozen=True)
class CategoricalColumn:
    """The one-hot categories of a column; other and missing values are zeros."""

    name: str
    values: list[str]

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> Self:
        """Fit to texts [N]; what is not text is missing."""
        counts = Counter(text for text in values if isinstance(text, str))
        frequent = sorted(counts, key=lambda text: (-counts[text], text))[:MAX_CATEGORIES]
        return cls(name, sorted(text for text in frequent if counts[text] >= MIN_COUNT))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Texts [N] -> [N, number of categories]."""
        place = {text: index for index, text in enumerate(self.values)}
        encoded = np.zeros((len(values), len(self.values)))
        for row, text in enumerate(values):
            if text in place:
                encoded[row, place[text]] = 1
        return encoded


@dataclass(frozen=True)
class Encoding:
    """The fitted encoding of a table."""

    columns: list[NumericColumn | CategoricalColumn]

    @classmethod
    def fit(cls, table: pd.DataFrame) -> Self:
        """Fit to the rows of training images, without labels."""
        return cls(
            [
                (NumericColumn if is_numeric(table[name]) else CategoricalColumn).fit(
                    str(name), table[name].to_numpy()
                )
                for name in table
            ]
        )

    @property
    def size(self) -> int:
        """The number of dimensions D."""
        return sum(
            len(column.values) if isinstance(column, CategoricalColumn) else 1 + column.missing
            for column in self.columns
        )

    def encode(self, table: pd.DataFrame, ids: list[Any]) -> np.ndarray:
        """Encode the images `ids`: float32 [N, D].

        Raises:
            UserError: if an image or a column is missing from the table.
        """
        rows = table.index.get_indexer(pd.Index(ids, dtype=object))
        if missing := [image for image, row in zip(ids, rows, strict=True) if row < 0]:
            raise UserError(
                f"{counted(len(missing), 'image', 'has')} no metadata: "
                f"{examples(missing)}. Run `dvc repro`."
            )
        encoded = np.zeros((len(ids), self.size), np.float32)
        place = 0
        for column in self.columns:
            if column.name not in table:
                raise UserError(f"the metadata has no column {column.name}. Run `dvc repro`.")
            values = column.encode(table[column.name].to_numpy()[rows])
            encoded[:, place : place + values.shape[1]] = values
            place += values.shape[1]
        return encoded

    def encode_all(self, table: pd.DataFrame) -> np.ndarray:
        """Encode all rows: float32 [N, D]. Raises UserError like `encode`."""
        return self.encode(table.reset_index(drop=True), [*range(len(table))])

    def to_json(self) -> list[dict[str, Any]]:
        """Convert to JSON values."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def of(cls, training: TrainingProvenance) -> Self | None:
        """The encoding of a trained model or head; None if it does not use metadata."""
        return None if training.metadata is None else cls.from_json(training.metadata)

    @classmethod
    def from_json(cls, columns: list[dict[str, Any]]) -> Self:
        """Convert back from `to_json`."""
        return cls(
            [
                CategoricalColumn(**column) if "values" in column else NumericColumn(**column)
                for column in columns
            ]
        )


def yeo_johnson(values: np.ndarray, power: float) -> np.ndarray:
    """The Yeo-Johnson transform of numbers [N], as scipy.stats.yeojohnson."""
    result = np.empty(len(values))
    positive = values >= 0
    if power == 0:
        result[positive] = np.log1p(values[positive])
    else:
        result[positive] = np.expm1(power * np.log1p(values[positive])) / power
    if power == 2:
        result[~positive] = -np.log1p(-values[~positive])
    else:
        result[~positive] = -np.expm1((2 - power) * np.log1p(-values[~positive])) / (2 - power)
    return result
