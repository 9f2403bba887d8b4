"""The section `prepare` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from podium.config import prepare_checks
from podium.config.prepare_values import (
    ColumnKind,
    Features,
    ValueRange,
    check_images,
    check_pattern,
    check_stack,
)
from podium.config.tasks import TargetTask
from podium.core.section import Name, Section, require


class Prepare(Section):
    """Where the competition's tables and images are, and how the images are stored."""

    train_csv: str | None = "train.csv"
    """CSV with ids and labels, anywhere in the archive. null: labels are the names of the class
    folders in `train_images`, or part of the file names (`label_pattern`)."""
    test_csv: str | None = "test.csv"
    """CSV with the test ids. null: the ids of the sample submission, else the files in
    `test_images`."""
    sample_submission: str | None = "sample_submission.csv"
    """null: the submission's columns are inferred from `id_column`, `label_column` and the section
    `submission`."""
    sample_id_column: Name | None = None
    """The id column of `sample_submission`. The submission has its columns in the same order. null:
    the first."""
    copied_columns: Annotated[list[str], Field(default_factory=list)]
    """Columns of `sample_submission` to copy to the submission, such as an index or `Usage`. A
    column without a name is called `"Unnamed: 0"`, by its position."""
    id_label_separator: Annotated[str, Field(min_length=1)] | None = None
    """Separator between the image id and the label or target in ids like `ID_7_any`, if
    `sample_submission` (and possibly `train_csv`) has one row per image and label. null: one row
    per image."""
    lookup_csv: str | None = None
    """Table that says which image and which label or target each row of `sample_submission` is
    about, such as `IdLookupTable.csv`; the rows' ids are in the column of the same name as there.
    An image need not have a row for each label. null: the ids say it, or there is one row per
    image."""
    lookup_columns: Annotated[list[Name], Field(min_length=2, max_length=2)] | None = None
    """The columns of `lookup_csv` with the image id and with the label or target: `[ImageId,
    FeatureName]`."""
    id_column: Name | None = "id"
    """The column with the images' names, with or without extension and folders. null: row numbers,
    from 1 (for the test table: the sample submission's ids, in order); requires `pixel_columns`."""
    test_id_column: Name | None = None
    """The id column of `test_csv`, if it has another name there. null: `id_column`."""
    label_column: (
        Name
        | Annotated[dict[Name, TargetTask], Field(min_length=2)]
        | Annotated[list[Name], Field(min_length=2)]
    ) = "label"
    """The label column. A list: one column of 0 and 1 per class, or with `task: regression` one
    per number. With `task: multitarget`, the task of each column, see
    [Several targets](#several-targets): `{label: multiclass, age: regression}`."""
    no_label: Annotated[dict[Name, list[Name]], Field(default_factory=dict)]
    """Values of a label column that stand for a missing label, like an empty cell: `{label: [Not
    sure, Skip]}`. Requires `train_csv`."""
    label_separator: Annotated[str, Field(min_length=1)] = " "
    """Separator between several labels in one column; not used for lists in brackets
    (`['cat', 'dog']`). Requires `task: multilabel`."""
    label_variants: Literal["error", "merge", "keep"] = "error"
    """Labels that differ only in case or whitespace: an `error`, `merge` them under the most common
    spelling, or `keep` them as separate classes."""
    positive_class: Name | None = None
    """The positive class: its probability is thresholded, scored by `average_precision` and
    submitted. Requires `task: binary`. null: the second class, in the order of the sample
    submission's columns or else sorted."""
    unlabeled: Literal["error", "drop"] = "error"
    """What to do with rows of `train_csv` in which a label is missing; with several targets, all
    labels: an image without some of them trains and scores the other targets only."""
    raters: Literal["error", "first", "majority", "soft", "mean", "median"] = "error"
    """How to combine different labels of the same image, or with `unit_column` of the images of a
    unit, such as those of several raters. `first`: the first row. `majority`: the most frequent
    label; multilabel: labels in at least half of the rows. `soft`: like `majority`, but models (not
    probes) train on the share of each label. `mean` requires `task: regression`, `median` also
    allows `ordinal`. `error`: fail, but with `task: multilabel` and one label column the image gets
    all labels."""
    new_class: Name | None = None
    """The label that marks an image of none of the classes, such as `new_whale`. Models do not
    learn it; test images get it if no class reaches `ensemble.new_class_threshold`. Requires `task:
    multiclass`. null: every image has one of the classes."""
    label_map: dict[Name, Name] | None = None
    """The label of each class folder, or of each match of `label_pattern`, if these are finer than
    the labels, or have other names: `{Cover: 0, JMiPOD: 1, UERD: 1}`. Requires `train_csv:
    null`. null: they are the labels."""
    label_pattern: Annotated[str, AfterValidator(check_pattern)] | None = None
    """Regular expression whose group captures the label in the file name: `^(.+)_` for
    `beagle_12.jpg`. Requires `train_csv: null`. null: the label is the folder."""
    group_column: Name | None = None
    """Column of groups (patient, scene): images of the same group are kept in the same fold."""
    group_pattern: Annotated[str, AfterValidator(check_pattern)] | None = None
    """Like `group_column`, for groups in file names: a regular expression whose group captures it,
    such as `^(.+)\\.` for `Cover/1.jpg` and `UERD/1.jpg`. Requires `train_csv: null`."""
    train_images: str = "train"
    """Folder of the training images in the archive. "": the whole archive."""
    more_train_csv: Annotated[list[str], Field(default_factory=list)]
    """Further tables of training images with the columns of `train_csv`, such as `val.csv`. Their
    images are in `more_train_images`, a folder per table, or else in `train_images`."""
    more_train_images: Annotated[list[str], Field(default_factory=list)]
    """Further folders of training images, such as `val`: with `train_csv: null`, with the same
    class folders. Ids are paths in the archive. Otherwise requires `more_train_csv`."""
    test_images: str = "test"
    """Folder of the test images in the archive."""
    features: Features = "none"
    """Columns of `train_csv` and `test_csv` as further inputs, see [Metadata](#metadata): a list of
    names, or of entries like `zip: categorical` to set a column's type: `numeric`, `decimal_comma`
    (numbers like `1.234,5`) or `categorical`. `auto`: all usable columns of both tables; the stage
    prepare prints them."""
    images: Annotated[str, AfterValidator(check_images)] | None = None
    """Pattern of the paths of an id's images below `train_images` and `test_images`, if there are
    several: `{id}_*` if `h1_bath.jpg` and `h1_kitchen.jpg` belong to `h1`, `{id}/*` for a folder
    per id, `{experiment}/Plate{plate}/{well}_*` if columns of both tables name them. An id's images
    are trained on and predicted one by one, stay in one fold, and `ensemble.aggregate` combines
    their predictions. null: the id is the image's name."""
    stack: Annotated[list[Name], Field(min_length=2)] | None = None
    """What `*` in `images` stands for in the images that become an id's channels, in their order:
    `[red, green, blue, yellow]` for `images: "{id}_*.png"` and `channels: 4`. An id that lacks one
    is a bad image (`on_bad_image`). null: the images are separate."""
    submission_id_column: Name | None = None
    """Column of `test_csv` with the submission's ids, if several images share one (a patient, a
    breast): `ensemble.aggregate` combines their predictions. null: the submission has one row per
    image, or per id of `images`."""
    unit_column: Name | list[Name] | None = None
    """Column of `train_csv`, or several, whose values say which images belong together as those of
    one `submission_id_column` do. They must have the same label. null: `submission_id_column` if
    `train_csv` has it, else each image is scored out of fold by itself."""
    hidden_test: bool = False
    """Whether the test images come only when Kaggle scores the notebook of a code competition.
    Nothing is predicted here, and the submission is the sample submission; an exported kernel
    predicts the images that it finds in `test_images`."""
    duplicates: Literal["group", "drop", "keep"] = "group"
    """What to do with training images that have the same pixels or are in one set of
    `near_duplicates`: `group` keeps them in one fold, `drop` keeps the first of each set (none if
    their labels differ), and `keep` splits them like other images."""
    near_duplicates: str | None = None
    """CSV of near-duplicates in `custom/lists/`, with the columns `set`, `part` (train or test) and
    `id`. `make look` writes `reports/near_duplicates.csv`; copy it there. null: only
    images with the same pixels are duplicates."""
    exclude: str | None = None
    """CSV in `custom/lists/` with the column `id`: training images to leave out, from validation,
    too, so out-of-fold scores with and without it are not comparable. `make look` writes
    `reports/label_issues.csv`; copy the rows that you agree with there. null: none."""
    pixel_columns: str | None = None
    """For images stored as pixels in the tables: the prefix of the numbered pixel columns (`pixel`
    for `pixel0`, `pixel1`, …; "" for `1x1`, `1x2`, …), or the name of one column with all pixels,
    separated by spaces. Square images, row by row, grayscale or RGB."""
    pixel_order: Literal["interleaved", "planar"] = "interleaved"
    """Order of RGB values in the tables: R, G and B of each pixel, or all R, then all G, then all
    B."""
    on_bad_image: Literal["error", "skip", "blank"] = "error"
    """What to do with an image that is missing or cannot be decoded. `skip` drops it from training;
    in the test set it is still an error. `blank` also drops it from training, but replaces it with
    a black image in the test set: with `stack`, in all channels."""
    channels: Annotated[int, Field(ge=1, le=32)] = 3
    """Channels of all images, in the store and of the networks' inputs. 3: RGB, to which grayscale
    images are converted; alpha is blended with white. 1: grayscale, to which RGB images are
    converted. Other numbers: those in the files (`.npy`, TIFF, HDF5, RGBA as it is), stored without
    loss, see [Channels](#channels)."""
    max_size: Annotated[int, Field(ge=8)] | None = None
    """Maximum length of an image's shorter side in pixels; larger images are downsized. At least
    the largest `image_size`. null: no limit."""
    max_megapixels: Annotated[float, Field(gt=0, le=1000)] = 300
    """Images with more megapixels are treated as `on_bad_image` says, unless the TIFF file also
    contains a smaller size. Decoding takes 3 bytes per pixel in each process."""
    encode: Literal["jpeg", "png", "original"] = "jpeg"
    """Format of images that are resized or otherwise re-encoded. `original` stores all files
    unchanged, without resizing."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """JPEG quality."""
    value_range: ValueRange = "auto"
    """`[low, high]`: the values that become 0 and 255 in images with more than 8 bits per channel,
    signed or float values. auto: the minimum and maximum over the training images, which prepare
    prints; for DICOM images, the window in the file, else the image's own minimum and maximum.
    Values of DICOM images are rescaled ones (CT: Hounsfield units)."""

    @property
    def feature_kinds(self) -> dict[str, ColumnKind | None]:
        """The columns in `features` and their kinds; None: inferred from the values."""
        kinds: dict[str, ColumnKind | None] = {}
        for entry in self.features if isinstance(self.features, list) else []:
            kinds |= entry if isinstance(entry, dict) else {entry: None}
        return kinds

    @property
    def label_columns(self) -> list[str]:
        """`label_column` as a list."""
        return [self.label_column] if isinstance(self.label_column, str) else [*self.label_column]

    @property
    def target_tasks(self) -> dict[str, TargetTask]:
        """The task of each label column with `task: multitarget`; else empty."""
        return self.label_column if isinstance(self.label_column, dict) else {}

    @property
    def names(self) -> tuple[str, ...]:
        """The tables and folders of the archive that are read."""
        tables = (self.train_csv, *self.more_train_csv, *self._test_tables)
        folders = (self.train_images, *self.more_train_images, self.test_images)
        return (*filter(None, tables), *folders)

    @property
    def test_names(self) -> tuple[str, ...]:
        """Those of `names` that are used to predict."""
        folders = [self.test_images] if self.pixel_columns is None else []
        return (*filter(None, self._test_tables), *folders)

    @property
    def _test_tables(self) -> tuple[str | None, ...]:
        return self.test_csv, self.sample_submission, self.lookup_csv

    @property
    def unit_columns(self) -> list[str]:
        """`unit_column` as a list."""
        columns = self.unit_column or []
        return [columns] if isinstance(columns, str) else columns

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        columns = [self.id_column, *self.label_columns, self.group_column]
        names = [name for name in columns if name is not None]
        problem = "id_column, label_column and group_column must be different columns"
        require(len(set(names)) == len(names), problem)
        prepare_checks.features(self)
        prepare_checks.no_label(self)
        check_stack(self.images, self.stack, self.channels, self.encode)
        prepare_checks.train_tables(self)
        prepare_checks.id_columns(self)
        if self.hidden_test:
            require(self.sample_submission is not None, "hidden_test requires sample_submission")
            require(self.pixel_columns is None, "hidden_test and pixel_columns exclude each other")
        prepare_checks.images(self)
        prepare_checks.pixels(self)
        if self.encode == "original" and self.max_size is not None:
            raise ValueError("encode: original never resizes. Set max_size: null.")
        prepare_checks.sample_options(self)
        return self
