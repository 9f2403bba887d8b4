import dataclasses
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import competitions
import pytest
import torch
from conftest import Project
from trainings import EVERYTHING, FOLDS, WITH_SRC, components, same_weights, start
from trainings import train as train_model

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.training import checkpoints as checkpointing
from podium.training import fingerprint
from podium.training.checkpoints import Checkpoints
from podium.training.criterion import Criterion
from podium.training.epochs import Epoch
from podium.training.state import TrainState


class Killed(BaseException):
    """Stands for SIGKILL: nothing in our code handles it."""


class KilledAfterSaves(Checkpoints):
    """Saves after every optimizer step, and kills the run after the last of `saves`."""

    def __init__(self, folder: Path, saves: int) -> None:
        super().__init__(folder, every_minutes=1e-9)
        self.saves_left = saves

    def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
        super().save(state, wait=wait)
        self.saves_left -= 1
        if self.saves_left == 0:
            raise Killed


def train(
    images: ImageStore, checkpoints: Checkpoints, **changes: Any
) -> tuple[dict[str, torch.Tensor], list[Epoch]]:
    """The best weights, and the curves without times."""
    best, curves, _ = train_model(images, checkpoints, **(EVERYTHING | changes))
    no_times = {"images_per_s": 0, "seconds": 0, "feature_seconds": 0}
    return best.weights, [dataclasses.replace(row, **no_times) for row in curves]


def kill(folder: Path, images: ImageStore, saves: int) -> None:
    """Train until so many checkpoints have been saved."""
    with pytest.raises(Killed), KilledAfterSaves(folder, saves) as checkpoints:
        train(images, checkpoints)


def newest(folder: Path) -> Path:
    return max(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def whole(
    images: ImageStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, torch.Tensor], list[Epoch]]:
    """The result of a run that nothing interrupts."""
    return train(images, Checkpoints(tmp_path_factory.mktemp("whole")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"average_checkpoints": {"last": 2}},
        {"ema_decay": None, "grad_accum_steps": 1, "patience": 1},
    ],
    ids=str,
)
def test_a_run_that_is_killed_again_and_again_gives_the_same_weights(
    tmp_path: Path, images: ImageStore, changes: dict[str, Any]
) -> None:
    """At random steps, within epochs and between phases, with everything that has a state."""
    weights, curves = train(images, Checkpoints(tmp_path / "whole"), **changes)
    rng, kills = random.Random(0), 0
    while True:
        try:
            with KilledAfterSaves(tmp_path / "killed", rng.randint(1, 9)) as checkpoints:
                resumed_weights, resumed_curves = train(images, checkpoints, **changes)
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert same_weights(resumed_weights, weights)
    assert resumed_curves == curves
    assert not (tmp_path / "killed").exists()


@pytest.mark.slow
def test_a_run_that_is_killed_after_its_last_step_has_nothing_left_to_train(
    tmp_path: Path,
    images: ImageStore,
    whole: tuple[dict[str, torch.Tensor], list[Epoch]],
) -> None:
    steps = 6 + 6 + 6  # optimizer steps in three epochs: one per two of eleven batches
    for saves in (steps + 2, steps + 3):  # and one at the end of each epoch
        kill(tmp_path / "x", images, saves)
        with Checkpoints(tmp_path / "x") as checkpoints:
            weights, curves = train(images, checkpoints)
        assert same_weights(weights, whole[0]) and curves == whole[1]


def test_a_resumed_run_has_one_optimizer(images: ImageStore) -> None:
    """With fp16, accelerate's gradient clipping unscales the gradients once per optimizer."""
    run = components(images)
    state = TrainState(run)
    state.load_state_dict(state.state_dict())
    assert run.accelerator._optimizers == [state.optimizer]


