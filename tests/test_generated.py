"""Made-up competitions: a valid submission or one error, and never a wrong id."""

from collections.abc import Iterator
from pathlib import Path

import in_process
import numpy as np
import pandas as pd
import pytest
from conftest import PROPERTY_SEED
from generated import Competition, competitions, pack
from hypothesis import HealthCheck, given, seed, settings

from podium.core import csvs, files, params_file, seeding
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.images.store import ImageStore
from podium.params import schema
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

pytestmark = pytest.mark.slow

DATA = Path("data")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("generated"))
        patch.setenv("PODIUM_WORKERS", "1")  # starting more would take longer than the work
        yield


def run(made: Competition) -> str | None:
    """From the files to a submission, in the working directory. Returns the error, if any."""
    try:
        in_process.init_project(pack(made.files) if made.archive is None else made.archive)
        in_process.prepare_project()
        submit()
    except UserError as error:
        return str(error)
    return None


def submit() -> None:
    """Write a submission of made-up predictions."""
    params = schema.validate(params_file.read(params_file.PARAMS))
    prepared = Manifest(DATA / "prepared.json")
    task = Task.read(prepared)
    ids = prepared.csv("test.csv")["id"].tolist()
    logits = logits_of(ids, len(task.classes))
    table = write.fill(
        prepared.csv("sample_submission.csv"),
        ids,
        logits,
        task=task,
        rule=DecisionRule(),
        metric=metrics.get(params.metric, task.name),
        options=params.submission,
    )
    files.write_csv(Path("submissions/made.csv"), table)


def logits_of(ids: list[str], classes: int) -> np.ndarray:
    """Made-up predictions, a function of the id: float32 [N, classes]."""
    rows = [seeding.generator("made up", image).normal(size=classes) for image in ids]
    return np.array(rows, np.float32)


def check_values(
    submission: pd.DataFrame, task: Task, ids: list[str], form: SubmissionFormat
) -> None:
    """Check that each id has its own prediction."""
    probabilities = task.probabilities(logits_of(ids, len(task.classes)))
    row = dict(zip(ids, probabilities, strict=True))
    columns = submission.columns[1:].tolist()
    for image, *cells in submission.itertuples(index=False):
        expected = dict(zip(task.classes, row[image], strict=True))
        if len(columns) > 1:
            submitted = dict(zip(columns, map(float, cells), strict=True))
            assert submitted == pytest.approx(expected, abs=1e-6)
        elif form.name == "probability":
            assert float(cells[0]) == pytest.approx(row[image][1], abs=1e-6)
        elif task.name == "regression":
            assert float(cells[0]) == pytest.approx(row[image][0], abs=1e-4)
        elif task.name == "multilabel":
            assert {*filter(None, cells[0].split(form.lists.separator))} == {
                name for name, p in expected.items() if p > 0.5
            }
        else:
            assert cells[0] == max(expected, key=expected.__getitem__)


def check(made: Competition) -> None:
    """Check the header and ids of the submission, and the label and image of each id."""
    prepared = Manifest(DATA / "prepared.json")
    train, test = prepared.csv("train.csv"), prepared.csv("test.csv")
    task = prepared.facts["task"]
    labels = dict(zip(train["id"], train["label"], strict=True))
    assert labels.keys() <= made.labels.keys()
    if task == "regression":
        assert {i: float(x) for i, x in labels.items()} == {
            i: float(made.labels[i]) for i in labels
        }
    elif "an odd label" not in made.faults and "an id twice" not in made.faults:
        assert {i: set(x.split("|")) for i, x in labels.items()} == {
            i: set(made.labels[i].split("|")) for i in labels
        }
    submission = csvs.read(Path("submissions/made.csv"))
    if made.header is not None:
        assert submission.columns.tolist() == made.header
        assert submission.iloc[:, 0].tolist() == made.test
    assert sorted(submission.iloc[:, 0]) == sorted(made.test)
    assert sorted(test["id"]) == sorted(made.test)
    params = schema.validate(params_file.read(params_file.PARAMS))
    form = SubmissionFormat.detect(
        prepared.csv("sample_submission.csv"),
        Task.read(prepared),
        metrics.get(params.metric, task),
        params.submission,
    )
    check_values(submission, Task.read(prepared), test["id"].tolist(), form)
    values = submission.iloc[:, 1:]
    if task != "multilabel" or values.shape[1] > 1:
        assert (values != "").all(axis=None)
    for part, ids in (("train", train["id"]), ("test", test["id"])):
        store = ImageStore(DATA / "images" / part)
        assert len(store) == len(ids)
        for image in ids:
            expected = made.colors.get(image) or made.colors[f"{part} {image}"]
            seen = store.decode(image)[0, 0].astype(int)
            assert abs(seen - expected).max() <= 6, (part, image, seen, expected)
    assert set(csvs.read(DATA / "folds.csv")["id"]) == set(labels)


def examples(count: int, *, fixed: bool) -> settings:
    """So many competitions; the same ones each time if `fixed`."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=fixed,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@given(made=competitions())
@examples(40, fixed=True)
def test_a_competition_gives_a_valid_submission_or_one_error(made: Competition) -> None:
    check_one(made)


@pytest.mark.long
@pytest.mark.timeout(7200)
@seed(PROPERTY_SEED)
@given(made=competitions())
@examples(2000, fixed=False)
def test_2000_other_competitions_each_time(made: Competition) -> None:
    """The seed is printed at the end of the run; set PODIUM_TEST_SEED to repeat it."""
    check_one(made)


def check_one(made: Competition) -> None:
    """Check that it gives a valid submission, or that there is one error, due to its faults."""
    error = run(made)
    if error is None:
        check(made)
        return
    assert made.faults, error  # without a fault there is no error
    assert error and "Traceback" not in error and len(error) < 3000
    assert not Path("submissions/made.csv").exists()
