"""The node program without a cluster: real DVC, in a folder of its own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import Project

from podium.cluster import node_program, snapshot
from podium.cluster.job import Job
from podium.cluster.node_program import Event, Work
from podium.cluster.pipeline import Pipeline
from podium.core import params_file

pytestmark = pytest.mark.slow

STAGES = ("train@a-0", "predict@a-0")


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project up to its folds, with a training run of some seconds."""
    project = Project(tmp_path_factory.mktemp("folded") / "project")
    project.edit(lambda params: params["models"]["a"].update(phases=[{"epochs": 40, "lr": 0.005}]))
    project.repro("folds")
    return project


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(node_program.FOLDER_VARIABLE, str(tmp_path / "node"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the token")
    monkeypatch.chdir(tmp_path)  # undone in the end
    return tmp_path / "node"


def work_of(project: Project, job: Job, **environment: str) -> tuple[Pipeline, Work]:
    os.chdir(project.folder)  # as users do: DVC resolves names of stages there
    pipeline = Pipeline(project.folder)
    files = snapshot.files(project.folder, params_file.read(project.folder / "params.yaml"))
    return pipeline, job.work(pipeline, files, {"OMP_NUM_THREADS": "1", **environment})


def start(pipeline: Pipeline, work: Work) -> Iterator[Event]:
    return node_program.run(work, lambda name: pipeline.object_path(name).read_bytes())


def processes(node: Path) -> list[psutil.Process]:
    """The processes that run in the folders of a node's tasks: DVC, shell, stage."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if str(node) in (process.info["cwd"] or ""):
            found.append(process)
    return found


@pytest.mark.long
def test_a_killed_run_resumes_elsewhere_with_the_bytes_of_a_local_run(
    folded: Project, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_program, "CHECKPOINT_SECONDS", 0.0)
    local = folded.copy(tmp_path / "local")
    local.repro("predict@a-0")
    project, job = folded.copy(tmp_path / "driver"), Job("a", 0, STAGES)
    pipeline, work = work_of(project, job)
    assert pipeline.missing(STAGES) == [*STAGES]
    failed = ()
    for kind, name, content in start(pipeline, work):
        job.receive(pipeline, kind, name, content) if kind != "line" else None
        failed = (kind, name)
        if name.startswith("epoch  20"):
            (training,) = (p for p in processes(node) if "src/train.py" in p.cmdline()[1:2])
            assert "the token" not in training.environ().values()
            training.send_signal(signal.SIGKILL)
    assert failed == ("failed", "system")
    assert [*(project.folder / job.folder).glob("*.ckpt")] and not [
        *(node / "tasks").glob("*.lock")
    ]
    monkeypatch.setenv(node_program.FOLDER_VARIABLE, f"{node}-2")
    pipeline, work = work_of(project, job)
    lines = []
    for kind, name, content in start(pipeline, work):
        assert kind != "failed"
        lines.append(name)
        job.receive(pipeline, kind, name, content)
    assert any(line.startswith("resuming from checkpoint at step ") for line in lines)
    assert not (project.folder / job.folder).exists()
    assert pipeline.missing(STAGES) == []
    for path in ("models/a/fold0/weights.safetensors", "data/predictions/a/fold0/test.parquet"):
        assert project.read(path) == local.read(path)
    assert not project.repro("predict@a-0")


@pytest.mark.usefixtures("node")
def test_an_error_of_the_user_has_the_stages_message(folded: Project) -> None:
    pipeline, work = work_of(folded, Job("a", 0, STAGES), PODIUM_WORKERS="many")
    kind, name, content = [*start(pipeline, work)][-1]
    assert (kind, name) == ("failed", "user")
    message = "PODIUM_WORKERS must be a whole number, not 'many'. Fix or unset it."
    assert content.decode() == message


def test_closing_it_ends_its_processes(folded: Project, node: Path) -> None:
    events = start(*work_of(folded, Job("a", 0, STAGES)))
    for _, name, _ in events:
        if name.startswith("epoch   2"):
            break
    assert processes(node)
    events.close()  # type: ignore[attr-defined]
    assert not processes(node) and not [*(node / "tasks").glob("*.lock")]


def test_the_folder_of_a_killed_task_is_removed_by_the_next(node: Path) -> None:
    (node / "tasks/old/src").mkdir(parents=True)
    (node / "tasks/old.lock").touch()
    with node_program._task_folder(node / "tasks") as folder:
        assert [*(node / "tasks").glob("*.lock")] == [folder.with_suffix(".lock")]
        assert not (node / "tasks/old").exists()
        with node_program._task_folder(node / "tasks"):
            assert folder.exists()  # another one that runs


def test_a_damaged_object_is_rejected(folded: Project, node: Path) -> None:
    _, work = work_of(folded, Job("a", 0, STAGES))
    with pytest.raises(ValueError, match="was damaged in transit"):
        next(node_program.run(work, lambda _: b"else"))
    with pytest.raises(ValueError, match="is not the name"):
        Pipeline(folded.folder).add_object("../../x", b"")
    assert not (node / "objects").exists()


def test_an_entry_is_sent_after_the_objects_that_dvc_stores_later(tmp_path: Path) -> None:
    name, digest, folder = f"aa/{64 * 'a'}/{64 * 'b'}", 32 * "c", f"{32 * 'd'}.dir"
    work = Work((), {}, (), (), {}, {}, ".checkpoints/a/fold0", {})
    sent, cache = node_program.Sent(tmp_path, work), tmp_path / ".dvc/cache"
    entry = f"cmd: x\nouts:\n- path: a\n  md5: {digest}\n- path: b\n  md5: {folder}\n".encode()
    node_program._write(cache / "runs" / name, entry)
    assert [*sent.new()] == []
    node_program._write(node_program.cached(cache, digest), b"file")
    listed = f'[{{"md5": "{32 * "e"}", "relpath": "x"}}]'.encode()
    node_program._write(node_program.cached(cache, folder), listed)
    assert [*sent.new()] == []
    node_program._write(node_program.cached(cache, 32 * "e"), b"inner")
    assert [*sent.new()] == [
        ("object", digest, b"file"),
        ("object", 32 * "e", b"inner"),
        ("object", folder, listed),
        ("entry", name, entry),
    ]
    assert [*sent.new(final=True)] == []


def test_a_folder_that_cannot_be_written_is_named_and_is_not_the_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv(node_program.FOLDER_VARIABLE, str(file / "node"))
    work = Work(STAGES, {}, (), (), {}, {}, ".checkpoints/a", {})
    (event,) = node_program.run(work, lambda _: b"")
    reason = f"Not a directory: {file}/node/tasks ({node_program.FOLDER_VARIABLE})"
    assert event == ("failed", "system", reason.encode())


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("cannot write models/a: No space left on device (9 bytes needed)", "system"),
        ("models.a has no lr", "user"),
    ],
)
@pytest.mark.usefixtures("node")
def test_a_full_disk_of_a_node_is_not_the_users_mistake(command: str, kind: str) -> None:
    stages = f"stages:\n  fails:\n    cmd: \"echo 'error: {command}' && exit 1\"\n    outs: [x]\n"
    work = Work(("fails",), {"dvc.yaml": stages.encode()}, (), (), {}, {}, ".checkpoints/a", {})
    *_, (event, name, content) = node_program.run(work, lambda _: b"")
    assert (event, name) == ("failed", kind) and content.startswith(command.encode())
