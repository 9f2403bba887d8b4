"""Infer a competition's layout from a survey of its files and the user's answers."""

from collections.abc import Mapping
from contextlib import suppress

from podium.competition.text.names import is_hidden
from podium.core.errors import UserError, examples
from podium.init import (
    channels,
    class_lists,
    columns,
    folders,
    goal,
    groups,
    id_columns,
    id_patterns,
    label_columns,
    metadata,
    missing_images,
    missing_labels,
    more_tables,
    name_groups,
    other_jobs,
    path_labels,
    pixels,
    raters,
    read_goal,
    roles,
    sample_rows,
    table_checks,
    test_set,
    unread,
    unused,
)
from podium.init.layout import Layout
from podium.init.long_rows import LongRows
from podium.init.path_labels import LabeledFolder
from podium.init.recorder import Recorder
from podium.init.roles import Roles
from podium.init.survey import ImageStats, Survey, Table


def understand(survey: Survey, answers: Mapping[str, str]) -> Layout:
    """Infer the layout of a competition: a pure function that neither reads files nor asks.

    `answers`, by key of params.yaml, replace guesses. If the files cannot be used as guessed, or an
    answer is impossible, the layout's `error` says why, and it contains the guesses up to there.
    """
    reader = _Reader(survey, answers)
    try:
        reader.read()
    except UserError as error:
        reader.layout.error = unread.explain(error, survey)
    return reader.layout


