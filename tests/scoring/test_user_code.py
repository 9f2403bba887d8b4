import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.scoring import decisions, metrics
from podium.scoring.metrics import Metric
from podium.scoring.task import Task

TASK = Task("multiclass", ["a", "b", "c"])
TARGETS = np.array([0, 1, 2, 2])
LOGITS = 4.0 * np.eye(3)[[0, 1, 2, 0]]

Load = Callable[..., Metric]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads `score` of custom/mine.py with the given code, in a project's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("custom").mkdir()

    def loaded(code: str, task: TaskName = "multiclass") -> Metric:
        Path("custom/mine.py").write_text(code)
        return metrics.get("custom/mine.py:score", task)

    yield loaded
    for name in [name for name in sys.modules if name.partition(".")[0] == "custom"]:
        del sys.modules[name]


def test_a_user_defined_metric_scores_labels(load: Load) -> None:
    metric = load(
        "def score(targets, labels): return (targets != labels).sum()\n"
        "score.inputs, score.greater_is_better = 'labels', False\n"
    )
    assert decisions.score(TASK, metric, TARGETS, LOGITS) == 1
    assert metric.rank(1.0) > metric.rank(2.0)
    assert (metric.name, metric.tune_for) == ("custom/mine.py:score", ())


def test_it_scores_probabilities_by_default_and_values_of_a_regression(load: Load) -> None:
    code = "def score(targets, predictions): return predictions.max()\n"
    assert decisions.score(TASK, load(code), TARGETS, LOGITS) == pytest.approx(0.9647, abs=1e-4)
    number, column = Task("regression", ["age"]), np.array([[1.0], [7.0]])
    assert decisions.score(number, load(code, "regression"), column, column) == 7


def test_a_callable_object_has_the_attributes_of_its_class(load: Load) -> None:
    metric = load(
        "class Score:\n"
        "    inputs, weights = 'labels', [1, 2]\n"
        "    def __call__(self, targets, labels): return (targets == labels).mean()\n"
        "score = Score()\n"
    )
    assert metric.inputs == "labels"
    assert decisions.score(TASK, metric, TARGETS, LOGITS) == 0.75


def test_it_may_change_its_arguments(load: Load) -> None:
    code = "def score(t, p, sample_weight=None):\n    t *= 0\n    p *= 0\n    return 0.5\n"
    targets, counts = TARGETS.copy(), np.ones(4, int)
    decisions.score(TASK, load(code), targets, LOGITS)
    metric = load(code.replace("p *= 0", "sample_weight *= 0") + "score.inputs = 'labels'\n")
    decisions.score_labels(TASK, metric, targets, targets, counts=counts)
    assert (targets == TARGETS).all() and (counts == 1).all()


@pytest.mark.parametrize(
    ("task", "tasks"), [("binary", ("binary",)), ("ordinal", ("ordinal",)), ("multiclass", ())]
)
def test_it_can_ask_for_tuned_thresholds(
    load: Load, task: TaskName, tasks: tuple[TaskName, ...]
) -> None:
    code = "def score(targets, labels): return 0\nscore.inputs = 'labels'\n"
    metric = load(code + "score.tune_thresholds = True\n", task)
    assert metric.tune_for == tasks


def test_counted_images_are_repeated_for_a_function_without_sample_weight(load: Load) -> None:
    metric = load("def score(targets, labels): return len(targets)\nscore.inputs = 'labels'\n")
    counts = np.array([3, 1, 2, 4])
    assert decisions.score_labels(TASK, metric, TARGETS, TARGETS, counts=counts) == 10


def test_its_hash_covers_the_files_below_custom_that_it_imports(load: Load) -> None:
    code = "from custom import helper\nfrom .parts import other\nimport src\nscore = helper.score\n"
    Path("src.py").write_text("")
    Path("custom/parts").mkdir()
    Path("custom/parts/other.py").write_text("OTHER = 1\n")
    Path("custom/unused.py").write_text("")
    Path("custom/helper.py").write_text("def score(targets, predictions): return 3\n")
    metric = load(code)
    files = ("helper.py", "mine.py", "parts/other.py")
    expected = hashlib.sha256(b"".join(Path("custom", name).read_bytes() for name in files))
    assert metric.sha256 == expected.hexdigest()
    assert decisions.score(TASK, metric, TARGETS, LOGITS) == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def score(t, p):\n    raise IndexError",
            r"mine.py:score .*IndexError in mine\.py, line 2",
        ),
        (
            "import numpy\ndef score(t, p): return numpy.ones(2) @ numpy.ones(3)",
            r"ValueError in mine\.py, line 2",
        ),
        ("score = lambda *_: None", r"targets \[4\] and predictions \[4, 3\]: TypeError"),
        ("score = lambda *_: float('nan')", "mine.py:score is undefined on these 4 images"),
        ("score = 3", r"custom/mine\.py has no function score\. Define it\.$"),
        ("def scores(t, p): pass", r"mine\.py has no function score: did you mean scores\?"),
        ("import nowhere", r"ModuleNotFoundError in mine\.py, line 1"),
        ("def score(t, p: pass", r"SyntaxError: .*mine\.py, line 1"),
        ("import sys\ndef score(t, p): sys.exit(0)", r"SystemExit in mine\.py, line 2"),
        ("raise SystemExit(0)", r"SystemExit in mine\.py, line 1"),
        ("def score(t, p): pass\nscore.takes = 'labels'", "Use inputs"),
        ("def score(t, p): pass\nscore.greater_is_beter = False", "mean greater_is_better"),
        ("def score(t, p): pass\nscore.maximize = False", "maximize. Choose from inputs"),
        ("def score(t, p): pass\nscore.inputs = 'label'", "inputs must be .* not 'label'"),
        ("def score(t, p): pass\nscore.greater_is_better = 'no'", "greater_is_better .* not 'no'"),
        ("def score(t, p): pass\nscore.tune_thresholds = True", "requires inputs = 'labels'"),
    ],
)
def test_what_is_wrong_with_it_is_reported_as_the_users(
    load: Load, code: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        decisions.score(TASK, load(code), TARGETS, LOGITS)


@pytest.mark.parametrize("name", ["custom/mine.py", "mine.py", "custom/mine"])
def test_a_name_without_a_function_is_an_error_about_the_function(name: str) -> None:
    expected = rf"metric: .* is not {name}\. Write it as custom/<file>\.py:<function>\.$"
    with pytest.raises(UserError, match=expected):
        metrics.get(name, "binary")


@pytest.mark.usefixtures("load")
def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(UserError, match=r"custom/none\.py:score"):
        metrics.get("custom/none.py:score", "binary")
