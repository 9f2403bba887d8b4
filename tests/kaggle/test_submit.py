"""Submitting to Kaggle: the real client and CLI against a server on loopback."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kaggle_server
import pandas as pd
import pytest
from conftest import Project
from kaggle_server import KEY, Fault, Kaggle
from kaggle_service import UPLOAD

from podium.config.competition import Competition
from podium.core.errors import UserError
from podium.kaggle import check as submittable
from podium.kaggle import history
from podium.kaggle import submit as submitting

CSV, JSON, HISTORY = "submissions/shapes.csv", "submissions/shapes.json", "submissions/history.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project after `dvc repro`, in git."""
    project = Project(tmp_path_factory.mktemp("finished"))

    def quick(params: dict[str, Any]) -> None:
        params["folds"]["run"] = [0]
        params["predict"]["views"] = ["identity"]
        params["models"]["a"]["phases"] = [{"epochs": 1, "lr": 0.005}]

    project.edit(quick)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "src", "dvc.yaml", "params.yaml")
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.com")
    project.run("git", *who, "commit", "--quiet", "-m", "first")
    project.repro()
    return project


@pytest.fixture
def kaggle() -> Iterator[Kaggle]:
    with kaggle_server.serve({"shapes": b""}) as server:
        yield server


class Submit:
    """The commands, as their user runs them; nothing secret may come of them."""

    def __init__(self, project: Project, kaggle: Kaggle, home: Path) -> None:
        self.project, self.kaggle = project, kaggle
        self.environment = kaggle.environment(home)
        self.history = project.folder / HISTORY

    def __call__(self, *options: str, command: str = "submit") -> subprocess.CompletedProcess[str]:
        done = self.project.stage(command, *options, **self.environment)
        assert "Traceback" not in done.stdout, done.stdout
        self.check_secrets(done.stdout)
        return done

    def check_secrets(self, output: str) -> None:
        tokens = [request.body for request in self.kaggle.of("CreateSubmission")]
        secrets = [KEY, UPLOAD, "5ec2e7", *(body["blobFileTokens"] for body in tokens)]
        files = [path for path in self.project.folder.rglob("*") if path.is_file()]
        for secret in secrets:
            assert secret not in output
            assert not [path for path in files if secret.encode() in path.read_bytes()]

    def rows(self) -> list[dict[str, str]]:
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            return list(csv.DictReader(file))

    def rewrite(self, text: str) -> None:
        """A CSV of other contents, which its JSON describes."""
        (self.project.folder / CSV).write_text(text)
        made = json.loads(self.project.read(JSON))
        made["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (self.project.folder / JSON).write_text(json.dumps(made))


@pytest.fixture
def submit(
    finished: Project, kaggle: Kaggle, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Submit:
    return Submit(finished.copy(tmp_path / "p"), kaggle, tmp_path_factory.mktemp("home"))


@pytest.mark.slow
@pytest.mark.long
def test_a_submission_arrives_as_it_is_and_is_remembered(submit: Submit) -> None:
    done = submit()
    assert done.returncode == 0, done.stdout
    service = submit.kaggle.service
    assert list(service.submitted.values()) == [submit.project.read(CSV)]
    (row,) = submit.rows()
    made = json.loads(submit.project.read(JSON))
    score = made["oof"]["accuracy"]
    commit = submit.project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert list(row) == list(history.COLUMNS)
    (ref,) = service.submitted
    assert row == {
        "time": service.submissions[0]["date"][:19] + "Z",
        "competition": "shapes",
        "file": CSV,
        "sha256": hashlib.sha256(submit.project.read(CSV)).hexdigest(),
        "commit": commit,
        "params": row["params"],
        "metric": "accuracy",
        "oof": repr(score),
        "public": "0.91234",
        "message": f"accuracy {score:.5f} out of fold, commit {commit[:8]}",
        "ref": str(ref),
        "status": "COMPLETE",
    }
    assert len(row["params"]) == 64
    assert service.submissions[0]["description"] == row["message"]

    asked = len(submit.kaggle.log)
    again = submit()
    assert again.returncode == 1 and "was submitted already" in again.stdout
    assert f"ref {ref}, COMPLETE 0.91234" in again.stdout
    assert len(submit.kaggle.log) == asked and submit.rows() == [row]

    assert submit.project.repro() == set()  # its folder is an output's; the history stays
    assert submit.project.repro("--force", "--single-item", "submission") == {"submission"}
    assert submit.rows() == [row]


@pytest.mark.slow
@pytest.mark.long
def test_a_dry_run_asks_nothing(submit: Submit) -> None:
    done = submit("--dry-run")
    assert done.returncode == 0 and f"{CSV}: 9 rows that fit the sample" in done.stdout
    assert not submit.kaggle.log and not submit.history.exists()
    submit.rewrite("id,label\n0036,circle\n")
    assert submit("--dry-run").returncode == 1


@pytest.mark.slow
@pytest.mark.long
def test_the_file_and_the_message_can_be_named(submit: Submit) -> None:
    for suffix in (".csv", ".json"):
        (submit.project.folder / f"other{suffix}").write_bytes(
            submit.project.read(f"submissions/shapes{suffix}")
        )
    done = submit("--file", "other.csv", "--message", 'a "quoted", one')
    assert done.returncode == 0, done.stdout
    (row,) = submit.rows()
    assert (row["file"], row["message"]) == ("other.csv", 'a "quoted", one')
    assert submit.kaggle.service.submissions[0]["fileName"] == "other.csv"


@pytest.mark.slow
@pytest.mark.long
def test_the_bare_client_submits_the_same_file(submit: Submit) -> None:
    command = ("kaggle", "competitions", "submit", "shapes", "-f", CSV, "-m", "by hand")
    done = submit.project.run(*command, check=False, **submit.environment)
    assert done.returncode == 0 and "Successfully submitted to shapes" in done.stdout
    assert list(submit.kaggle.service.submitted.values()) == [submit.project.read(CSV)]
    submit.check_secrets(done.stdout)


@pytest.mark.slow
@pytest.mark.long
def test_a_csv_that_its_json_does_not_describe_is_refused(submit: Submit) -> None:
    path = submit.project.folder / CSV
    text = path.read_text().replace("circle", "square", 1)
    path.write_text(text if text != path.read_text() else text.replace("square", "circle", 1))
    done = submit()
    assert done.returncode == 1
    assert f"{CSV} is not what {JSON} describes (its SHA-256 is another)" in done.stdout
    assert not submit.kaggle.log


@pytest.mark.slow
@pytest.mark.long
def test_a_score_that_is_late_is_pending_until_the_history_asks_again(submit: Submit) -> None:
    submit.kaggle.service.polls = 2
    done = submit("--wait", "0")
    assert done.returncode == 0 and "no score yet: `make history` asks again" in done.stdout
    (row,) = submit.rows()
    assert (row["status"], row["public"]) == ("PENDING", "") and row["time"]
    assert submit(command="history").returncode == 0
    assert submit.rows() == [row]  # still pending
    submit(command="history")
    assert submit.rows() == [row | {"status": "COMPLETE", "public": "0.91234"}]


@pytest.mark.slow
@pytest.mark.long
def test_a_submission_is_remembered_when_the_wait_is_killed(submit: Submit) -> None:
    submit.kaggle.service.polls = 1000
    inherited = {name: value for name, value in os.environ.items() if "KAGGLE" not in name}
    started = subprocess.Popen(
        (sys.executable, "-m", "commands.submit"),
        cwd=submit.project.folder,
        env={**inherited, **submit.environment},
        stdout=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while len(submit.kaggle.of("ListSubmissions")) < 3:
        assert time.monotonic() < end and started.poll() is None
        time.sleep(0.05)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    (row,) = submit.rows()
    assert row["status"] == "PENDING"
    assert "was submitted already" in submit().stdout


SAMPLE = pd.DataFrame({"id": ["1", "2", "3"], "label": ["a", "a", "a"]})


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """`submittable.check` of a CSV's text, with a JSON that describes it."""

    def check(text: str, *, may_be_empty: bool = False, lr: float = 0.1) -> submittable.Checked:
        path = tmp_path / "shapes.csv"
        path.write_text(text)
        made = {
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "oof": {"accuracy": 0.5},
            "git": {"commit": "abc", "changed": [" M dvc.lock"]},
            "stages": {"train@a-0": {"params": {"lr": lr}}},
        }
        path.with_suffix(".json").write_text(json.dumps(made))
        past = history.read(tmp_path / "none.csv")
        return submittable.check(path, SAMPLE, slug="shapes", past=past, may_be_empty=may_be_empty)

    return check


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\n1,a\n2,b\n3,a\n", "has the columns id, class, the sample submission id, label"),
        ("id;label\n1;a\n2;b\n3;a\n", "has the columns id;label, the sample submission id, label"),
        ("id,label\n1,a\n3,a\n", "1 ids are missing: 2"),
        ("id,label\n1,a\n2,a\n3,a\n4,a\n", "1 ids are unknown: 4"),
        ("id,label\n1,a\n2,a\n2,b\n3,a\n", "1 ids occur more than once: 2"),
        ("id,label\n1,a\n3,a\n2,a\n", "2 ids are at other places: 3, 2"),
        ("id,label\n1,a\n2,\n3,a\n", "1 ids have an empty value: 2"),
        ("id,label\n1,a\n2\n3,a\n", "1 ids have an empty value: 2"),
        ("id,label\n1,a,b\n", "row 2 has 3 fields, the header has 2"),
    ],
)
def test_what_does_not_fit_the_sample_is_refused(check: Any, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(text)


def test_a_row_may_name_no_class_where_there_are_several(check: Any) -> None:
    assert check("id,label\n1,a\n2,\n3,a b\n", may_be_empty=True).rows == 3


def test_the_params_hash_is_of_the_params_of_the_run(check: Any) -> None:
    text = "id,label\n1,a\n2,b\n3,a\n"
    assert check(text).params == check(text).params != check(text, lr=0.2).params
    assert check(text).commit == "abc"  # the lock that the run itself writes is no change


def test_a_json_of_something_else_is_refused(check: Any, tmp_path: Path) -> None:
    check("id,label\n1,a\n2,b\n3,a\n")
    (tmp_path / "shapes.json").write_text("[]")
    past = history.read(tmp_path / "none.csv")
    with pytest.raises(UserError, match="does not describe a submission"):
        submittable.check(
            tmp_path / "shapes.csv", SAMPLE, slug="shapes", past=past, may_be_empty=False
        )


class Hand:
    """Handing in a CSV of `SAMPLE`'s form, in this process; nothing secret may come of it."""

    def __init__(self, checked: submittable.Checked, kaggle: Kaggle) -> None:
        self.checked, self.kaggle = checked, kaggle
        self.history = checked.path.with_name("history.csv")

    def __call__(self, source: str = "kaggle", minutes: float = 0.0) -> dict[str, str]:
        competition = Competition(source=source, slug="shapes")
        options: dict[str, Any] = {"message": "hello", "minutes": minutes, "past": self.history}
        try:
            return submitting.submit(self.checked, competition, **options)
        except UserError as error:
            for secret in (KEY, UPLOAD, "5ec2e7"):
                assert secret not in str(error)
            raise

    def refs(self) -> list[int]:
        return [int(ref) for ref in history.read(self.history)["ref"]]


@pytest.fixture
def hand(
    check: Any,
    kaggle: Kaggle,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Hand:
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    for name, value in kaggle.environment(tmp_path_factory.mktemp("home")).items():
        monkeypatch.setenv(name, value)
    kaggle.service.polls = 0
    return Hand(check("id,label\n1,a\n2,b\n3,a\n"), kaggle)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "the token is not valid: create a new one at https://www.kaggle.com/settings/api"),
        (403, "accept the rules first: https://www.kaggle.com/competitions/shapes/rules"),
        (404, "competition.slug is the name in the competition's URL"),
    ],
)
@pytest.mark.parametrize("method", ["ListSubmissions", "StartSubmissionUpload"])
def test_a_refusal_says_what_to_do(hand: Hand, method: str, status: int, advice: str) -> None:
    hand.kaggle.faults = [Fault(method, status=status)]
    with pytest.raises(UserError, match=re.escape(advice)):
        hand()
    assert not hand.refs() and not hand.kaggle.service.submitted