class _Reader:
    """Fills in a layout, guess by guess."""

    def __init__(self, survey: Survey, answers: Mapping[str, str]) -> None:
        self.survey, self.answers = survey, answers
        self.record = Recorder(survey, answers)
        self.long: LongRows | None = None
        self.layout = self.record.layout

    def read(self) -> None:
        """Find the tables, then the labels: in a table of pixels, in paths, or in a table of ids.

        Raises:
            UserError: if there is nothing to train on or to predict.
        """
        survey = self.survey
        table_checks.check_readable(survey)
        tables = self._roles()
        survey, train = self.survey, tables.train
        table_checks.check_labels_have_images(survey, tables, self._identifies)
        pattern = self.answers.get("prepare.label_pattern")
        has_ids = train is not None and self._identifies(train)
        labeled, has_ids = table_checks.find_labeled(survey, train, pattern, has_ids=has_ids)
        if train is not None and train.pixels is not None:
            self._read_pixels(tables, train, train.pixels)
        elif labeled and (not has_ids or pattern or table_checks.lacks_labels(tables, labeled)):
            self._read_paths(tables, labeled)
        elif train is not None and survey.images:
            self._read_table(tables, train)
        else:
            if train is not None:  # what its columns say, although it is of no use without images
                with suppress(UserError):
                    ids = self.record.take(id_columns.guess_row_ids(train))
                    self._read_columns(tables, train, ids)
            roles.fail_without_labels(survey)
        if train is not None and self.layout.prepare["train_csv"] is not None:
            metadata.read(self.record, train, tables.test)
        has_pixels = train is not None and train.pixels is not None
        is_open = folders.ON_BAD_IMAGE in self.answers and "on_bad_image" not in self.record.prepare
        if is_open and not has_pixels:  # nothing is missing, but images may be damaged
            self.record.take(missing_images.guess((), ()))
        unused.note(self.record, self.survey, has_pixels=has_pixels)

    def _roles(self) -> Roles:
        by_name = {table.name: table for table in self.survey.tables}
        sample = by_name.get(self.record.take(roles.guess_sample(self.survey.tables)))
        if sample is not None:
            sample, self.survey, self.long = sample_rows.read(self.record, self.survey, sample)
        by_name = {table.name: table for table in self.survey.tables}
        candidates = roles.without_samples(self.survey.tables, sample)
        guess = roles.guess_train(candidates, sample, self._identifies)
        train = by_name.get(self.record.take(guess))
        candidates = [table for table in candidates if table is not train]
        guess = roles.guess_test(candidates, train, self.survey.id_columns)
        test = by_name.get(self.record.take(table_checks.why_no_test(guess, candidates, self.long)))
        return Roles(train, test, sample, classes=self.long.classes if self.long else ())

    def _identifies(self, table: Table) -> bool:
        """Whether a table has ids of images."""
        is_part = self.survey.id_patterns[table.name] is not None
        return is_part or self.survey.id_columns[table.name] is not None

    def _read_table(self, tables: Roles, train: Table) -> None:
        """A table of ids and labels, and image files."""
        survey = self.survey
        candidates = id_columns.also_in_test(survey, train, tables.test)
        found = survey.id_patterns[train.name]
        guess = id_columns.guess_ids(train, candidates, survey.index, tables)
        if found is not None:
            guess = id_columns.guess_ids_in_names(train, found)
        ids = self.record.take(guess)
        if ids is None:
            raise UserError(f"{guess.reason}. Set the id column with --id-column.")
        if "prepare.label_column" not in self.answers:
            other_jobs.check(train, ids, tables.sample)
        self._read_columns(tables, train, ids)
        values = [value for value in train.rows[ids] if not is_hidden(value)]
        if found is not None and ids == found.column:
            test_set.use_pattern(self.record, survey, tables, found)
        images = test_set.images_of(self.record, survey, values)
        are_paths = "images" in self.record.prepare
        guess = folders.guess_folder("train", images, survey, are_paths=are_paths)
        folder = self.record.take(guess)
        if (pattern := self.record.prepare.get("images")) is not None:
            named = self.record.named(values)
            pattern = id_patterns.below(named, survey.images, folder, pattern)
            self.record.prepare["images"] = pattern
            self.record.note(f"images: an id's images are {pattern}")
        if (submitted := id_columns.guess_submission_ids(survey, tables, ids)) is not None:
            id_columns.check_one_way(submitted, ids, self.record.prepare.get("images"))
            column = self.record.take(submitted)
            assert tables.test is not None
            labels = self.record.prepare["label_column"]
            self.record.take(id_columns.guess_unit_column(train, tables.test, ids, column, labels))
        found_ids = test_set.find_ids(self.record, survey, tables, ids)
        test_set.read(self.record, survey, found_ids, train_ids=values)
        more_tables.read(self.record, survey, train, ids)
        missing_images.read(self.record, survey, tables, images, found_ids)
        unused.note_images(self.record, survey, train, ids)
        parts = [values] if found_ids is None else [values, [*found_ids]]
        channels.read(self.record, survey, folder, [*map(self.record.named, parts)])

    def _read_paths(self, tables: Roles, candidates: list[LabeledFolder]) -> None:
        """Labels in the paths of the images, no training table."""
        survey, prepare = self.survey, self.record.prepare
        if tables.train is not None and "prepare.label_pattern" not in self.answers:
            reason = "no column identifies image files"
            if any(class_lists.lists_classes(tables.train, each) for each in candidates):
                reason = "it lists the classes"
            elif self._identifies(tables.train):
                reason = "no column has the labels of the sample submission"
            reason += "; the labels are taken from the images' paths"
            self.record.drop("prepare.train_csv", reason, "guess")
        self.record.drop("prepare.train_csv", "the labels are in the paths of the images")
        folder = self.record.take(path_labels.guess_folder(candidates, survey))
        labeled = next(candidate for candidate in candidates if candidate.folder == folder)
        if labeled.pattern is not None:
            pattern = self.record.take(path_labels.guess_pattern(labeled, survey))
            labeled = path_labels.with_pattern(folder, pattern, survey)
        else:
            others = {candidate.folder: candidate.counts for candidate in candidates}
            if (more := folders.guess_more(folder, labeled.counts, others)) is not None:
                self.record.take(more)
        sample, test_ids = tables.targets, tables.sample_ids
        if tables.sample is not None:
            prepare["id_column"] = tables.sample.columns[0]
        if sample is not None and len(sample.targets) == 1:
            prepare["label_column"] = sample.targets[0]
        if tables.test is not None and (ids := survey.id_candidates[tables.test.name]):
            prepare["id_column"] = id_columns.choose_ids(ids, tables.sample)[0].name
            test_ids = tables.test.rows[prepare["id_column"]]
        label_map = None
        if (question := class_lists.guess_map(labeled, sample, survey.tables)) is not None:
            label_map = self.record.take(question)
            if question.confidence == "guess":
                self.record.doubt("prepare.train_images", class_lists.ONE_NUMBER)
        name_groups.read(self.record, labeled, survey, are_finer=label_map is not None)
        labels = path_labels.labels_of(labeled, label_map)
        are_classes = label_map is None or len({*label_map.values()}) == len(label_map)
        read_goal.read(self.record, labels, sample, from_paths=are_classes)
        test_set.read(self.record, survey, test_ids, classes=labeled.counts)
        channels.read(self.record, survey, folder)

    def _read_pixels(self, tables: Roles, train: Table, content: pixels.Pixels) -> None:
        """Tables that contain the images."""
        test = tables.test
        if test is None or test.pixels is None:
            raise UserError(
                f"{train.name} contains the pixels of the training images, but no other table has "
                f"the same columns ({examples(content.columns, 2)}) for the test images. Add one."
            )
        ids = self.record.take(id_columns.guess_row_ids(train))
        if ids is not None and ids not in test.columns:
            raise UserError(
                f"{test.name} has no column {ids}, the id column of {train.name}. Rename its id "
                "column, or number the rows of both with --id-column none."
            )
        own = None if ids is not None else id_columns.find_row_ids(test, train, tables.sample)
        if own is not None:
            self.record.prepare["test_id_column"] = own
        self.record.prepare["pixel_columns"] = content.prefix
        self._read_columns(tables, train, ids)
        shape = content.images().shape  # [N, side, side], or [N, side, side, 3]
        side, is_color = shape[1], len(shape) > 3
        order = self.record.take(pixels.guess_pixel_order(content)) if is_color else "interleaved"
        grayscale = pixels.is_grayscale(content, order)
        self.layout.image_stats = ImageStats(side, side, grayscale)
        kind = "RGB" if is_color else "grayscale"
        self.record.note(f"{train.name}: one {kind} image of {side} x {side} per row")

    def _read_columns(self, tables: Roles, train: Table, ids: str | None) -> None:
        """The columns of the training table, and the goal that follows from its labels."""
        labels = self.record.take(label_columns.guess_labels(train, ids, tables, self.survey))
        names = [labels] if isinstance(labels, str) else [*labels]
        is_id = any(ids == column.name for column in self.survey.id_candidates[train.name])
        of_images, sample = ids if is_id else None, tables.targets
        has_raters = raters.have_raters(train.rows, of_images, names, sample)
        per_image = 1.0 if has_raters else goal.labels_per_image(train.rows, of_images, names)
        class_lists.check_numbers(train, names, sample, self.survey.tables)
        read_goal.read(self.record, train.rows[names], sample, per_image=per_image)
        listed = train.rows if ids is None else train.rows[~train.rows[ids].map(is_hidden)]
        unlabeled = columns.guess_unlabeled(
            missing_labels.clear(listed[names], self.record.prepare),
            all_empty=self.layout.task == "multitarget",
        )
        if unlabeled is not None:
            self.record.take(unlabeled)
        if has_raters:
            self.record.take(raters.guess_raters(self.layout.task))
        if self.long is not None and train.name == self.long.train and self.long.values is not None:
            reason = f"{train.name} has a row for each label of each image"
            self.record.revise("prepare.label_column", self.long.values, reason)
        used = [ids, *names]
        self.record.take(groups.guess_groups(train, of_images, used, tables.test))
