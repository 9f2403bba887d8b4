"""Submitting to Kaggle: the real client and commands against a server on loopback."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kaggle_server
import pandas as pd
import pytest
import requests
from conftest import Project
from kaggle_server import KEY, Fault, Kaggle
from kaggle_service import UPLOAD
from trainings import WITH_SRC

from podium.config.competition import Competition
from podium.core.errors import UserError
from podium.dataset.submission_file import SubmissionFile
from podium.kaggle import check as submission_check
from podium.kaggle import history, scores
from podium.kaggle import submit as submission
from podium.kaggle.check import CheckedSubmission

CSV, JSON, HISTORY = "submissions/shapes.csv", "submissions/shapes.json", "submissions/history.csv"


@pytest.fixture
def kaggle() -> Iterator[Kaggle]:
    with kaggle_server.serve({"shapes": b""}) as server:
        yield server


class Command:
    """Runs commands in a finished project, and checks that no secrets appear anywhere."""

    def __init__(self, project: Project, kaggle: Kaggle, home: Path) -> None:
        self.project, self.kaggle = project, kaggle
        self.environment = kaggle.environment(home)
        self.history = project.folder / HISTORY

    def __call__(self, *options: str) -> subprocess.CompletedProcess[str]:
        process = self.project.stage("submit", *options, **self.environment)
        assert "Traceback" not in process.stdout, process.stdout
        self.check_secrets(process.stdout)
        return process

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


@pytest.fixture
def command(
    finished_project: Project,
    kaggle: Kaggle,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Command:
    project = finished_project.copy(tmp_path / "project")
    return Command(project, kaggle, tmp_path_factory.mktemp("home"))


@pytest.mark.slow
def test_a_submission_arrives_unchanged_and_is_recorded(command: Command) -> None:
    process = command()
    assert process.returncode == 0, process.stdout
    service = command.kaggle.service
    assert list(service.submitted.values()) == [command.project.read(CSV)]
    (row,) = command.rows()
    record = json.loads(command.project.read(JSON))
    ((metric, score),) = record["oof"].items()
    commit = command.project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert list(row) == list(history.COLUMNS)
    (ref,) = service.submitted
    assert row == {
        "time": service.submissions[0]["date"][:19] + "Z",
        "competition": "shapes",
        "file": CSV,
        "sha256": hashlib.sha256(command.project.read(CSV)).hexdigest(),
        "commit": commit,
        "params": row["params"],
        "metric": metric,
        "oof": repr(score),
        "public": "0.91234",
        "message": f"{metric} {score:.5f} out of fold, commit {commit[:8]}",
        "ref": str(ref),
        "status": "COMPLETE",
    }
    assert len(row["params"]) == 64
    assert service.submissions[0]["description"] == row["message"]

    requests = len(command.kaggle.log)
    again = command()
    assert again.returncode == 1 and f"ref {ref}" in again.stdout
    assert len(command.kaggle.log) == requests and command.rows() == [row]

    # submissions/ contains outputs of a stage, but the history is not one of them.
    assert command.project.repro("--force", "--single-item", "submission") == {"submission"}
    assert command.rows() == [row]


@pytest.mark.slow
def test_a_dry_run_makes_no_request(command: Command) -> None:
    process = command("--dry-run")
    assert process.returncode == 0 and f"{CSV}: 9 rows" in process.stdout
    assert not command.kaggle.log and not command.history.exists()
    with (command.project.folder / CSV).open("a") as file:
        file.write("0045,0.5\n")
    process = command("--dry-run")
    assert process.returncode == 1 and "0045" in process.stdout


@pytest.mark.slow
def test_another_file_with_another_message(command: Command) -> None:
    for suffix in (".csv", ".json"):
        data = command.project.read(f"submissions/shapes{suffix}")
        (command.project.folder / f"other{suffix}").write_bytes(data)
    process = command("--file", "other.csv", "--message", 'a "quoted", one')
    assert process.returncode == 0, process.stdout
    (row,) = command.rows()
    assert (row["file"], row["message"]) == ("other.csv", 'a "quoted", one')
    assert command.kaggle.service.submissions[0]["fileName"] == "other.csv"


@pytest.mark.slow
@pytest.mark.long
def test_the_bare_client_submits_the_same_file(command: Command) -> None:
    bare = ("kaggle", "competitions", "submit", "shapes", "-f", CSV, "-m", "by hand")
    process = command.project.run(*bare, check=False, **command.environment)
    assert process.returncode == 0, process.stdout
    assert list(command.kaggle.service.submitted.values()) == [command.project.read(CSV)]
    command.check_secrets(process.stdout)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_submission_is_recorded_even_if_the_wait_is_killed(command: Command) -> None:
    command.kaggle.service.polls = 1000
    inherited = {name: value for name, value in os.environ.items() if "KAGGLE" not in name}
    process = subprocess.Popen(
        (sys.executable, "-m", "commands.submit"),
        cwd=command.project.folder,
        env={**inherited, **command.environment},
        stdout=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while len(command.kaggle.of("ListSubmissions")) < 3:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (row,) = command.rows()
    assert row["status"] == "PENDING"
    again = command()
    assert again.returncode == 1 and f"ref {row['ref']}" in again.stdout


IDS = pd.Series(["1", "2", "3"])
VALID = "id,label\n1,a\n2,b\n3,a\n"
Check = Callable[..., CheckedSubmission]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """`check_csv` of a CSV's text, with a JSON that describes it."""

    def check(text: str, *, allow_empty: bool = False, **changes: Any) -> CheckedSubmission:
        path = tmp_path / "shapes.csv"
        path.write_text(text)
        record = {
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "oof": {"accuracy": 0.5},
            "git": {"commit": "abc", "changed": [" M dvc.lock"]},
            "stages": {"train@a-0": {"params": {"lr": 0.1}}},
        }
        path.with_suffix(".json").write_text(json.dumps(record | changes))
        return submission_check.check_csv(
            path,
            sample=pd.DataFrame({"id": IDS, "label": ""}),
            file=SubmissionFile(),
            allow_empty=allow_empty,
        )

    return check


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\n1,a\n2,b\n3,a\n", "id, class.* id, label"),
        ("id;label\n1;a\n2;b\n3;a\n", "id;label.* id, label"),
        ("id,label\n1,a\n3,a\n", "1 missing ids: 2"),
        ("id,label\n1,a\n2,a\n3,a\n4,a\n", "1 unknown ids: 4"),
        ("id,label\n1,a\n2,a\n2,b\n3,a\n", "1 duplicate ids: 2"),
        ("id,label\n1,a\n3,a\n2,a\n", "2 ids .*order: 3, 2"),
        ("id,label\n1,a\n2,\n3,a\n", "1 empty values: 2"),
        ("id,label\n1,a\n2\n3,a\n", "1 empty values: 2"),
        ("id,label\n1,a,b\n", "row 2 "),
    ],
)
def test_a_csv_that_does_not_match_the_sample_is_an_error(
    check: Check, text: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check(text)


def test_multilabel_rows_may_be_empty(check: Check) -> None:
    assert check("id,label\n1,a\n2,\n3,a b\n", allow_empty=True).rows == 3


def test_the_params_hash_depends_on_the_params_of_the_run(check: Check) -> None:
    other = {"train@a-0": {"params": {"lr": 0.2}}}
    first, second = check(VALID), check(VALID)
    assert first.params_sha256 == second.params_sha256 != check(VALID, stages=other).params_sha256


def test_only_edited_files_other_than_the_lock_make_a_commit_dirty(check: Check) -> None:
    assert check(VALID).commit == "abc"
    own = [" M dvc.lock", " M metrics/ensemble.json", " M submissions/history.csv"]
    assert check(VALID, git={"commit": "abc", "changed": own}).commit == "abc"
    edited = {"commit": "abc", "changed": [" M dvc.lock", " M params.yaml"]}
    assert check(VALID, git=edited).commit == "abc-dirty"
    assert check(VALID, git=None).commit == ""


def test_a_csv_that_its_json_does_not_describe_is_an_error(check: Check) -> None:
    with pytest.raises(UserError, match=r"shapes\.csv .*shapes\.json .*SHA-256"):
        check(VALID, sha256="0" * 64)
    with pytest.raises(UserError, match=r"shapes\.json"):
        check(VALID, oof={})


class Submit:
    """Submits a small CSV in this process, and checks that errors contain no secrets."""

    def __init__(self, checked: CheckedSubmission, kaggle: Kaggle) -> None:
        self.checked, self.kaggle = checked, kaggle
        self.history = checked.path.with_name("history.csv")
        self.message = "hello"

    def __call__(self, source: str = "kaggle", minutes: float = 0.0) -> dict[str, str]:
        competition = Competition(source=source, slug="shapes")
        try:
            return submission.submit(
                self.checked,
                competition,
                message=self.message,
                wait_minutes=minutes,
                past=self.history,
            )
        except UserError as error:
            for secret in (KEY, UPLOAD, "5ec2e7"):
                assert secret not in str(error)
            raise

    def refs(self) -> list[int]:
        return [int(ref) for ref in history.read(self.history)["ref"]]


@pytest.fixture
def submit(
    check: Check,
    kaggle: Kaggle,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Submit:
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    for name, value in kaggle.environment(tmp_path_factory.mktemp("home")).items():
        monkeypatch.setenv(name, value)
    kaggle.service.polls = 0
    return Submit(check(VALID), kaggle)


@pytest.mark.parametrize(
    ("status", "link"),
    [
        (401, "https://www.kaggle.com/settings/api"),
        (403, "https://www.kaggle.com/competitions/shapes/rules"),
        (403, "competition.slug must be the name"),
        (404, "competition.slug"),
    ],
)
@pytest.mark.parametrize("method", ["ListSubmissions", "StartSubmissionUpload"])
def test_a_rejected_request_says_what_to_do(
    submit: Submit, method: str, status: int, link: str
) -> None:
    submit.kaggle.faults = [Fault(method, status=status)]
    with pytest.raises(UserError, match=re.escape(link)):
        submit()
    assert not submit.refs() and not submit.kaggle.service.submitted


@pytest.mark.parametrize("failure", ["server", "expired", "token"])
def test_a_failed_upload_is_an_error_and_not_recorded(submit: Submit, failure: str) -> None:
    """The bare client prints "Could not submit" and exits with 0."""
    service = submit.kaggle.service
    if failure == "server":
        submit.kaggle.faults = [Fault("PUT", status=500)]
    elif failure == "expired":
        service.expire = True
    else:
        submit.kaggle.faults = [Fault("CreateSubmission", status=400)]
    with pytest.raises(UserError, match=r"submit .*shapes\.csv: "):
        submit()
    assert not submit.refs() and not service.submitted
    service.expire = False
    assert submit()["status"] == "COMPLETE"  # the client keeps no unfinished upload
    assert submit.refs() == list(service.submitted)


def test_requests_are_retried_while_kaggle_is_busy(submit: Submit) -> None:
    later = {"Retry-After": "0"}
    methods = ("ListSubmissions", "StartSubmissionUpload", "CreateSubmission")
    submit.kaggle.faults = [Fault(method, status=429, headers=later) for method in methods]
    submit.kaggle.faults.append(Fault("StartSubmissionUpload", status=503, headers=later, skip=1))
    submit()
    assert submit.refs() == list(submit.kaggle.service.submitted)


def test_a_lost_response_is_looked_up_and_nothing_is_sent_twice(submit: Submit) -> None:
    submit.kaggle.faults = [Fault("CreateSubmission", lost=True)]
    assert submit()["status"] == "COMPLETE"
    assert submit.refs() == list(submit.kaggle.service.submitted)
    assert len(submit.kaggle.of("CreateSubmission")) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"after": 0}])