@pytest.mark.slow
def test_a_kill_repeats_no_step_before_the_last_checkpoint(
    tmp_path: Path, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    original = TrainState.set_lr

    def spy(self: TrainState) -> None:
        steps.append(self.progress.global_step)
        original(self)

    monkeypatch.setattr(TrainState, "set_lr", spy)
    kill(tmp_path / "x", images, 4)
    with Checkpoints(tmp_path / "x") as checkpoints:
        train(images, checkpoints)
    assert steps == [0, *range(33)]  # the first one verified the settings


@pytest.mark.slow
def test_a_non_finite_loss_is_reported_with_its_images_and_not_saved(
    tmp_path: Path, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, targets = Criterion.__call__, list[torch.Tensor]()
    broken_call = 1 + 11 + 4  # verifying the settings, the first epoch, and step 4

    def broken(self: Any, outputs: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        targets.append(encoded)
        nan = len(targets) == broken_call
        return original(self, outputs, encoded) * (float("nan") if nan else 1)

    monkeypatch.setattr(Criterion, "__call__", broken)
    plain = {"mix": None, "sampling": "shuffled", "grad_accum_steps": 1, "label_smoothing": 0.0}
    with (
        pytest.raises(UserError, match=r"epoch 2, step 4: loss is nan") as error,
        Checkpoints(tmp_path / "x", every_minutes=1e-9) as checkpoints,
    ):
        train(images, checkpoints, **plain)
    assert str(error.value).endswith(".ckpt")  # the last good one
    ids = str(error.value).partition("(images ")[2].partition(")")[0].split(", ")
    labels = FOLDS.set_index("id")["label"].loc[ids].tolist()
    classes = list(competitions.CLASSES)
    assert labels == [classes[row] for row in targets[broken_call - 1].argmax(1).tolist()]
    monkeypatch.undo()
    with Checkpoints(tmp_path / "x") as checkpoints:
        resumed, _ = train(images, checkpoints, **plain)
    assert same_weights(resumed, train(images, Checkpoints(tmp_path / "y"), **plain)[0])


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped bit", "another file"])
def test_a_corrupted_checkpoint_is_reported_and_the_one_before_used(
    tmp_path: Path,
    images: ImageStore,
    whole: tuple[dict[str, torch.Tensor], list[Epoch]],
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    kill(tmp_path / "x", images, 5)
    path = newest(tmp_path / "x")
    data = path.read_bytes()
    middle = len(data) // 2
    damaged = {
        "empty": b"",
        "cut": data[:-100],
        "flipped bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "another file": b"not a checkpoint",
    }
    path.write_bytes(damaged[damage])
    capsys.readouterr()
    with Checkpoints(tmp_path / "x") as checkpoints:
        weights, _ = train(images, checkpoints)
    output = capsys.readouterr().out
    assert f"{path}: corrupted" in output
    assert "resuming from checkpoint at step 8" in output  # two batches per save
    assert same_weights(weights, whole[0])


@pytest.mark.slow
def test_checkpoints_of_another_run_are_reported_and_ignored(
    tmp_path: Path, images: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, _ = train(images, Checkpoints(tmp_path / "whole"), label_smoothing=0.2)
    kill(tmp_path / "x", images, 3)
    capsys.readouterr()
    with Checkpoints(tmp_path / "x") as checkpoints:
        other, _ = train(images, checkpoints, label_smoothing=0.2)
    output = capsys.readouterr().out
    assert output.count("ignoring the checkpoints in") == 1 and "resuming" not in output
    assert same_weights(other, weights)


SOURCE = '''"""A module."""

RATE = 0.5  # a comment


def scale(value: float) -> float:
    """A docstring."""
    return RATE * value
'''


@pytest.mark.parametrize(
    ("edit", "is_same"),
    [
        (("# a comment", "# another comment"), True),
        (("A docstring.", "Another docstring."), True),
        (("A module.", "Two\nlines."), True),
        (("RATE * value", "(\n        RATE * value\n    )"), True),
        (("0.5", "0.25"), False),
        (("RATE * value", "value * RATE"), False),
    ],
)
def test_a_fingerprint_of_code_ignores_comments_docstrings_and_layout(
    edit: tuple[str, str], is_same: bool
) -> None:
    edited = SOURCE.replace(*edit)
    assert edited != SOURCE
    assert (fingerprint.program(edited) == fingerprint.program(SOURCE)) == is_same


def open_checkpoints(folder: Path) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    checkpoints.identify({})
    return checkpoints


def test_the_last_two_checkpoints_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path / "x") as checkpoints:
        for number in range(5):
            checkpoints.save({"number": number})
        checkpoints.wait()
        assert len(list((tmp_path / "x").glob("*.ckpt"))) == 2
        for number in (4, 3):
            assert open_checkpoints(tmp_path / "x").load() == {"number": number}
            newest(tmp_path / "x").unlink()
        assert checkpoints.load() is None


def test_a_small_checkpoint_is_on_the_disk_once_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpointing._write

    def slow(*arguments: Any) -> None:
        time.sleep(0.3)
        write(*arguments)

    monkeypatch.setattr(checkpointing, "_write", slow)
    with open_checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.save({"number": 1})
        assert open_checkpoints(tmp_path / "x").load() == {"number": 1}


def test_a_large_checkpoint_is_of_the_moment_in_which_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written later, while the training continues."""
    monkeypatch.setattr(checkpointing, "LARGE_BYTES", 0)
    write, may_write = checkpointing._write, threading.Event()

    def late(*arguments: Any) -> None:
        assert may_write.wait(10)
        write(*arguments)

    monkeypatch.setattr(checkpointing, "_write", late)
    with open_checkpoints(tmp_path / "x") as checkpoints:
        weights = torch.zeros(3)
        checkpoints.save({"net": {"weights": weights}, "kept": [weights]})
        weights += 1
        assert not list((tmp_path / "x").glob("*.ckpt")) and checkpoints.last is None
        may_write.set()
        state = checkpoints.load()
        assert state is not None and state["kept"][0].tolist() == [0, 0, 0]
        assert state["net"]["weights"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("is_large", [True, False])
def test_large_checkpoints_are_due_at_the_ends_of_long_epochs_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    monkeypatch.setattr(checkpointing, "LARGE_BYTES", 10)
    now, write = [100.0], checkpointing._write
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: now[0])

    def slow(*arguments: Any) -> None:
        write(*arguments)
        now[0] += 2

    monkeypatch.setattr(checkpointing, "_write", slow)
    checkpoints = open_checkpoints(tmp_path / "x")
    assert checkpoints.due(epoch_ended=True)  # none has taken time yet
    checkpoints.save({"weights": torch.zeros(3 if is_large else 2)}, wait=True)
    due = []
    for _ in range(4):
        now[0] += 10
        due.append((checkpoints.due(epoch_ended=True), checkpoints.due()))
    ends = [False, False, False, True] if is_large else [True] * 4  # 2 s of 42
    assert due == [(end, False) for end in ends]


def test_a_failed_trial_write_is_an_error_at_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "_write", disk_full)
    with open_checkpoints(tmp_path / "x") as checkpoints:
        assert checkpoints.verify({"weights": [torch.zeros(3), torch.zeros(2)]}) == 20
        checkpoints._writer.submit(lambda: None).result()  # the trial is over
        with pytest.raises(UserError, match="disk full"):
            checkpoints.due()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
@pytest.mark.parametrize("is_trial", [True, False])
def test_a_disk_that_is_full_within_a_tensor_is_an_error(tmp_path: Path, is_trial: bool) -> None:
    code = (
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from podium.training.checkpoints import Checkpoints\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "state = {'weights': torch.zeros(2**24 + 1)}\n"
        "with Checkpoints(Path(sys.argv[1])) as checkpoints:\n"
        "    checkpoints.verify(state) if sys.argv[2] == 'True' else checkpoints.save(state)\n"
        "    print('saved')\n"
        "with Checkpoints(Path(sys.argv[1])) as checkpoints:\n"
        "    checkpoints.save(state, wait=True)\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "x", str(is_trial)]
    done = subprocess.run(command, env=WITH_SRC, capture_output=True, text=True, check=False)
    assert done.stdout == "saved\n"  # when a run has ended, nothing needs its checkpoint
    assert "UserError: cannot write" in done.stderr and "Free up disk space" in done.stderr
    assert not (tmp_path / "x").exists()


def test_what_averages_its_epochs_saves_after_the_last(
    tmp_path: Path, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a stop while it averages would lose them."""
    monkeypatch.setattr(checkpointing, "LARGE_BYTES", 0)
    monkeypatch.setattr(checkpointing, "EPOCH_END_SHARE", 0)
    saved = list[int]()

    class Spy(Checkpoints):
        def save(self, state: dict[str, Any], *, wait: bool = False) -> None:
            saved.append(len(state["curves"]))
            super().save(state, wait=wait)

    train(images, Spy(tmp_path / "x"), average_checkpoints={"last": 2})
    assert saved == [3]
    saved.clear()
    train(images, Spy(tmp_path / "y"))
    assert saved == []


@pytest.mark.parametrize("wait", [False, True])
def test_a_checkpoint_that_could_not_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    with open_checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.save({"number": 0}, wait=True)
        with monkeypatch.context() as patch, pytest.raises(UserError, match="disk full"):
            patch.setattr(checkpointing, "_write", disk_full)
            checkpoints.save({"number": 1}, wait=wait)
            checkpoints.save({"number": 2})
        assert checkpoints.load() == {"number": 0}


def disk_full(*_: object) -> None:
    raise UserError("disk full")


def test_a_resumed_run_replaces_the_older_checkpoint(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.save({"number": 0})
        checkpoints.save({"number": 1}, wait=True)
        resumed = open_checkpoints(tmp_path / "x")
        resumed.load()
        resumed.save({"number": 2}, wait=True)
        newest(tmp_path / "x").write_bytes(b"half")
        assert resumed.load() == {"number": 1}


def test_one_process_owns_a_folder_and_the_next_one_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "LOCK_TIMEOUT_S", 0.2)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from podium.training.checkpoints import Checkpoints\n"
        "with Checkpoints(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "x"], stdout=subprocess.PIPE, env=WITH_SRC
    ) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"locked\n"
        with pytest.raises(UserError, match=f"process {owner.pid}"), Checkpoints(tmp_path / "x"):
            pass
        owner.kill()
        owner.wait()
    with Checkpoints(tmp_path / "x"):  # a dead process owns nothing
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, marks=pytest.mark.long),
    ],
)
@pytest.mark.thorough
def test_a_training_that_is_stopped_resumes_after_an_edit_to_a_comment_with_the_same_bytes(
    prepared: Project, tmp_path: Path, number: signal.Signals
) -> None:
    whole = prepared.copy(tmp_path / "whole")
    assert whole.stage("train", "--model", "a", "--fold", "0").returncode == 0
    process = start(prepared)
    process.send_signal(number)
    sent = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert process.returncode == (-number if number == signal.SIGKILL else 75)
    if number != signal.SIGKILL:
        assert number.name in output
    for name in ("training/loop.py", "config/models.py"):
        path = prepared.folder / "src/podium" / name
        path.write_text("# a comment\n" + path.read_text())
    done = prepared.stage("train", "--model", "a", "--fold", "0")
    assert done.returncode == 0 and "resuming from checkpoint at step " in done.stdout
    assert "epoch   5" not in done.stdout
    name = "models/a/fold0/weights.safetensors"
    assert prepared.read(name) == whole.read(name)
    assert not list((prepared.folder / ".checkpoints").rglob("*.ckpt"))


