"""Try a layout with the code of the stages prepare and submission, without writing anything."""

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core import validation
from podium.dataset import tables
from podium.dataset.image_files import check_distinct, find_images, match_images
from podium.dataset.tables import Tables
from podium.init.layout import Layout
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat


def dry_run(archive: Archive, layout: Layout) -> Tables:
    """Read the tables as the stage prepare does, match the images, and check the submission format.

    Raises:
        UserError: if prepare or submission would fail.
    """
    config, problems = validation.check(Prepare, layout.prepare, at="prepare")
    if problems:
        raise validation.error(problems, source="params.yaml")
    options = Submission(**layout.submission)
    content = tables.read(archive, config, layout.task)
    if config.pixel_columns is None:
        _match(archive, content.train["id"].tolist(), config.train_images,
               is_strict=config.on_bad_image == "error")  # fmt: skip
        _match(archive, content.test["id"].tolist(), config.test_images, is_strict=True)
    metric = metrics.get(layout.metric, layout.task)
    SubmissionFormat.detect(content.sample, Task(layout.task, content.classes), metric, options)
    return content


def _match(archive: Archive, ids: list[str], folder: str, *, is_strict: bool) -> None:
    match = match_images if is_strict else find_images
    check_distinct(ids, match(archive.names, ids, folder=folder))
