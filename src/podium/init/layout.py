"""From what lies in an archive to the section `prepare`, the task, the metric and the form."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.init import targets
from podium.init.columns import (
    choose_groups,
    choose_ids,
    choose_labels,
    choose_unique,
    choose_variants,
    find_ids,
)
from podium.init.folders import choose_folder, choose_unlisted, is_test, outside
from podium.init.guesses import Chooser, Guess
from podium.init.matching import Names
from podium.init.path_labels import Classes, choose_classes, class_folders, class_names
from podium.init.pixel_order import check_order, choose_order
from podium.init.roles import Roles, find_roles, name_of, sample_ids
from podium.init.survey import Look, Pixels, Survey, Table, look
from podium.init.targets import Sample


@dataclass
class Layout:
    """How a competition is laid out, and what it wants."""

    prepare: dict[str, Any]
    task: TaskName = "multiclass"
    metric: str = ""
    format: str = "auto"
    separator: str = " "  # of several labels in the submission
    look: Look | None = None  # of the training images
    notes: list[str] = field(default_factory=list)  # what is left aside

    @property
    def submission(self) -> dict[str, Any]:
        """The section of that name."""
        separator = {} if self.separator == " " else {"separator": self.separator}
        return {"format": self.format, **separator}


def understand(survey: Survey, chooser: Chooser) -> Layout:
    """Tell how a competition is laid out; `chooser` has the last word on each guess.

    Raises:
        UserError: if there is nothing to train on or to predict, saying what was seen.
    """
    names = Names(survey.images)
    roles = find_roles(survey, names, chooser)
    train = roles.train
    pattern = chooser.given.get("prepare.label_pattern")
    classes = class_folders(survey) if pattern is None else class_names(survey, pattern)
    if train is None and all(is_test(one.folder) for one in classes):
        classes = class_names(survey) or classes
    layout = Layout({"sample_submission": name_of(roles.sample), "test_csv": name_of(roles.test)})
    if train is not None and train.pixels is not None:
        _from_pixels(layout, roles, train, train.pixels, chooser)
    elif classes and (train is None or pattern is not None or find_ids(train, names) is None):
        layout.prepare["train_csv"] = None
        _from_paths(layout, roles, classes, names, survey, chooser)
    elif train is not None and survey.images:
        _from_table(layout, roles, train, names, survey, chooser)
    else:
        raise UserError(
            f"{survey.archive.path} has no training images with labels that can be told. "
            f"{survey.contents()}. Needed: images and a CSV whose one column names them and "
            "another holds labels; or one folder of images a class, all in one folder "
            "(train/cats, train/dogs), or named after their class (train/cat.1.jpg; "
            "--label-pattern says how); or CSV files of pixels for training and test"
        )
    used = {layout.prepare.get(key) for key in ("train_csv", "test_csv", "sample_submission")}
    others = [table.name for table in survey.tables if table.name not in used]
    if train is None or train.pixels is None:
        taken = layout.prepare["train_images"], layout.prepare["test_images"]
        others += [f"{folder or '(top)'}/" for folder in outside(survey, taken)]
    if others:
        layout.notes.append(f"{examples(others)}: not used")
    chooser.check_all_used()
    return layout


def _from_table(
    layout: Layout,
    roles: Roles,
    train: Table,
    names: Names,
    survey: Survey,
    chooser: Chooser,
) -> None:
    """A table of ids and labels, and image files."""
    ids = choose_ids(train, names, chooser)
    _use_table(layout, roles, train, ids, chooser)
    test = _test_table(layout, roles, ids)
    values = train.rows[ids].tolist()
    layout.prepare["train_images"], seen = choose_folder("train", values, names, survey, chooser)
    test_ids = test.rows[ids] if test is not None else sample_ids(roles)
    _choose_test(layout, test_ids, names, survey, chooser)
    _leave_out_missing(layout, names.missing(values, layout.prepare["train_images"]), chooser)
    layout.look = look(survey.archive, seen)


def _from_paths(
    layout: Layout,
    roles: Roles,
    classes: list[Classes],
    names: Names,
    survey: Survey,
    chooser: Chooser,
) -> None:
    """Labels in the images' paths, and no table of them."""
    chosen = choose_classes(classes, survey, chooser)
    if chosen.pattern is not None:
        layout.prepare["label_pattern"] = chosen.pattern
    parent, counts = chosen.folder, chosen.counts
    labels = pd.DataFrame({"label": np.repeat([*counts], [*counts.values()])}, dtype=str)
    sample = targets.sample_of(roles.sample.rows if roles.sample else None)
    test_ids = sample_ids(roles)
    layout.prepare["train_images"] = parent
    if roles.sample is not None:
        layout.prepare["id_column"] = roles.sample.columns[0]
    if sample is not None and len(sample.targets) == 1:
        layout.prepare["label_column"] = sample.targets[0]
    if roles.test is not None and (found := find_ids(roles.test, names)):
        layout.prepare["id_column"] = found[0]
        test_ids = roles.test.rows[found[0]]
    _choose_goal(layout, labels, sample, chooser, one=True)
    _choose_test(layout, test_ids, names, survey, chooser)
    inside = [name for name in survey.images if name.startswith(f"{parent}/" if parent else "")]
    layout.look = look(survey.archive, inside)