def test_a_submission_that_kaggle_does_not_list_is_an_error(
    submit: Submit, fault: dict[str, int]
) -> None:
    submit.kaggle.faults = [Fault("CreateSubmission", times=9, **fault)]
    with pytest.raises(UserError, match=r"submit .*shapes\.csv: .*list of submissions"):
        submit()
    assert not submit.refs() and len(submit.kaggle.of("CreateSubmission")) == 1


def test_nothing_is_submitted_if_the_history_cannot_be_written(submit: Submit) -> None:
    submit.history.mkdir()
    with pytest.raises(UserError, match=r"history\.csv"):
        submit()
    assert not submit.kaggle.of("CreateSubmission")


@pytest.mark.parametrize("message", ["hello", "one\rtwo"])
def test_a_submission_that_could_not_be_recorded_is_not_sent_again(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """The disk is full, or the file is locked, only after the upload."""

    def fail(*_: Any) -> None:
        raise UserError("cannot write history.csv: No space left on device")

    submit.message = message
    with monkeypatch.context() as patch:
        patch.setattr(history, "update", fail)
        with pytest.raises(UserError, match=r"accepted .* as number 4\d+.*No space"):
            submit()
    (ref,) = submit.kaggle.service.submitted
    assert history.read(submit.history)["status"].tolist() == ["SENDING"]
    with pytest.raises(UserError, match=f"already submitted: ref {ref}"):
        submit()
    assert len(submit.kaggle.of("CreateSubmission")) == 1
    (row,) = history.read(submit.history).to_dict("records")
    assert (row["ref"], row["status"], row["public"]) == (str(ref), "COMPLETE", "0.91234")


@pytest.mark.parametrize("arrived", [True, False])
def test_an_interrupted_submission_is_looked_up(submit: Submit, arrived: bool) -> None:
    """Killed before Kaggle's answer: `make history` and the next `make submit` ask Kaggle."""
    fault = Fault("CreateSubmission", lost=True) if arrived else Fault("PUT", after=0, times=99)
    submit.kaggle.faults = [fault, Fault("ListSubmissions", status=400, skip=1)]
    if arrived:
        with pytest.raises(UserError, match=r"unknown.*`make history`"):
            submit()
    else:
        row = submission.describe(submit.checked, slug="shapes", message="hello", file="x.csv")
        history.append(submit.history, row | {"ref": "after 7", "status": "SENDING"})
    submit.kaggle.faults.clear()
    assert history.read(submit.history)["status"].tolist() == ["SENDING"]
    assert scores.refresh(submit.history) == 1
    assert submit.refs() == list(submit.kaggle.service.submitted)
    if not arrived:
        submit()
    assert len(submit.refs()) == len(submit.kaggle.of("CreateSubmission")) == 1


def test_an_earlier_submission_with_the_same_message_is_not_the_interrupted_one(
    submit: Submit,
) -> None:
    submit()
    other = submission.describe(submit.checked, slug="shapes", message="hello", file="y.csv")
    (ref,) = submit.refs()
    history.append(submit.history, other | {"ref": f"after {ref}", "status": "SENDING"})
    assert scores.refresh(submit.history) == 1 and submit.refs() == [ref]


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"message": "ok"}'])
def test_an_answer_that_is_not_understood_is_looked_up(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """A proxy in between, or another version of the API."""
    real = requests.Session.send

    def send(*arguments: Any, **options: Any) -> requests.Response:
        response = real(*arguments, **options)
        if response.url.endswith("/CreateSubmission"):
            response._content = answer
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    assert submit()["status"] == "COMPLETE"
    assert submit.refs() == list(submit.kaggle.service.submitted)
    assert len(submit.kaggle.of("CreateSubmission")) == 1


def test_a_submission_that_kaggle_cannot_score_is_an_error_and_not_recorded(
    submit: Submit,
) -> None:
    submit.kaggle.service.failing = "Submission must have 9 rows"
    with pytest.raises(UserError, match=r"shapes\.csv .* Submission must have 9 rows"):
        submit()
    assert not submit.refs()


def test_a_submission_stays_recorded_if_kaggle_fails_afterwards(
    submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    submit.kaggle.faults = [Fault("ListSubmissions", status=400, skip=1, times=9)]
    assert submit()["status"] == "PENDING"
    assert submit.refs() == list(submit.kaggle.service.submitted)
    assert capsys.readouterr().out.startswith("warning: ")


def test_a_late_score_is_pending_until_the_history_is_refreshed(submit: Submit) -> None:
    submit.kaggle.service.polls = 2
    row = submit()
    assert (row["status"], row["public"]) == ("PENDING", "") and row["time"]
    assert scores.refresh(submit.history) == 0
    assert history.read(submit.history).to_dict("records") == [row]
    assert scores.refresh(submit.history) == 1
    (scored,) = history.read(submit.history).to_dict("records")
    assert scored == row | {"status": "COMPLETE", "public": "0.91234"}


def test_the_wait_is_limited(submit: Submit) -> None:
    submit.kaggle.service.polls = 99
    before = time.monotonic()
    assert submit(minutes=1.5 / 60)["status"] == "PENDING"
    assert 1.5 <= time.monotonic() - before < 6
    # Before submitting, at once, after 1 s, at the end.
    assert len(submit.kaggle.of("ListSubmissions")) == 4


@pytest.mark.parametrize("home", [os.devnull, "/proc/nowhere", "{file}"])
def test_credentials_in_the_environment_need_no_home(
    kaggle: Kaggle, tmp_path: Path, home: str
) -> None:
    (tmp_path / "file").touch()
    environment = kaggle.environment(tmp_path) | {"HOME": home.format(file=tmp_path / "file")}
    del environment["KAGGLE_CONFIG_DIR"]
    inherited = {name: value for name, value in WITH_SRC.items() if "KAGGLE" not in name}
    code = """
from podium.competition import kaggle_api
print(kaggle_api.login().competition_submissions("shapes"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert len(kaggle.of("ListSubmissions")) == 1
    assert not list(tmp_path.glob("kaggle-*"))


def test_the_builtin_competition_is_not_on_kaggle(submit: Submit) -> None:
    with pytest.raises(UserError, match="builtin"):
        submit("builtin")
    assert not submit.kaggle.log
