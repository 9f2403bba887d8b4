"""Checks of several targets (`task: multitarget`): what their settings need, and what does not
support them; see `checks`.
"""

from collections.abc import Iterator, Mapping

from podium.config.models import Model
from podium.config.prepare import Prepare
from podium.config.submission import FORMATS, Submission
from podium.config.tasks import TaskName
from podium.core.validation import Problem
from podium.params import libraries

NO_TARGETS = "does not support task: multitarget"


def columns(task: TaskName, prepare: Prepare) -> Iterator[Problem]:
    """Check that the label columns have tasks if, and only if, there are several targets."""
    if task != "multitarget":
        if prepare.target_tasks:
            yield "prepare.label_column", "a task per column requires task: multitarget"
        return
    if not prepare.target_tasks:
        text = (
            "task: multitarget requires the task of each column, as in {a: multiclass, b: binary}"
        )
        yield "prepare.label_column", text


def losses(name: str, model: Model, prepare: Prepare) -> Iterator[Problem]:
    """Check the losses of the targets, and what a model with several cannot do."""
    from podium.models import target_losses

    problems: list[Problem] = []
    tasks: Mapping[str, TaskName] = prepare.target_tasks
    with libraries.collect(problems, f"models.{name}"):
        target_losses.configs(model, tasks)
    yield from problems
    if model.pseudo_labels is not None:
        yield f"models.{name}.pseudo_labels", NO_TARGETS
    if any(phase.init_from == "probe" for phase in model.phases):
        yield f"models.{name}.phases", f"init_from: probe {NO_TARGETS}"


def submission(task: TaskName, submission: Submission, prepare: Prepare) -> Iterator[Problem]:
    """Check the format of each target."""
    if task != "multitarget" or submission.format == "auto":
        return
    if isinstance(submission.format, str):
        text = f"{submission.format} cannot be that of all targets. Use auto, or one for each"
        yield "submission.format", text
        return
    tasks = prepare.target_tasks
    for target, name in submission.format.items():
        if target not in tasks:
            text = f"{target} is not a target. Choose from {', '.join(tasks)}."
            yield "submission.format", text
        elif name == "columns" or (name != "auto" and tasks[target] not in FORMATS[name]):
            text = f"{name} does not support the target {target}, task: {tasks[target]}."
            yield "submission.format", text


def unsupported(task: TaskName, prepare: Prepare) -> Iterator[Problem]:
    """Check settings of the section prepare that are about a single target."""
    if task != "multitarget":
        return
    if prepare.raters not in ("error", "first"):
        yield "prepare.raters", f"{prepare.raters} {NO_TARGETS}. Use first."
