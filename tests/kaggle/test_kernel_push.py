"""Pushing an export: the real client against the server on loopback."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kaggle_server
import pytest
from kaggle_server import Fault, Kaggle

from podium.competition import kaggle_api
from podium.core.errors import UserError
from podium.kaggle import history, submit
from podium.kaggle.kernel import export as kernel_export
from podium.kaggle.kernel import push as kernel_push
from podium.kaggle.kernel.export import ExportName

pytestmark = pytest.mark.slow  # waits for data set and kernel

NAME = ExportName.create("shapes", owner="someone", title=None)
REF = NAME.ref
WEIGHTS = bytes(range(256)) * 40


@pytest.fixture
def kaggle(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kaggle]:
    """The server, to which the client in this process is redirected."""
    home = tmp_path_factory.mktemp("home")
    with kaggle_server.serve({"shapes": b""}) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", str(home))  # tempfile caches it
        yield server


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export with placeholders for weights and code."""
    for folder in ("dataset", "kernel"):
        (tmp_path / folder).mkdir()
    kernel_export.write_metadata(tmp_path, NAME, "shapes")
    (tmp_path / "dataset/a-fold0.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "dataset/podium.json").write_bytes(b"{}")
    (tmp_path / "kernel/main.py").write_text("print()")
    return tmp_path


def push(export: Path, *, minutes: float = 1) -> tuple[int, int]:
    api = kaggle_api.login()
    client = kernel_push.KernelClient(api, NAME, "shapes")
    version = client.run(export, wait_minutes=minutes)
    described = {"competition": "shapes", "message": "the first", "sha256": "1"}
    row = submit.send(
        api,
        dict.fromkeys(history.COLUMNS, "") | described,
        action=f"submit version {version} of {REF}",
        request=lambda: client.submit(version, "the first"),
        allow_repeated=True,
        past=export / "history.csv",
    )
    return int(row["ref"]), version


def test_data_set_kernel_and_submission_arrive_unchanged(
    kaggle: Kaggle, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, version = push(export)
    assert version == 1
    sent = {"a-fold0.safetensors": WEIGHTS, "podium.json": b"{}"}
    assert kaggle.service.datasets[REF] == [sent]
    assert kaggle.service.dataset_bodies[0]["isPrivate"] is True
    (kernel,) = kaggle.service.kernels[REF]
    assert kernel["text"] == "print()" and kernel["newTitle"] == "podium-shapes"
    assert kernel["enableInternet"] is False and kernel["enableGpu"] is True
    assert kernel["isPrivate"] is True
    assert kernel["datasetDataSources"] == [REF]
    assert kernel["competitionDataSources"] == ["shapes"]
    (submission,) = kaggle.service.submissions
    assert submission["ref"] == ref and submission["description"] == "the first"
    (request,) = kaggle.of("CreateCodeSubmission")
    assert request.body["kernelVersion"] == 1 and request.body["fileName"] == "submission.csv"
    # Each step waits for the one before.
    kinds = [request.kind for request in kaggle.log]
    ready = max(index for index, kind in enumerate(kinds) if kind == "GetDatasetStatus")
    complete = max(index for index, kind in enumerate(kinds) if kind == "GetKernelSessionStatus")
    assert ready < kinds.index("SaveKernel") < complete < kinds.index("CreateCodeSubmission")
    printed = capsys.readouterr()
    assert f"kernel {REF}: running" in printed.out
    assert kaggle_server.KEY not in printed.out + printed.err


def test_an_existing_data_set_and_kernel_get_a_version_which_is_submitted(
    kaggle: Kaggle, export: Path
) -> None:
    push(export)
    (export / "dataset/a-fold0.safetensors").write_bytes(WEIGHTS[1:])
    push(export)
    versions = kaggle.service.datasets[REF]
    assert [len(version["a-fold0.safetensors"]) for version in versions] == [10240, 10239]
    assert len(kaggle.of("CreateDataset")) == len(kaggle.of("CreateDatasetVersion")) == 1
    assert [r.body["kernelVersion"] for r in kaggle.of("CreateCodeSubmission")] == [1, 2]


def test_a_failed_upload_stops_the_push(kaggle: Kaggle, export: Path) -> None:
    kaggle.faults.append(Fault("PUT", status=400))
    with pytest.raises(UserError, match=f"{REF}: Kaggle did not receive 1 of 2 files"):
        push(export)
    assert not kaggle.service.kernels and not kaggle.service.submissions


def test_a_data_set_that_fails_stops_the_push(kaggle: Kaggle, export: Path) -> None:
    kaggle.service.dataset_states = ["BLOBS_RECEIVED", "FAILED"]
    with pytest.raises(UserError, match=f"{REF} .*failed"):
        push(export)
    assert not kaggle.service.kernels


def test_a_kernel_that_fails_is_not_submitted(kaggle: Kaggle, export: Path) -> None:
    kaggle.service.kernel_states = ["RUNNING", "ERROR"]
    kaggle.service.kernel_failure = "out of memory"
    with pytest.raises(
        UserError, match=f"error: out of memory.* https://www.kaggle.com/code/{REF}"
    ):
        push(export)
    assert not kaggle.service.submissions


def test_a_timeout_says_how_to_submit_later(kaggle: Kaggle, export: Path) -> None:
    kaggle.service.kernel_states = ["RUNNING"]
    with pytest.raises(UserError, match="running") as error:
        push(export, minutes=0.05)
    command = f"kaggle competitions submit shapes -k {REF} -v 1 -f submission.csv -m MESSAGE"
    assert command in str(error.value)
    assert not kaggle.service.submissions


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        ("GetDatasetStatus", 401, "https://www.kaggle.com/settings/api"),
        ("CreateDataset", 400, f"upload the data set {REF}"),
        ("SaveKernel", 403, "https://www.kaggle.com/competitions/shapes/rules"),
        ("GetKernelSessionStatus", 404, f"the status of the kernel {REF}"),
        ("CreateCodeSubmission", 400, f"submit version 1 of {REF}"),
    ],
)
def test_a_refusal_is_one_message(
    kaggle: Kaggle, export: Path, call: str, status: int, message: str
) -> None:
    kaggle.faults.append(Fault(call, status=status))
    with pytest.raises(UserError, match=message) as error:
        push(export)
    assert kaggle_server.KEY not in str(error.value)
    assert not kaggle.service.submissions


