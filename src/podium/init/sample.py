"""What the sample submission says about the targets, the metric and the format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from podium.competition.text import cell_lists
from podium.competition.text.names import NUMBER, canonical
from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.init.guesses import Guess
from podium.scoring import metrics

INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
LABEL_SEPARATORS = ("|", ";", ",", "/", "+", "&", " and ", " ")
USUAL_METRICS: dict[TaskName, tuple[str, str]] = {
    "regression": ("rmse", "the usual metric for regression"),
    "ordinal": ("quadratic_weighted_kappa", "the usual metric for ordinal labels"),
}
OFTEN_MEANT = {  # metrics that the files do not distinguish from another
    "accuracy": ("macro_f1", "micro_f1"),
    "samples_f1": ("macro_f1", "micro_f1"),
}
PROBABILITY_METRICS = {name for name, m in metrics.METRICS.items() if m.inputs == "probabilities"}


@dataclass(frozen=True)
class Sample:
    """The sample submission after its id column."""

    targets: list[str]  # columns
    values: list[str]  # distinct values of the only target, the most frequent first
    by_target: dict[str, list[str]] = field(default_factory=dict)  # those of several targets
    classes: Sequence[str] = ()  # of several targets that have a column per class in the file

    def of(self, target: str) -> "Sample":
        """What it shows of one of several targets."""
        return Sample([target], self.by_target.get(target, []))

    @property
    def value(self) -> str | None:
        """An example value of the only target."""
        return self.values[0] if self.values else None

    @property
    def has_fractions(self) -> bool:
        """Whether all values are numbers, at least one with a decimal point."""
        return are_numbers(self.values) and any("." in value for value in self.values)

    @property
    def has_measurements(self) -> bool:
        """Whether there are several numbers, and not all are whole: no levels or placeholders."""
        are_several = len(self.values) > 1 and are_numbers(self.values)
        return are_several and not all(float(value).is_integer() for value in self.values)

    @property
    def has_one_number(self) -> bool:
        """Whether the only value is a number, as in a placeholder."""
        return len(self.values) == 1 and are_numbers(self.values)

    @property
    def has_scores(self) -> bool:
        """Whether the values can be scores: a placeholder, fractions, or 0 and 1."""
        return self.has_one_number or self.has_fractions or {*self.values} == {"0", "1"}

    def has_integers_but(self, classes: Sequence[str]) -> bool:
        """Whether all values are integers, and not all of them are `classes`."""
        is_integer = bool(self.values) and all(INTEGER.fullmatch(value) for value in self.values)
        return is_integer and not {*map(canonical, self.values)} <= {*map(canonical, classes)}


def read_sample(rows: pd.DataFrame) -> Sample | None:
    """Read the targets from the rows of a sample submission, whose first column is the id."""
    if rows.shape[1] < 2:
        return None
    targets = [str(column) for column in rows.columns[1:]]

    def values(place: int) -> list[str]:
        cells = rows.iloc[:, place].str.strip().value_counts().index.tolist()
        return [cell for cell in cells if cell]

    if len(targets) == 1:
        return Sample(targets, values(1))
    return Sample(targets, [], {name: values(place) for place, name in enumerate(targets, 1)})


def are_numbers(values: Sequence[str]) -> bool:
    """Whether there are values, and all of them are finite numbers."""
    return bool(values) and all(NUMBER.fullmatch(value) for value in values)


def separator_in(sample: Sample | None, labels: Sequence[str], default: str) -> str:
    """The separator of `labels` in the sample submission with its spaces; `default` if it
    has none.
    """
    text = "\n".join(sample.values) if sample is not None else ""
    if sample is not None and cell_lists.are_bracketed(sample.values):
        return " "  # is not used
    marks = [mark for mark in LABEL_SEPARATORS if not any(mark in label for label in labels)]
    found = next((mark for mark in (default, *marks) if mark in text), default)
    spaced = re.search(rf" *{re.escape(found)} *", text)
    return spaced[0] if spaced is not None and found != " " else found


def guess_metric(
    task: TaskName, sample: Sample | None, classes: Sequence[str], *, has_lists: bool
) -> Guess:
    """The usual metric for the task and for such a sample submission.

    `has_lists`: cells of the training table contain several labels.
    """
    value, reason = _metric(task, sample, classes, has_lists)

    def parse(answer: str) -> str:
        try:
            metrics.check_name(answer, task)
        except ValueError as error:
            raise UserError(str(error)) from None
        return answer

    plausible = OFTEN_MEANT.get(value, ())
    names = (name.replace("@k", "@5") for name in (*plausible, *metrics.names(task)))
    others = dict.fromkeys(n for n in names if metrics.family(n) != metrics.family(value))
    if plausible:
        reason += f"; {' and '.join(plausible)} are as common"
    reason += "; check the competition's evaluation page"
    return Guess("metric", value, "guess", reason, tuple(others), parse)


def _metric(
    task: TaskName, sample: Sample | None, classes: Sequence[str], has_lists: bool
) -> tuple[str, str]:
    if task in USUAL_METRICS:
        return USUAL_METRICS[task]
    has_columns = sample is not None and len(sample.targets) > 1
    if has_columns or (task == "multilabel" and not has_lists):
        metric = "roc_auc" if task == "multilabel" else "log_loss"
        return metric, "the submission has one column per class"
    if task == "multilabel":
        return "samples_f1", "the submission lists labels in one column"
    if task == "binary" and (reason := _probability_in(sample, classes)):
        return "roc_auc", reason
    return _metric_of_labels(task, sample, classes)


def _metric_of_labels(
    task: TaskName, sample: Sample | None, classes: Sequence[str]
) -> tuple[str, str]:
    values = [] if sample is None else sample.values
    if cell_lists.confidence_separator({*values} - {*classes}) is not None:
        reason = f"the sample submission contains {values[0]}: a label and its confidence"
        return "gap" if task == "multiclass" else "accuracy", reason
    if sample is not None and task == "multiclass" and (top := labels_per_row(sample, classes)) > 1:
        return f"map@{top}", f"the sample submission lists {top} labels per image"
    return "accuracy", "the submission contains one label per image"


def _probability_in(sample: Sample | None, classes: Sequence[str]) -> str | None:
    """Why a binary submission contains probabilities; None if the sample clearly has labels: both
    classes, or one that is not 0 or 1.
    """
    if sample is not None and sample.has_fractions:
        return f"the sample submission contains {sample.value}, a probability"
    if sample is not None and sample.values and not sample.has_one_number:
        return None
    if are_numbers(classes) and {float(name) for name in classes} != {0, 1}:
        return None
    if sample is not None and sample.value is not None:
        return (
            f"{sample.value} in all rows of the sample submission may stand for a label or a "
            "probability: accuracy, roc_auc, f1 and log_loss would all fit"
        )
    if are_numbers(classes):
        return "probabilities of 0 and 1 are usual"
    return None


def contradiction(task: TaskName, sample: Sample | None, classes: Sequence[str]) -> str | None:
    """Why the sample submission's only column contradicts these classes; None if it does not.
    Numbers may be classes or probabilities.
    """
    if sample is None or not sample.values or task == "multilabel":
        return None
    if task in ("regression", "ordinal"):
        shown = examples(sample.values, 2)
        is_number = are_numbers(sample.values)
        return None if is_number else f"the sample submission contains {shown}, not a number"
    if task == "multiclass" and sample.has_fractions:
        return f"the sample submission contains {sample.value}, one fraction per image"
    known = {canonical(name) for name in classes}
    parts = {canonical(part) for value in sample.values for part in re.split(r"[\s,;|]+", value)}
    if are_numbers(sample.values) or known & (parts | {*map(canonical, sample.values)}):
        return None
    return f"the sample submission contains {examples(sample.values, 2)}, not a label"


def labels_per_row(sample: Sample, classes: Sequence[str]) -> int:
    """How many labels each row lists, with something between them that no class name contains; 1 if
    rows differ. Labels between spaces need not be classes, as in "new_whale w_1 w_2".
    """
    for mark in (" ", *LABEL_SEPARATORS):
        lists = [*cell_lists.split(sample.values, mark).values()]
        counts = {len(labels) for labels in lists}
        known = mark == " " or any(label in classes for labels in lists for label in labels)
        if len(counts) == 1 and counts != {1} and known and not any(mark in c for c in classes):
            return counts.pop()
    return 1


def guess_format(
    task: TaskName, metric: str, sample: Sample | None, classes: Sequence[str]
) -> Guess:
    """The submission's format: "number" if the sample has integers that are not classes although
    some classes are names, else "auto". In a binary task a metric of probabilities decides for
    them, even if the sample has class names.
    """
    if task == "binary" and metric in PROBABILITY_METRICS and _has_names(sample, classes):
        shown = examples(sample.values if sample is not None else [])
        reason = f"{metric} scores probabilities, but the sample submission contains {shown}"
        return Guess("submission.format", "probability", "guess", reason, ("label",))
    has_labels = task == "multiclass" or (task == "binary" and metric not in PROBABILITY_METRICS)
    has_names = not are_numbers(classes)
    if sample is not None and has_labels and has_names and sample.has_integers_but(classes):
        reason = f"the sample submission contains {sample.value}, a class index"
        return Guess("submission.format", "number", "likely", reason, ("label",))
    return Guess("submission.format", "auto", "certain", _describe(sample))


def _has_names(sample: Sample | None, classes: Sequence[str]) -> bool:
    """Whether the sample contains classes, which are not 0 and 1."""
    values = set(sample.values) if sample is not None else set()
    return bool(values) and values <= set(classes) and not values <= {"0", "1"}


def _describe(sample: Sample | None) -> str:
    if sample is None:
        return "no sample submission: the ids and the columns that the metric requires"
    if len(sample.targets) > 1:
        return f"like the sample submission: {len(sample.targets)} columns after the id"
    if sample.value is None:
        return f"like the sample submission, whose column {sample.targets[0]} is empty"
    return f"like the sample submission, where {sample.targets[0]} is {sample.value}"