@pytest.mark.parametrize("failure", ["server", "expired", "token"])
def test_a_failing_upload_is_a_failure_and_not_in_the_history(hand: Hand, failure: str) -> None:
    """Where the client prints "Could not submit", and exits with 0."""
    service = hand.kaggle.service
    if failure == "server":
        hand.kaggle.faults = [Fault("PUT", status=500)]
    elif failure == "expired":
        service.expire = True
    else:
        hand.kaggle.faults = [Fault("CreateSubmission", status=400)]
    with pytest.raises(UserError, match=r"Kaggle did not take .*shapes\.csv: "):
        hand()
    assert not hand.refs() and not service.submitted
    service.expire = False
    assert hand()["status"] == "COMPLETE"  # nothing is left of it
    assert hand.refs() == list(service.submitted)


def test_a_busy_kaggle_is_asked_again(hand: Hand) -> None:
    later = {"Retry-After": "0"}
    methods = ("ListSubmissions", "StartSubmissionUpload", "CreateSubmission")
    hand.kaggle.faults = [Fault(method, status=429, headers=later) for method in methods]
    hand.kaggle.faults.append(Fault("StartSubmissionUpload", status=503, headers=later, skip=1))
    hand()
    assert hand.refs() == list(hand.kaggle.service.submitted)