def test_a_kernel_without_its_data_is_not_submitted(kaggle: Kaggle, export: Path) -> None:
    path = export / "kernel/kernel-metadata.json"
    path.write_text(path.read_text().replace(f'"{REF}"\n', '"someone/nothing"\n'))
    assert json.loads(path.read_text())["dataset_sources"] == ["someone/nothing"]
    with pytest.raises(UserError, match="someone/nothing"):
        push(export)
    assert not kaggle.service.submissions


def test_requests_are_retried_while_kaggle_is_busy(kaggle: Kaggle, export: Path) -> None:
    busy = {"status": 429, "headers": {"Retry-After": "0"}}
    kaggle.faults.extend(Fault(call, **busy) for call in ("SaveKernel", "CreateCodeSubmission"))
    push(export)
    assert len(kaggle.service.kernels[REF]) == len(kaggle.service.submissions) == 1


def test_a_submission_whose_response_is_lost_is_looked_up_and_not_sent_twice(
    kaggle: Kaggle, export: Path
) -> None:
    kaggle.faults.append(Fault("CreateCodeSubmission", lost=True))
    ref, _ = push(export)
    (submission,) = kaggle.service.submissions
    assert submission["ref"] == ref and len(kaggle.of("CreateCodeSubmission")) == 1
    kaggle.faults.append(Fault("CreateCodeSubmission", status=500))
    with pytest.raises(UserError, match=f"submit version 2 of {REF}"):
        push(export)
    assert len(kaggle.service.submissions) == 1