def _from_pixels(
    layout: Layout, roles: Roles, train: Table, pixels: Pixels, chooser: Chooser
) -> None:
    """The images stand in the tables.

    Raises:
        UserError: if there is no such test table, or its rows cannot be told apart.
    """
    if roles.test is None or roles.test.pixels is None:
        raise UserError(
            f"{train.name} holds the images' pixels, but no other table has the same "
            f"columns of pixels ({examples(pixels.columns, 2)}) for the test"
        )
    ids = choose_unique(train, chooser)
    own = [column for column in roles.test.columns if column != ids and column not in train.columns]
    if ids is not None and ids not in roles.test.columns:
        raise UserError(
            f"{roles.test.name} lacks the id column {ids} of {train.name}: rename its own, or "
            "count the rows of both: --id-column none"
        )
    if ids is None and roles.sample is not None:
        check_order(roles.test, own, roles.sample)
    layout.prepare["pixel_columns"] = pixels.prefix
    _use_table(layout, roles, train, ids, chooser)
    side, channels = pixels.side, pixels.channels
    grey = channels == 1
    if not grey:
        layout.prepare["pixel_order"], grey = choose_order(pixels, chooser)
    layout.look = Look(side, side, grey)
    layout.notes.append(f"{train.name}: {side} x {side} pixels{' of RGB' * (channels == 3)} a row")


def _use_table(
    layout: Layout, roles: Roles, train: Table, ids: str | None, chooser: Chooser
) -> None:
    """The columns of the training table, and what follows from its labels."""
    sample = targets.sample_of(roles.sample.rows if roles.sample else None)
    labels = choose_labels(train, ids, sample, chooser)
    columns = labels if isinstance(labels, list) else [labels]
    layout.prepare.update(train_csv=train.name, id_column=ids, label_column=labels)
    _choose_goal(layout, train.rows[columns], sample, chooser)
    group = choose_groups(train, [ids, *columns], chooser)
    layout.prepare["group_column"] = group
    if left := [c for c in train.columns if c not in (ids, group, *columns)]:
        layout.notes.append(f"{train.name}: the columns {examples(left)} are left aside")


def _choose_goal(
    layout: Layout,
    labels: pd.DataFrame,
    sample: Sample | None,
    chooser: Chooser,
    *,
    one: bool = False,
) -> None:
    """Task, metric and form. `one`: an image has one label, whatever stands in it."""
    layout.task = targets.choose_task(labels, sample, chooser, one=one)
    several = layout.task == "multilabel" and labels.shape[1] == 1
    values = [value for value in labels.iloc[:, 0].unique() if value.strip()]
    if several:
        separator = targets.separator_of([value.strip() for value in values]) or " "
        layout.prepare["label_separator"] = separator
        layout.separator = targets.separator_of_sample(sample, separator)
        values = [*{part for value in values for part in value.split(separator) if part}]
        if separator != " ":  # whose spaces do not count
            values = [value.strip() for value in values]
    if labels.shape[1] == 1 and layout.task in ("binary", "multiclass", "multilabel"):
        variants = choose_variants(values, sample.targets if sample else [], chooser)
        if variants is not None:
            layout.prepare["label_variants"] = variants
    classes = values if labels.shape[1] == 1 else [*labels.columns]
    layout.metric = targets.choose_metric(
        layout.task, sample, classes, several=several, chooser=chooser
    )
    layout.format = targets.choose_form(layout.task, sample, classes, chooser)


def _test_table(layout: Layout, roles: Roles, ids: str) -> Table | None:
    """The test table, if its ids have the training table's column.

    Raises:
        UserError: if they have not, and no sample submission names the test images instead.
    """
    test = roles.test
    if test is None or ids in test.columns:
        return test
    problem = f"{test.name} has no column {ids}; it has {examples(test.columns)}"
    if roles.sample is None:
        raise UserError(f"{problem}: rename it there, or name another by --id-column")
    layout.prepare["test_csv"] = None
    layout.notes.append(f"{problem}: the ids are those of {roles.sample.name}")
    return None


def _choose_test(
    layout: Layout, ids: pd.Series | None, names: Names, survey: Survey, chooser: Chooser
) -> None:
    """The folder of the test images, which `ids` name; None: its files are the ids."""
    if ids is None:
        folder = choose_unlisted(survey, layout.prepare["train_images"], chooser)
    else:
        folder, _ = choose_folder("test", ids.tolist(), names, survey, chooser)
    layout.prepare["test_images"] = folder


def _leave_out_missing(layout: Layout, missing: list[str], chooser: Chooser) -> None:
    if missing:
        why = f"{len(missing)} training images are not in the archive: {examples(missing, 3)}"
        guess = Guess("prepare.on_bad_image", "skip", "a guess", why, ("error", "blank"))
        layout.prepare["on_bad_image"] = chooser.choose(guess)
