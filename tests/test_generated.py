"""Competitions that nobody has seen: a valid submission, or one clear error; never a wrong id."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated import Competition, competitions, pack
from hypothesis import HealthCheck, given, settings

import folds
import prepare
from commands import init
from podium.core import csvs, files, params_file, seeding
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.images.store import ImageStore
from podium.params import schema
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write

pytestmark = pytest.mark.slow

DATA = Path("data")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder where git knows of no params.yaml yet, as the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("generated"))
        patch.setenv("PODIUM_WORKERS", "1")  # others would take longer to start than the work
        yield


def run(made: Competition) -> str | None:
    """From the files to a submission, in the working directory: the error, if there is one."""
    for name in ("data", "submissions", "params.yaml", "made.zip"):
        files.remove(Path(name))
    Path("made.zip").write_bytes(pack(made.files) if made.archive is None else made.archive)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            sys.argv = ["init.py", "made.zip", "--yes"]
            init.main()
            prepare.main()
            folds.main()
            submit()
    except UserError as error:
        return str(error)
    return None


def submit() -> None:
    """A submission of made-up predictions, in the sample's form."""
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


def check_values(submission: pd.DataFrame, task: Task, ids: list[str]) -> None:
    """What stands beside each id is what was predicted of it."""
    shares = task.probabilities(logits_of(ids, len(task.classes)))
    row = {image: shares[place] for place, image in enumerate(ids)}
    columns = submission.columns[1:].tolist()
    for image, *cells in submission.itertuples(index=False):
        expected = dict(zip(task.classes, row[image], strict=True))
        if len(columns) > 1:
            found = dict(zip(columns, map(float, cells), strict=True))
            assert found == pytest.approx(expected, abs=1e-6)
        elif task.name == "regression":
            assert float(cells[0]) == pytest.approx(row[image][0], abs=1e-4)
        elif task.name == "multilabel":
            assert {*cells[0].split()} == {name for name, share in expected.items() if share > 0.5}
        else:
            assert cells[0] == max(expected, key=expected.__getitem__)


def check(made: Competition) -> None:
    """The submission has the sample's header and ids; labels and pictures are their ids'."""
    prepared = Manifest(DATA / "prepared.json")
    train, test = prepared.csv("train.csv"), prepared.csv("test.csv")
    task = prepared.facts["task"]
    found = dict(zip(train["id"], train["label"], strict=True))
    assert found.keys() <= made.labels.keys()
    if task == "regression":
        assert {i: float(x) for i, x in found.items()} == {i: float(made.labels[i]) for i in found}
    elif "an odd label" not in made.faults and "an id twice" not in made.faults:
        assert {i: set(x.split("|")) for i, x in found.items()} == {
            i: set(made.labels[i].split("|")) for i in found
        }
    submission = csvs.read(Path("submissions/made.csv"))
    if made.header is not None:
        assert submission.columns.tolist() == made.header
        assert submission.iloc[:, 0].tolist() == made.test
    assert sorted(submission.iloc[:, 0]) == sorted(made.test)
    assert sorted(test["id"]) == sorted(made.test)
    check_values(submission, Task.read(prepared), test["id"].tolist())
    values = submission.iloc[:, 1:]
    if task != "multilabel" or values.shape[1] > 1:
        assert (values != "").all(axis=None)
    for part, ids in (("train", train["id"]), ("test", test["id"])):
        store = ImageStore(DATA / "images" / part)
        assert len(store) == len(ids)
        for image in ids:
            wanted = made.colours.get(image) or made.colours[f"{part} {image}"]
            seen = store.decode(image)[0, 0].astype(int)
            assert abs(seen - wanted).max() <= 6, (part, image, seen, wanted)
    assert set(csvs.read(DATA / "folds.csv")["id"]) == set(found)


def generated(count: int) -> settings:
    """So many competitions, the same ones each time."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=health,
    )


@given(made=competitions())
@generated(200)
def test_a_competition_gives_a_valid_submission_or_one_clear_error(made: Competition) -> None:
    check_one(made)


@pytest.mark.long
@given(made=competitions())
@generated(2000)
def test_any_of_2000_competitions_does(made: Competition) -> None:
    check_one(made)


def check_one(made: Competition) -> None:
    """That its submission is valid, or that there is one error, for one of its faults."""
    error = run(made)
    if error is None:
        check(made)
        return
    assert made.faults, error  # without a fault there is none
    assert error and "Traceback" not in error and len(error) < 3000
    assert not Path("submissions/made.csv").exists()
