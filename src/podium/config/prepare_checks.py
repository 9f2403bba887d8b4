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


def id_columns(prepare: "Prepare") -> None:
    """Check that there are tables with the columns that identify images, rows and units."""
    if prepare.test_id_column is not None:
        has_ids = prepare.id_column is not None or prepare.pixel_columns is not None
        is_possible = prepare.test_csv is not None and has_ids
        require(is_possible, "test_id_column requires test_csv, and id_column or pixel_columns")
    if prepare.submission_id_column is not None:
        require(prepare.test_csv is not None, "submission_id_column requires test_csv")
        require(prepare.images is None, "submission_id_column and images exclude each other")
    if prepare.unit_column is not None:
        has_table = prepare.train_csv is not None and prepare.submission_id_column is not None
        require(has_table, "unit_column requires train_csv and submission_id_column")


def pixels(prepare: "Prepare") -> None:
    """Check that the images are files with ids, or pixels in both tables."""
    if prepare.pixel_columns is None:
        has_ids = prepare.train_csv is None or prepare.id_column is not None
        require(has_ids, "id_column: null requires pixel_columns")
        require(prepare.pixel_order == "interleaved", "pixel_order requires pixel_columns")
    else:
        require(prepare.test_csv is not None, "pixel_columns requires test_csv")
        require(prepare.channels in (1, 3), "pixel_columns requires channels: 1 or 3")


def sample_options(prepare: "Prepare") -> None:
    """Check that there is a sample submission for the keys about it."""
    for key in ("sample_id_column", "copied_columns", "id_label_separator", "lookup_csv"):
        if prepare.sample_submission is None and getattr(prepare, key):
            raise ValueError(f"{key} requires sample_submission. Set it.")
    if prepare.sample_id_column in prepare.copied_columns:
        raise ValueError("copied_columns must not contain sample_id_column. Remove it.")
    is_possible = prepare.train_csv is not None or prepare.id_label_separator is None
    require(is_possible, "id_label_separator requires train_csv")
    has_both = (prepare.lookup_csv is None) == (prepare.lookup_columns is None)
    require(has_both, "lookup_csv and lookup_columns require each other")
    is_one = prepare.lookup_csv is None or prepare.id_label_separator is None
    require(is_one, "lookup_csv and id_label_separator exclude each other")


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
