"""`make watch` shows active training runs, and only those."""

import sys
import time
from pathlib import Path

import pytest
import trainings
from conftest import Project

from commands import watch
from podium.training import status
from podium.training.status import Status, StatusFile


def table(project: Project) -> str:
    return project.run(sys.executable, "-m", "commands.watch").stdout


@pytest.mark.slow
def test_a_training_is_shown_until_it_is_killed(prepared: Project) -> None:
    assert "No training is running" in table(prepared)
    process = trainings.start(prepared)
    process.send_signal(19)  # SIGSTOP: the table must not depend on the machine's speed
    try:
        (running,) = status.running(prepared.folder)
        shown = table(prepared)
    finally:
        process.kill()
        process.wait()
    assert (running.model, running.fold, running.device, running.epochs) == ("a", "0", "cpu", 30)
    assert running.epoch >= 6 and running.best is not None and running.score is not None
    assert running.best >= running.score and running.left is not None
    for text in ("│ a     │ 0", f"{running.epoch} of 30", f"{running.best:.4f}", "cpu", "s ago"):
        assert text in shown, shown
    assert "training runs: 1" in shown
    assert "No training is running" in table(prepared)
    assert not [*(prepared.folder / status.FOLDER).iterdir()]


@pytest.mark.slow
def test_lines_and_status_of_a_training_agree_on_what_is_left(project: Project) -> None:
    for stage in ("check", "fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    first = project.stage("train", "--model", "a", "--fold", "0").stdout
    assert "0 of 2 models and folds are trained\n" in first
    assert " left (" in first and " in total)" in first and " left in total" in first
    last = project.stage("train", "--model", "a", "--fold", "1").stdout
    assert "1 of 2 models and folds are trained: " in last and "in total)" not in last
    assert status.running(project.folder) == []


@pytest.mark.slow
def test_the_time_left_after_epochs_on_features(project: Project) -> None:
    """Nothing is known about epochs on images before the first, except from another fold."""
    phases = [{"epochs": 3, "lr": 0.01, "trainable": "head"}, {"epochs": 2, "lr": 0.01}]
    project.edit(lambda params: params["models"]["a"].update(phases=phases, augment="none"))
    for stage in ("check", "fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    lines = {}
    for fold in "01":
        output = project.stage("train", "--model", "a", "--fold", fold).stdout
        assert "phase 1 trains the head on the features" in output
        lines[fold] = [line for line in output.splitlines() if line.startswith("epoch ")]
    unknown = ["time left unknown until the next phase" in line for line in lines["0"]]
    assert unknown == [True] * 3 + [False] * 2
    assert not any("in total" in line for line in lines["0"][:3])
    assert " left (" in lines["0"][3] and " left in total" in lines["0"][4]
    assert [line.endswith(" left") for line in lines["1"]] == [True] * 4 + [False]


def test_the_status_of_a_copy_is_written_to_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc/tmp/exps/standalone/tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert status.project_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    assert status.project_root() == tmp_path


def test_the_table_sorts_and_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.chdir(tmp_path)
    now = time.monotonic()
    rows = [
        Status("b", "all", node="gpu-2", phase=2, phases=3, epoch=4, epochs=9, share=0.5,
               score=0.87654, best=0.9, left=3700.0, device="NVIDIA H100", updated=now - 65,
               metric="macro_f1"),
        Status("a", "1", updated=now),
    ]  # fmt: skip
    writers = [StatusFile(tmp_path, "x") for _ in rows]
    for writer, row in zip(writers, rows, strict=True):
        writer.write(row)
    (tmp_path / status.FOLDER / "old.json").write_text("{}")  # without a writer
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    console.print(watch.table(console))
    text = console.export_text()
    a, b = (line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in b] == [
        "gpu-2", "b", "all", "train", "4 of 9 (50%), phase 2 of 3", "macro_f1 0.8765", "0.9000",
        "1 h 01 min", "NVIDIA H100", "65 s ago",
    ]  # fmt: skip
    assert [cell.strip() for cell in a][:5] == ["", "a", "1", "starting", ""]
    for writer in writers:
        writer.close()
    assert not [*(tmp_path / status.FOLDER).iterdir()]


def test_names_are_whole_on_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    monkeypatch.chdir(tmp_path)
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    assert str(watch.table(console)) == "No training is running in this project."
    names = ["mobilenetv3_small_100", "mobilenetv3_large_100"]
    writers = [StatusFile(tmp_path, name) for name in names]
    for writer, name in zip(writers, names, strict=True):
        writer.write(Status(name, "0", phases=2, epoch=4, epochs=90, score=0.87654, best=0.9,
                            left=3700.0, updated=time.monotonic(), device="NVIDIA H100",
                            metric="accuracy"))  # fmt: skip
    console.print(watch.table(console))
    text = console.export_text()
    assert all(name in text for name in names) and "…" not in text
    assert text.count("accuracy 0.8765") == 2 and "1 h 0" in text and "4 of 90 (0%)" in text
    for writer in writers:
        writer.close()


def test_files_that_cannot_be_removed_or_read_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file that a process has open can be neither."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files are listed on Linux only")
    writers = [StatusFile(tmp_path, name) for name in ("alive", "busy")]
    for writer, model in zip(writers, ("alive", "busy"), strict=True):
        writer.write(Status(model, "0"))
    killed = tmp_path / status.FOLDER / "killed.json"
    killed.write_text("{}")
    read, unlink, locks = Path.read_bytes, Path.unlink, list[Path]()

    def denied(path: Path) -> bytes:
        if path.name.startswith("busy"):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    def refused(path: Path, missing_ok: bool = False) -> None:
        inodes = {f.stat().st_ino for f in Path("/proc/self/fd").iterdir() if f.exists()}
        if path == killed or (path.exists() and path.stat().st_ino in inodes):
            locks.append(path)
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.setattr(Path, "unlink", refused)
    assert [found.model for found in status.running(tmp_path)] == ["alive"]
    for writer in writers:
        writer.close()
    assert [*(tmp_path / status.FOLDER).iterdir()] == [killed] and locks == [killed]
    monkeypatch.undo()
    assert status.running(tmp_path) == [] and not [*(tmp_path / status.FOLDER).iterdir()]
