"""Recognize sample submissions whose rows are not images, or images and labels."""

import re
from collections.abc import Sequence

from podium.competition.text.names import nfc
from podium.core.errors import UserError, examples, listed
from podium.dataset import submission_file
from podium.init.survey import Survey, Table

SEPARATORS = ("__", "_", "-", " ", "|", ":")
MAX_TESTED = 1_000  # rows, images


def check(survey: Survey, sample: Table, others: Sequence[Table]) -> None:
    """Check that each row of the sample submission can be about an image: the ids may be in a
    table, or be (part of) an image's path.

    Raises:
        UserError: if there is a row per target with several columns, or several rows for each image
            or folder, or if an id stands for a set of images.
    """
    ids = sample.columns[0]
    rows = sample.rows[ids].tolist()
    if not survey.images or any(survey.index.find(value) for value in rows[:MAX_TESTED]):
        return
    parts = {part for path in survey.images for part in nfc(path).split("/")[:-1]}

    def are_known(heads: Sequence[str]) -> bool:
        return all(head in parts or survey.index.find(head) for head in heads[:MAX_TESTED])

    is_listed = any({*rows} <= {*t.rows[column]} for t in others for column in t.columns)
    for separator in SEPARATORS:
        for table in others:
            names = {*table.columns}
            pairs = [submission_file.split(row, names, separator) for row in rows]
            split = [pair for pair in pairs if pair is not None]
            if len(split) == len(pairs) and are_known([head for head, _ in split]):
                _fail_on_targets(sample, table, separator, [label for _, label in split])
        heads = [row.rpartition(separator)[0] for row in rows]
        if not is_listed and all(heads) and 1 < len({*heads}) < len(rows) and are_known(heads):
            raise UserError(
                f"{sample.name} has several rows per {heads[0]}: {examples(rows, 2)}. Podium "
                "predicts one row for all images of an id, and no image tells these rows apart. "
                f"Write a sample submission and a training table with one row per id, and make the "
                "other rows from the predictions."
            )
    _check_sets(survey, sample, rows)


def _fail_on_targets(sample: Table, table: Table, separator: str, labels: Sequence[str]) -> None:
    """Raises: UserError: rows of the sample submission are about columns of a table."""
    names, values = [*dict.fromkeys(labels)], sample.columns[1:]
    rows: list[str] = sample.rows[sample.columns[0]].tolist()
    what = f"{sample.name} has a row per id and column of {table.name}, like {rows[0]}"
    if len(values) > 1:
        raise UserError(
            f"{what}, with the columns {examples(values)}. Podium can write one number in each of "
            f"such rows, or a row per id with these columns. Predict one of {examples(names, 2)} "
            f"at a time: write a sample submission with the ids before {separator!r} and the same "
            "columns, and set --label-column."
        )
    raise UserError(
        f"{what}, but only for {listed(names, 3)}. Write a sample submission with the ids before "
        f"{separator!r}, and set --label-column if others are targets, too."
    )


def _check_sets(survey: Survey, sample: Table, rows: Sequence[str]) -> None:
    """Check that ids are not numbers of several images each: 20 for set20_1.jpg, set20_2.jpg."""
    if not all(row.isdecimal() for row in rows):
        return
    of_numbers = dict[str, list[str]]()
    for path in survey.images:
        found = re.fullmatch(r"[A-Za-z]+_?(\d+)[_-]\d+", path.rpartition("/")[2].rpartition(".")[0])
        if found is not None:
            of_numbers.setdefault(found[1], []).append(path.rpartition("/")[2])
    if all(len(of_numbers.get(row, [])) > 1 for row in rows):
        images = of_numbers[rows[0]]
        raise UserError(
            f"each id in {sample.name} is a set of images: {rows[0]} of {examples(images, 2)}. "
            "Podium predicts a label or numbers for an image, or for all images of an id in a "
            f"training table, not how the images of a set are related. If {sample.columns[1]} is a "
            "label of each set, write a training table with the columns "
            f"{sample.columns[0]}, {sample.columns[1]} and name the images {rows[0]}_1, …."
        )
