"""What an export says of itself: all that the kernel needs beside the weights and its code."""

from pathlib import Path

from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import checksums, files
from podium.core.errors import UserError
from podium.core.provenance import Averaging
from podium.core.section import Section
from podium.scoring.decisions import DecisionRule

CONFIG = "podium.json"
SOURCE = "source"  # the folder of our code, or .zip: Kaggle unpacks archives
AGAIN = "export it again: `make kernel`"


class Fold(Section):
    """The weights of one model and fold."""

    file: str
    sha256: str
    """Of the file."""


class Member(Section):
    """One model of the ensemble."""

    name: str
    weight: float
    averaging: Averaging
    folds: list[Fold]


class Exported(Section):
    """What makes a submission of test images, resolved: nothing here is fitted or told anew."""

    competition: str
    task: TaskName
    classes: list[str]
    metric: str | None
    deterministic: bool
    prepare: Prepare
    predict: Predict
    submission: Submission
    """The form that was told from the sample submission here."""
    members: list[Member]
    decision: DecisionRule
    known: list[str]
    """The test ids that were predicted here, in their order."""


def write(path: Path, exported: Exported) -> None:
    """Write `exported` to `path` as JSON with its checksum."""
    sealed = checksums.sign(exported.model_dump(mode="json"), [])
    files.write_text(path, sealed + "\n")


def read(folder: Path) -> Exported:
    """The export in `folder`, with all its weights.

    Raises:
        UserError: if it is not there, or one of its files is not what was exported.
    """
    path = folder / CONFIG
    data = files.read(path)
    try:
        values, _ = checksums.verify(data, [], path=path)
    except UserError:
        raise UserError(f"{path} is damaged: {AGAIN}") from None
    exported = Exported.model_validate(values)
    wanted = {fold.file: fold.sha256 for member in exported.members for fold in member.folds}
    if missing := [name for name in wanted if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} lacks {len(missing)} of {len(wanted)} files of weights: "
            f"{', '.join(missing)}; {AGAIN}"
        )
    if other := [n for n, sha256 in wanted.items() if files.sha256(folder / n) != sha256]:
        raise UserError(
            f"{len(other)} of {len(wanted)} files of weights in {folder} are damaged, or not those "
            f"that were exported: {', '.join(other)}; {AGAIN}"
        )
    return exported