def test_an_answer_that_is_lost_is_looked_up_and_nothing_is_sent_twice(hand: Hand) -> None:
    hand.kaggle.faults = [Fault("CreateSubmission", lost=True)]
    assert hand()["status"] == "COMPLETE"
    assert hand.refs() == list(hand.kaggle.service.submitted)
    assert len(hand.kaggle.of("CreateSubmission")) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"after": 0}])
def test_an_answer_that_never_comes_is_a_failure(hand: Hand, fault: dict[str, int]) -> None:
    hand.kaggle.faults = [Fault("CreateSubmission", times=9, **fault)]
    with pytest.raises(UserError, match="it does not list it"):
        hand()
    assert not hand.refs() and len(hand.kaggle.of("CreateSubmission")) == 1


def test_what_kaggle_cannot_score_is_a_failure_and_not_in_the_history(hand: Hand) -> None:
    hand.kaggle.service.failing = "Submission must have 9 rows"
    with pytest.raises(UserError, match=r"could not score .* Submission must have 9 rows"):
        hand()
    assert not hand.refs()


def test_a_submission_stays_in_the_history_when_kaggle_fails_after_it(
    hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    hand.kaggle.faults = [Fault("ListSubmissions", status=400, skip=1, times=9)]
    assert hand()["status"] == "PENDING"
    assert hand.refs() == list(hand.kaggle.service.submitted)
    assert "warning: Kaggle did not list the submissions to shapes" in capsys.readouterr().out


def test_the_wait_has_an_end(hand: Hand) -> None:
    hand.kaggle.service.polls = 99
    before = time.monotonic()
    assert hand(minutes=1.5 / 60)["status"] == "PENDING"
    assert 1.5 <= time.monotonic() - before < 6
    assert len(hand.kaggle.of("ListSubmissions")) == 4  # before it, at once, after 1 s, at the end


def test_the_embedded_competition_is_not_on_kaggle(hand: Hand) -> None:
    with pytest.raises(UserError, match="builtin is no competition on Kaggle"):
        hand("builtin")
    assert not hand.kaggle.log
