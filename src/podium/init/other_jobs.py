"""Recognize jobs other than labels or numbers for whole images: object detection, segmentation,
matching.
"""

import re
from collections.abc import Sequence

import pandas as pd

from podium.competition.text.names import NUMBER
from podium.core.errors import UserError, counted, examples
from podium.init.survey import Table

BOXES = (
    {"x", "y", "w", "h"},
    {"x", "y", "width", "height"},
    {"xmin", "ymin", "xmax", "ymax"},
    {"x1", "y1", "x2", "y2"},
    {"x0", "y0", "x1", "y1"},
    {"left", "top", "right", "bottom"},
    {"left", "top", "width", "height"},
    {"xc", "yc", "w", "h"},
    {"cx", "cy", "w", "h"},
    {"xcenter", "ycenter", "width", "height"},
)
SUBMITTED = {  # names of the target column in sample submissions, without case and underscores
    "predictionstring": "object detection",
    "encodedpixels": "segmentation",
    "rle": "segmentation",
    "rlemask": "segmentation",
    "maskrle": "segmentation",
}
MIN_CELLS = 5  # that are not blank, to judge a column
MIN_MASK_RUNS = 2  # per mask on average
MIN_DIFFERENT = 0.2  # of the numbers in a column: coordinates differ, labels recur


def check(train: Table, ids: str, sample: Table | None) -> None:
    """Check that the training table and the sample submission are about whole images.

    Raises:
        UserError: if there are boxes, masks or lists of other images instead of labels.
    """
    found = (_in_sample(sample) or _matches(train, sample) or _in_names(train, ids)) or _in_cells(
        train, ids
    )
    if found is not None:
        job, reason = found
        raise UserError(
            f"{train.name}: this is {job} ({reason}). Podium predicts labels or numbers for whole "
            "images. If a column contains those, name it with --label-column."
        )


Found = tuple[str, str] | None  # the job, and how it was recognized


def submitted_job(target: str) -> str | None:
    """The job that a column of a sample submission with this name is for; None if for no other."""
    return SUBMITTED.get(re.sub(r"[\W_]", "", target.lower()))


def _in_sample(sample: Table | None) -> Found:
    for name in [] if sample is None else sample.columns[1:]:
        if (job := submitted_job(name)) is not None:
            return job, f"the sample submission has the column {name}"
    return None


def _matches(train: Table, sample: Table | None) -> Found:
    """A sample submission whose values are its own ids, which are no labels of the training table.
    Numbers may be labels by chance, unless each row contains its own id.
    """
    if sample is None or len(sample.columns) != len(("id", "value")):
        return None
    ids, target = sample.columns
    known = {*sample.rows[ids]}
    rows = [*zip(sample.rows[ids], map(str.split, sample.rows[target]), strict=True)]
    are_numbers = all(map(NUMBER.fullmatch, known))
    if len(rows) < 2 or not all(cell and {*cell} <= known for _, cell in rows):
        return None
    if are_numbers and not all(own in cell for own, cell in rows):
        return None
    labels = {label for column in train.columns for label in train.rows[column].unique()}
    if labels & known:
        return None
    example = " ".join(rows[0][1])[:40]
    return "matching of images", f"{target} lists ids of the sample submission, such as {example}"


def _in_names(train: Table, ids: str) -> Found:
    """Columns of coordinates, and several rows per image."""
    by_name = {_coordinate(column): column for column in train.columns}
    boxes = [names for names in BOXES if names <= by_name.keys()]
    count = int(train.rows[ids].duplicated().sum())
    if not boxes or not count:
        return None
    columns = [column for name, column in by_name.items() if name in boxes[0]]
    images = train.rows[ids].nunique()
    return (
        "object detection",
        f"{examples(columns)} are boxes, {len(train.rows)} for {counted(images, 'image')}",
    )


def _coordinate(column: str) -> str:
    """The name of a coordinate: "bbox_x_min", "Roi.XMin" -> "xmin"."""
    return re.sub(r"^(bbox|box|roi|bb)(?=.)", "", re.sub(r"[\W_]", "", column.lower()))


def _in_cells(train: Table, ids: str) -> Found:
    """Cells that list coordinates or runs of pixels."""
    for column in train.columns:
        if column == ids:
            continue
        cells = [cell for cell in train.rows[column].unique().tolist() if cell.strip()]
        example = cells[0][:40] if cells else ""
        tokens = [_tokens(cell) for cell in cells]
        if len(cells) < MIN_CELLS or min(map(len, tokens)) < 2:
            continue
        if are_masks(tokens):
            return "segmentation", f"{column} contains masks, such as {example}"
        if are_boxes(tokens):
            return "object detection", f"{column} lists boxes, such as {example}"
    return None


def _tokens(cell: str) -> list[str]:
    """The words and numbers in a cell; of objects such as {"x": 1, "y": 2} only the numbers."""
    tokens: list[str] = re.findall(r"[^\s,;|:'\"()\[\]{}]+", cell)
    is_object = "{" in cell and ":" in cell
    return [token for token in tokens if not is_object or NUMBER.fullmatch(token)]


def are_boxes(cells: Sequence[list[str]]) -> bool:
    """Whether each cell lists boxes: four numbers each, perhaps after a name and a confidence.
    Without a name, coordinates are told from labels in that they differ.
    """
    for size in (4, 5, 6):
        if any(len(cell) % size for cell in cells):
            continue
        groups = pd.DataFrame(
            [cell[i : i + size] for cell in cells for i in range(0, len(cell), size)]
        )
        is_number = groups.map(lambda text: NUMBER.fullmatch(text) is not None).all()
        coordinates = groups[groups.columns[-4:]]
        if is_number[coordinates.columns].all():
            is_name = size > 4 and not groups[0].map(NUMBER.fullmatch).notna().any()
            values = coordinates.stack()
            return bool(is_name or values.nunique() > MIN_DIFFERENT * len(values))
    return False


def are_masks(cells: Sequence[list[str]]) -> bool:
    """Whether each cell is a mask in run-length encoding: pairs of start and length, in order."""
    starts = list[int]()
    for cell in cells:
        if len(cell) % 2 or not all(token.isdecimal() for token in cell):
            return False
        numbers = [int(token) for token in cell]
        ends = [start + length for start, length in zip(numbers[::2], numbers[1::2], strict=True)]
        if any(start < end for start, end in zip(numbers[2::2], ends, strict=False)):
            return False
        starts += numbers[::2]
    is_long = len(starts) >= MIN_MASK_RUNS * len(cells)
    return is_long and len(set(starts)) > MIN_DIFFERENT * len(starts)