@pytest.mark.slow
def test_a_second_training_of_the_same_fold_stops_and_the_first_continues(
    prepared: Project,
) -> None:
    path = prepared.folder / "src/podium/training/checkpoints.py"
    path.write_text(path.read_text().replace("LOCK_TIMEOUT_S = 10.0", "LOCK_TIMEOUT_S = 0.5"))
    process = start(prepared)
    process.send_signal(signal.SIGSTOP)  # or it would end before the other starts
    done = prepared.stage("train", "--model", "a", "--fold", "0")
    process.send_signal(signal.SIGCONT)
    assert done.returncode == 1 and f"process {process.pid}" in done.stdout
    process.communicate(timeout=120)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_training_dies_with_its_parent(prepared: Project) -> None:
    code = (
        "import subprocess, sys;"
        "command = [sys.executable, 'src/train.py', '--model', 'a', '--fold', '0'];"
        "p = subprocess.Popen(command); print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=prepared.folder,
        env={**os.environ, "DVC_STAGE": "train@a-0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        for line in parent.stdout:
            if line.startswith("epoch   2"):
                break
        parent.kill()
    for _ in range(200):
        if (
            not Path(f"/proc/{child}").exists()
            or "State:\tZ" in Path(f"/proc/{child}/status").read_text()
        ):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {child} is still running")
