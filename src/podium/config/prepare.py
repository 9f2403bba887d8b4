"""What the section `prepare` of params.yaml may hold."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from podium.core.section import Section


def check_pattern(pattern: str) -> str:
    """A regular expression that finds a label.

    Raises:
        ValueError: if it is none, or has not one group.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"{pattern!r} has {groups} groups, in parentheses: the label is one")
    return pattern


class Prepare(Section):
    """Where things lie in the competition's archive, and how its images are stored."""

    train_csv: str | None = "train.csv"
    """null: the labels are the folders in `train_images`, one a class, or in the files' names."""
    test_csv: str | None = "test.csv"
    """null: the test ids are those of the sample submission, else the files in `test_images`."""
    sample_submission: str | None = "sample_submission.csv"
    """null: the submission's columns follow from `id_column`, `label_column` and `submission`."""
    id_column: str | None = "id"
    """null: the ids are the rows' numbers, from 1 (of the test table: the sample submission's, in
    its order)."""
    label_column: str | Annotated[list[str], Field(min_length=2)] = "label"
    """A list: one column a class, of 0 and 1."""
    label_separator: Annotated[str, Field(min_length=1)] = " "
    """Of several labels in one column (`task: multilabel`)."""
    label_variants: Literal["error", "merge", "keep"] = "error"
    """Labels that differ in case or stray spaces only: an error; one label, the commonest spelling;
    or different labels."""
    positive_class: str | int | None = None
    """The label of the positive class (`task: binary`): the one whose probability is thresholded,
    scored by `average_precision` and submitted. null: the second class."""
    label_pattern: Annotated[str, AfterValidator(check_pattern)] | None = None
    """With `train_csv: null`: a regular expression whose group finds the label in a file's name, as
    `^(.+)_` in `beagle_12.jpg`; null: the label is the folder."""
    group_column: str | None = None
    """Images of one group (a patient, a scene) never stand in two folds."""
    train_images: str = "train"
    """The folder in the archive; "" is the whole archive."""
    test_images: str = "test"
    pixel_columns: str | None = None
    """The images stand in the tables: the columns of this name followed by numbers (`pixel0`,
    `pixel1`, …; "" for `1x1`, `1x2`, …), or one of this name with spaces between the numbers in
    it, row by row of a square image, grey or RGB."""
    pixel_order: Literal["interleaved", "planar"] = "interleaved"
    """Of RGB pixels in tables: R, G, B of each pixel, or all R, then all G, then all B."""
    on_bad_image: Literal["error", "skip", "blank"] = "error"
    """What to do with an image that is missing or cannot be decoded: `skip` leaves it out of
    training, and of the test it is an error; `blank` does too, and takes a black test image."""
    max_size: Annotated[int, Field(ge=8)] | None = None
    """Pixels: images whose shorter side is longer are downsized to it."""
    encode: Literal["jpeg", "png", "original"] = "jpeg"
    """How changed images are stored; `original` leaves every byte as it is and resizes nothing."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Of the JPEG encoder."""

    @property
    def label_columns(self) -> list[str]:
        """`label_column` as a list."""
        one = isinstance(self.label_column, str)
        return [self.label_column] if one else [*self.label_column]  # type: ignore[list-item]

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        named = [self.id_column, *self.label_columns, self.group_column]
        columns = [name for name in named if name is not None]
        if len(set(columns)) < len(columns):
            raise ValueError("id_column, label_column and group_column name a column twice")
        return self

    @model_validator(mode="after")
    def _the_labels_come_from_somewhere(self) -> Self:
        if self.train_csv is None and (self.group_column is not None or self.pixel_columns):
            raise ValueError("group_column and pixel_columns are of a train_csv")
        if self.train_csv is None and self.train_images.strip("/") == self.test_images.strip("/"):
            raise ValueError("train_csv: null would train on test_images: it is train_images too")
        if self.train_csv is not None and self.label_pattern is not None:
            raise ValueError("label_pattern is of train_csv: null")
        if self.pixel_columns is None and self.train_csv is not None and self.id_column is None:
            raise ValueError("id_column: null is for pixel_columns: image files are named by ids")
        if self.pixel_columns is not None and self.test_csv is None:
            raise ValueError("pixel_columns needs a test_csv: the test images stand in it")
        if self.pixel_columns is None and self.pixel_order != "interleaved":
            raise ValueError("pixel_order is of pixel_columns")
        return self

    @model_validator(mode="after")
    def _original_bytes_stay(self) -> Self:
        if self.encode == "original" and self.max_size is not None:
            raise ValueError("encode: original resizes nothing: set max_size: null")
        return self
