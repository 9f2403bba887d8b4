"""Whether prepare takes what is guessed, and a submission can be made in the sample's form."""

from pydantic import ValidationError

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.dataset import tables
from podium.dataset.image_files import check_distinct, find_images, match_images
from podium.dataset.tables import Tables
from podium.init.layout import Layout
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat


def try_out(archive: Archive, layout: Layout) -> Tables:
    """The competition's tables as prepare will read them, each image found.

    Raises:
        UserError: with what prepare or submission would say, and what may help.
    """
    try:
        made = Prepare(**layout.prepare)
        found = tables.read(archive, made, layout.task)
        if made.pixel_columns is None:
            for part, folder in (("train", made.train_images), ("test", made.test_images)):
                ids = getattr(found, part)["id"].tolist()
                strict = made.on_bad_image == "error" or part == "test"
                check = match_images if strict else find_images
                check_distinct(ids, check(archive.names, ids, folder=folder))
        metric, options = metrics.get(layout.metric, layout.task), Submission(**layout.submission)
        SubmissionFormat.detect(found.sample, Task(layout.task, found.classes), metric, options)
    except (UserError, ValidationError) as error:
        text = str(error)
        if isinstance(error, ValidationError):
            text = "; ".join(problem["msg"] for problem in error.errors())
        raise UserError(
            f"{text}\n  This comes of the guesses above, and nothing is written. If one of them "
            "is wrong, say so: --id-column, --label-column, --group-column, --task"
        ) from None
    return found
