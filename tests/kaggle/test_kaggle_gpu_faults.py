"""What can go wrong between the driver of `make train ON=kaggle` and Kaggle: a clear message, never
a second notebook for the same work.
"""

import io
import re
import shutil
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import kaggle_server
import pytest
import stub_project
from conftest import Project
from kaggle_gpu_driver import ScriptedNotebooks, archive, driver, ends, run
from kaggle_notebooks import Session
from kaggle_server import Fault, Kaggle
from test_wheels import wheel

from commands import kaggle_gpu
from podium.cluster import rounds
from podium.core import params_file
from podium.core.errors import UserError
from podium.kaggle import datasets
from podium.kaggle.kernel import wheels
from podium.kaggle_gpu import following, log, results, runner, uploads
from podium.kaggle_gpu.state import State, hours_left
from podium.params import schema

pytestmark = pytest.mark.slow

NOTHING = "has finished nothing and left no checkpoint. Set more HOURS"


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project up to its folds."""
    project = stub_project.create(tmp_path_factory.mktemp("stub") / "project")
    index = project.folder / "outside/index"
    index.mkdir(parents=True)
    (project.folder / "requirements.txt").write_text(wheel(index, "podium-probe"))
    project.repro("folds")
    return project


@pytest.fixture
def server(folded: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """Kaggle, and this process in a project. Notebooks are complete at once, without results."""
    project = folded.copy(tmp_path / "project")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(following, "MIN_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(following, "MISSING_SECONDS", 0.2)
    monkeypatch.setattr(datasets, "MIN_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(log, "RECONNECT_SECONDS", 0.1)
    project.enter(monkeypatch)
    with kaggle_server.serve({"shapes": archive(project)}) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", str(home))  # tempfile caches it
        server.service.notebooks = ScriptedNotebooks(tmp_path / "kaggle", ends("COMPLETE"))
        ref = uploads.wheels_ref("someone")  # downloading them takes a second
        server.service.datasets[ref] = [{"podium_probe-1.0-py3-none-any.whl": b""}]
        server.service._states[ref] = ["READY"]
        State(uploaded=[ref]).save()
        yield server


def notebooks(server: Kaggle) -> ScriptedNotebooks:
    found = server.service.notebooks
    assert isinstance(found, ScriptedNotebooks)
    return found


def test_a_used_up_quota_starts_nothing(server: Kaggle) -> None:
    server.service.quota_hours = (30.0, 30.0)
    state = State.load()
    state.progress["a-0"] = {"spent": 3600.0, "left": 7200.0}
    state.save()
    message = (
        r"quota of this week is used up \(30.0 of 30.0 h\). Rerun after 2026-12-05 00:00 UTC: 2 "
        r"models and folds are left, about 2.5 h"
    )
    with pytest.raises(UserError, match=message):
        run(driver())
    assert not server.of("CreateDataset") and not server.service.kernels


def test_a_notebook_gets_the_hours_that_the_quota_leaves(server: Kaggle) -> None:
    server.service.quota_hours = (28.0, 30.0)
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    ((body,),) = server.service.kernels.values()
    assert 'HOURS = "1.7500"' in body["text"]
    assert body["sessionTimeoutSeconds"] == 3600 * 2.25


def test_without_an_answer_about_the_quota_the_notebook_starts(server: Kaggle) -> None:
    server.service.quota_hours = None
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    ((body,),) = server.service.kernels.values()
    assert 'HOURS = "8.5000"' in body["text"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("Maximum weekly GPU quota of 30.00 hours reached.", "Rerun when they are renewed"),
        ("Maximum batch GPU session count of 2 reached.", "Rerun when one has ended"),
        ("Phone verification is required", "https://www.kaggle.com/settings"),
        ("something else", "something else. Fix this and rerun."),
    ],
)
def test_a_rejected_notebook_is_pushed_by_the_next_run(
    server: Kaggle, error: str, message: str
) -> None:
    server.service.kernel_error = error
    with pytest.raises(UserError, match=re.escape(message)):
        run(driver())
    server.service.kernel_error = None
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(notebooks(server).sessions) == 1
    assert len(server.of("CreateDataset")) == 1  # uploaded once


def test_rules_that_were_not_accepted(server: Kaggle) -> None:
    server.service.rules_accepted = False
    message = "rules .https://www.kaggle.com/competitions/shapes/rules., check competition.slug"
    with pytest.raises(UserError, match=message):
        run(driver())
    assert State.load().notebook is None
    server.service.rules_accepted = True
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len({*server.service.kernels}) == 2


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("gpu", "Verify your phone number at https://www.kaggle.com/settings"),
        ("rules", "Accept the competition's rules"),
        ("user", "out of luck.$"),
        ("system", "What has arrived is kept. Rerun"),
    ],
)
def test_what_failed_in_the_notebook_is_said(server: Kaggle, kind: str, message: str) -> None:
    outcome = {"status": "failed", "kind": kind, "message": "out of luck"}
    notebooks(server).script = ends("COMPLETE", **outcome)
    with pytest.raises(UserError, match=f"out of luck. {message}" if kind != "user" else message):
        run(driver())
    notebooks(server).script = ends("COMPLETE")
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(notebooks(server).sessions) == len(server.service.kernels) == 2


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ("ERROR", "Your notebook tried to allocate more memory than is available."),
        ("ERROR", "Output size exceeded the limit"),
        ("CANCEL_ACKNOWLEDGED", ""),
    ],
)
def test_a_failed_notebook_is_followed_by_another(
    server: Kaggle, status: str, failure: str
) -> None:
    notebooks(server).script = ends(status, failure)
    message = f"ended with status {status.lower()}: {failure or 'no reason given'}.*rerun to start"
    with pytest.raises(UserError, match=message):
        run(driver())
    notebooks(server).script = ends("COMPLETE")
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(server.service.kernels) == 2


def later(session: Session, seconds: float, script: object) -> None:
    threading.Timer(seconds, script, [session]).start()  # type: ignore[arg-type]


def test_a_deleted_notebook_is_noticed(server: Kaggle) -> None:
    def script(session: Session) -> None:
        session.status = "RUNNING"
        threading.Timer(0.5, server.service.kernels.clear).start()

    notebooks(server).script = script
    with pytest.raises(UserError, match=r"was deleted. Its results are lost"):
        run(driver())
    assert State.load().notebook is None and State.load().attempt == 1


def test_a_renamed_notebook_is_found_again(
    server: Kaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(session: Session) -> None:
        session.status = "RUNNING"

        def rename() -> None:
            (ref,) = server.service.kernels
            server.service.rename_kernel(ref, "someone/my-name")

        threading.Timer(0.5, rename).start()
        later(session, 3.0, ends("COMPLETE"))

    notebooks(server).script = script
    with pytest.raises(UserError, match=f"someone/my-name .*{NOTHING}"):
        run(driver())
    assert "is called someone/my-name now" in capsys.readouterr().out


def test_a_long_queue_is_said(
    server: Kaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "QUEUE_MINUTES", 0.005)
    notebooks(server).script = lambda session: later(session, 3.0, ends("COMPLETE"))
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    printed = capsys.readouterr().out
    assert ": queued\n" in printed and ": queued: Kaggle has no free GPU yet\n" in printed


def test_a_data_set_that_is_processed_for_long_is_not_uploaded_again(
    server: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PROCESSING_MINUTES", 0.01)
    server.service.dataset_states = ["BLOBS_RECEIVED"]
    with pytest.raises(UserError, match=r"blobs_received\). Rerun later: it is not uploaded again"):
        run(driver())
    assert not server.service.kernels
    server.service.dataset_states = ["READY"]
    server.service._states.update({ref: ["READY"] for ref in server.service.datasets})
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(server.of("CreateDataset")) == 1


def test_a_data_set_that_lacks_a_file_gets_a_version_with_it(server: Kaggle) -> None:
    server.faults.append(Fault("PUT", status=400))
    with pytest.raises(UserError, match=r"Kaggle did not receive 1 of 1 file: work\.json"):
        run(driver())
    assert not server.service.kernels
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(server.of("CreateDatasetVersion")) == 1
    assert all(versions[-1] for versions in server.service.datasets.values())


def test_an_old_client_is_an_error(server: Kaggle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaggle.__version__", "1.6.17")
    with pytest.raises(UserError, match=r"kaggle 1.6.17 is too old to train on Kaggle"):
        run(driver())
    assert not server.of("CreateDataset")


def test_an_error_says_that_kaggle_has_a_newer_client(server: Kaggle) -> None:
    server.api_version = "99.0.0"
    server.faults.append(Fault("GetKernelSessionStatus", status=400, skip=1))
    with pytest.raises(UserError, match="pip install --upgrade kaggle"):
        run(driver())


def test_a_push_whose_answer_is_lost_is_not_repeated(server: Kaggle) -> None:
    server.faults.append(Fault("SaveKernel", lost=True))
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(notebooks(server).sessions) == 1


def test_without_its_state_the_driver_finds_its_notebook(server: Kaggle) -> None:
    notebooks(server).script = ends("ERROR", "first")
    with pytest.raises(UserError, match="first"):
        run(driver())
    State(uploaded=[uploads.wheels_ref("someone")]).save()
    with pytest.raises(UserError, match="first"):
        run(driver())
    assert len(notebooks(server).sessions) == 1


def test_a_driver_that_was_closed_for_a_day_takes_the_results(
    server: Kaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebooks(server).script = lambda session: setattr(session, "status", "RUNNING")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(following, "wait", interrupt)
        run(driver())
    (session,) = notebooks(server).sessions
    session.events += [{"data": "epoch 1\n"}, {"data": "epoch 2\n"}]
    ends("COMPLETE")(session)
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    printed = capsys.readouterr().out
    assert ": reattached\n" in printed and ": complete\n" in printed
    assert printed.count("epoch 1\nepoch 2\n") == 1
    assert len(notebooks(server).sessions) == 1


def test_the_built_in_demo_is_not_on_kaggle(server: Kaggle) -> None:
    params, raw = schema.load(), params_file.read(params_file.PARAMS)
    competition = params.competition.model_copy(update={"source": "builtin"})
    with pytest.raises(UserError, match="Kaggle does not have the built-in demo"):
        driver().run(params.model_copy(update={"competition": competition}), raw)
    assert not server.service.kernels


@pytest.fixture
def command(server: Kaggle, monkeypatch: pytest.MonkeyPatch) -> Kaggle:
    """The server, for the command itself."""
    monkeypatch.setattr("sys.argv", ["kaggle_gpu", "kaggle"])
    return server


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("",), "ON is not set. Set ON=kaggle, or run `dvc repro` on this machine"),
        (("Kaggle",), "ON must be kaggle, not 'Kaggle'"),
        (("--gpu=t4x2", "kaggle"), "GPU must be T4x2 or P100, not 't4x2'"),
        (("--hours=abc", "kaggle"), "HOURS must be a number above 0 and at most 11.5, not 'abc'"),
        (("--hours=0", "kaggle"), "HOURS must be a number above 0"),
        (("--hours=nan", "kaggle"), "HOURS must be a number above 0"),
        (("--hours=12", "kaggle"), "at most 11.5, not '12'"),
        (("--models= , ", "kaggle"), "MODELS has no names. Choose from a"),
        (("--models=a x", "kaggle"), "no model x. Choose from a"),
    ],
)
def test_wrong_options(
    command: Kaggle, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("sys.argv", ["kaggle_gpu", *options])
    with pytest.raises(UserError, match=re.escape(message)):
        kaggle_gpu.main()
    assert not command.log


def test_the_demo_is_refused_before_a_request(command: Kaggle) -> None:
    text = params_file.PARAMS.read_text()
    params_file.PARAMS.write_text(text.replace("source: files", "source: builtin"))
    with pytest.raises(UserError, match=r"does not have the built-in demo. Run `make init SOURCE"):
        kaggle_gpu.main()
    assert not command.log


def test_a_competition_that_is_not_on_kaggle(command: Kaggle) -> None:
    text = params_file.PARAMS.read_text()
    params_file.PARAMS.write_text(text.replace("slug: shapes", "slug: My-zip_1"))
    with pytest.raises(UserError, match=r"no competition 'My-zip_1'.*\(`dvc repro`\) or a cluster"):
        kaggle_gpu.main()
    assert not command.of("CreateDataset") and not command.service.kernels


def test_rules_that_were_not_accepted_upload_nothing(command: Kaggle) -> None:
    command.faults.append(Fault("ListDataFiles", status=403))
    rules = "rules (https://www.kaggle.com/competitions/shapes/rules)"
    with pytest.raises(UserError, match=re.escape(rules)):
        kaggle_gpu.main()
    assert not command.of("CreateDataset")


def test_a_project_without_git_uploads_nothing(command: Kaggle) -> None:
    shutil.rmtree(".git")
    with pytest.raises(UserError, match="Run `git init`"):
        kaggle_gpu.main()
    assert not command.of("CreateDataset")


def test_only_the_chosen_models_are_reported(
    command: Kaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kaggle_gpu", "--models", " a, ", "kaggle"])
    monkeypatch.setattr(rounds, "missing_jobs", lambda *_: [])  # as if all were trained
    kaggle_gpu.main()
    assert "a are trained" in capsys.readouterr().out and not command.service.kernels


def test_wheels_that_the_user_has_deleted_are_uploaded_again(
    server: Kaggle, folded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "PYTHON_VERSIONS", (f"3.{sys.version_info.minor}",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folded.folder / "outside/index"))
    ref = uploads.wheels_ref("someone")
    State(uploaded=[ref]).save()
    assert ref not in server.service.datasets
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert [*server.service.datasets[ref][-1]] == ["podium_probe-1.0-py3-none-any.whl"]


def test_a_data_set_that_kaggle_could_not_process_is_uploaded_again(server: Kaggle) -> None:
    server.service.dataset_states = ["FAILED"]
    with pytest.raises(UserError, match=r"could not process the data set .* \(status failed\)"):
        run(driver())
    server.service.dataset_states = ["READY"]
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(server.of("CreateDatasetVersion")) == 1


def test_a_new_notebook_that_kaggle_does_not_list_yet_is_not_deleted(
    server: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MISSING_SECONDS", 5.0)
    server.faults.append(Fault("SaveKernel", lost=True))  # so its number is not known
    server.faults.append(Fault("GetKernelSessionStatus", status=403, skip=2, times=4))
    with pytest.raises(UserError, match=NOTHING):
        run(driver())
    assert len(notebooks(server).sessions) == 1


def test_a_notebook_is_found_without_quota(server: Kaggle) -> None:
    """It may have used up the rest of it."""
    notebooks(server).script = ends("ERROR", "first")
    with pytest.raises(UserError, match="first"):
        run(driver())
    State().save()
    server.service.quota_hours = (30.0, 30.0)
    with pytest.raises(UserError, match="first"):
        run(driver())


def test_a_notebook_without_progress_is_followed_by_another(server: Kaggle) -> None:
    def script(session: Session) -> None:
        member, data = tarfile.TarInfo("checkpoint/.checkpoints/a/fold0/1.ckpt"), b'{"number": 1}\n'
        member.size = len(data)
        path = session.folder / "working/result-0.tar"
        with tarfile.open(path, "w") as archive:
            archive.addfile(member, io.BytesIO(data))
        record = {"bytes": path.stat().st_size, "sha256": results.sha256(path)}
        ends("COMPLETE", status="stopped", files={"result-0.tar": record})(session)

    notebooks(server).script = script
    runner_ = driver()
    assert run(runner_) and run(runner_)  # the first brings a checkpoint, the second the same
    with pytest.raises(UserError, match=r"has made no progress. Set more HOURS"):
        run(runner_)
    assert len(notebooks(server).sessions) == 2
    assert run(driver())
    assert len(notebooks(server).sessions) == 3


def test_predictions_need_trained_models(server: Kaggle) -> None:
    with pytest.raises(UserError, match=r"2 models and folds are not trained: a-0, a-1. Run `make"):
        run(driver(predict=True))
    assert not server.service.kernels


def test_the_hours_that_are_left() -> None:
    progress: dict[str, dict[str, float | None]] = {
        "a-0": {"spent": 3600.0, "left": 0.0},
        "a-1": {"spent": 1800.0, "left": 1800.0},
        "b-0": {"spent": 0.0, "left": None},
    }
    assert hours_left(progress, ["a-1", "a-2", "b-0"], 1) == 0.5 + 1 + 1
    assert hours_left(progress, ["a-1", "a-2", "b-0"], 2) == 1.25
    assert hours_left({}, ["a-1"], 2) == 0


def test_machines_are_named_as_the_client_names_them() -> None:
    from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

    for machine in runner.MACHINES.values():
        assert machine.name in (ApiSaveKernelRequest.machine_shape.__doc__ or "")
