"""Checks of the section `prepare` that concern several keys (they raise ValueError), and what
follows from several keys.
"""

from typing import TYPE_CHECKING

from podium.config import images_pattern
from podium.core.section import require

if TYPE_CHECKING:
    from podium.config.prepare import Prepare


def features(prepare: "Prepare") -> None:
    """Check that the columns in `features` are in two tables and not used otherwise."""
    if prepare.features == "none":
        return
    has_tables = prepare.train_csv is not None and prepare.test_csv is not None
    require(has_tables, "features requires train_csv and test_csv")
    used = {prepare.id_column, prepare.group_column, *prepare.label_columns}
    if wrong := [name for name in prepare.feature_kinds if name in used]:
        raise ValueError(f"features contains {wrong[0]}, which another key uses")


def train_tables(prepare: "Prepare") -> None:
    """Check the keys that require one or no training table, and those of further ones."""
    more, folders = prepare.more_train_csv, prepare.more_train_images
    if prepare.train_csv is None:
        is_possible = prepare.group_column is None and not prepare.pixel_columns
        require(is_possible, "group_column and pixel_columns require train_csv")
        require(
            prepare.train_images.strip("/") != prepare.test_images.strip("/"),
            "with train_csv: null, train_images and test_images must be different folders",
        )
        require(not more, "more_train_csv requires train_csv")
        return
    require(prepare.label_pattern is None, "label_pattern requires train_csv: null")
    require(prepare.group_pattern is None, "group_pattern requires train_csv: null")
    require(prepare.label_map is None, "label_map requires train_csv: null")
    require(
        not folders or len(folders) == len(more),
        "more_train_images requires train_csv: null, or one table per folder in more_train_csv",
    )
    is_possible = prepare.images is None and prepare.pixel_columns is None
    require(not more or is_possible, "more_train_csv excludes images and pixel_columns")


def no_label(prepare: "Prepare") -> None:
    """Check that `no_label` and several targets are about columns of a table."""
    unknown = [name for name in prepare.no_label if name not in prepare.label_columns]
    require(not unknown, f"no_label contains {unknown[:1]}, which is not in label_column")
    has_table = prepare.train_csv is not None
    require(has_table or not prepare.no_label, "no_label requires train_csv")
    require(has_table or not prepare.target_tasks, "several label columns require train_csv")


def sample_options(prepare: "Prepare") -> None:
    """Check that there is a sample submission for the keys about it."""
    for key in ("sample_id_column", "copied_columns", "id_label_separator"):
        if prepare.sample_submission is None and getattr(prepare, key):
            raise ValueError(f"{key} requires sample_submission. Set it.")
    if prepare.sample_id_column in prepare.copied_columns:
        raise ValueError("copied_columns must not contain sample_id_column. Remove it.")
    is_possible = prepare.train_csv is not None or prepare.id_label_separator is None
    require(is_possible, "id_label_separator requires train_csv")


def has_units(prepare: "Prepare") -> bool:
    """Whether images may share a row of the submission."""
    has_names = prepare.stack is None or images_pattern.columns(prepare.images)
    images = prepare.images is not None and bool(has_names)
    return images or prepare.submission_id_column is not None


def images(prepare: "Prepare") -> None:
    """Check that there are tables for `images`, and a test table if it contains columns."""
    if prepare.images is None:
        return
    require(prepare.train_csv is not None, "images requires train_csv")
    require(prepare.pixel_columns is None, "images and pixel_columns exclude each other")
    if columns := images_pattern.columns(prepare.images):
        require(prepare.test_csv is not None, f"{{{columns[0]}}} in images requires test_csv")
        is_possible = prepare.id_label_separator is None
        require(is_possible, "images with columns and id_label_separator exclude each other")
