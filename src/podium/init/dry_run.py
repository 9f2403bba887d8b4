"""Try a layout with the code of the stages prepare and submission, without writing anything."""

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core import validation
from podium.dataset import build, tables
from podium.dataset.tables import Tables
from podium.init.layout import Layout
from podium.scoring import metrics
from podium.submission import target_formats
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
        build.match_images(archive, content.ids, config)
    metric = metrics.get(layout.metric, layout.task)
    task = content.task(layout.task)
    if task.parts:
        target_formats.detect(content.sample, task, metric, options)
    else:
        SubmissionFormat.detect(content.sample, task, metric, options)
    return content
