import dataclasses
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import competitions
import pytest
import torch
from conftest import Project
from trainings import EVERYTHING, FOLDS, WITH_SRC, data_of, start
from trainings import config as model_config

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.scoring import metrics
from podium.training import checkpoints as checkpointing
from podium.training import fold, state
from podium.training.checkpoints import Checkpoints
from podium.training.criterion import Criterion


class Killed(BaseException):
    """As if the process were gone: nothing of ours handles it."""


class Mortal(Checkpoints):
    """Checkpoints after every step of the optimizer; the process dies with the last of `saves`."""

    def __init__(self, folder: Path, saves: int) -> None:
        super().__init__(folder, every_minutes=1e-9)
        self.left = saves

    def save(self, state: dict[str, Any]) -> None:
        super().save(state)
        self.left -= 1
        if self.left == 0:
            raise Killed


def train(
    store: ImageStore, checkpoints: Checkpoints, **changes: Any
) -> tuple[state.Best, list[dict[str, Any]]]:
    values = {"batch_size": 8, "resize_mode": "squash", **EVERYTHING, **changes}
    best, curves, _ = fold.train_fold(
        model_config(**values),
        data_of(store, FOLDS),
        fold=0,
        seed=1,
        metric=metrics.get("accuracy", "multiclass"),
        checkpoints=checkpoints,
    )
    timeless = [dataclasses.replace(row, images_per_s=0, seconds=0) for row in curves]
    return best, [dataclasses.asdict(row) for row in timeless]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"ema_decay": None, "grad_accum_steps": 1, "patience": 1}], ids=str
)
def test_a_training_killed_again_and_again_gives_the_same_weights(
    tmp_path: Path,
    images: ImageStore,
    changes: dict[str, Any],
) -> None:
    """At random steps, within epochs and between phases; with all that holds a state."""
    whole, curves = train(images, Checkpoints(tmp_path / "whole"), **changes)
    rng, deaths = random.Random(0), 0
    while True:
        try:
            with Mortal(tmp_path / "killed", rng.randint(1, 9)) as checkpoints:
                best, found = train(images, checkpoints, **changes)
            break
        except Killed:
            deaths += 1
    assert deaths >= 2
    assert same(best.state, whole.state)
    assert found == curves
    assert not (tmp_path / "killed").exists()


@pytest.mark.slow
def test_a_training_killed_after_its_last_step_has_nothing_left_to_do(
    tmp_path: Path,
    images: ImageStore,
) -> None:
    whole, curves = train(images, Checkpoints(tmp_path / "whole"))
    saves = 6 + 6 + 6  # an update of the weights every two of eleven steps, three epochs
    for left in (saves + 2, saves + 3):  # and one at each epoch's end
        with pytest.raises(Killed), Mortal(tmp_path / "x", left) as checkpoints:
            train(images, checkpoints)
        with Checkpoints(tmp_path / "x") as checkpoints:
            best, found = train(images, checkpoints)
        assert same(best.state, whole.state) and found == curves


@pytest.mark.slow
def test_a_step_without_a_loss_is_named_with_its_images_and_not_kept(
    tmp_path: Path,
    images: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, seen = Criterion.__call__, list[torch.Tensor]()

    def broken(self: Any, values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets)
        return original(self, values, targets) * (float("nan") if len(seen) == 15 else 1)

    monkeypatch.setattr(Criterion, "__call__", broken)
    plain = {"mix": None, "sampling": "shuffled", "grad_accum_steps": 1, "label_smoothing": 0.0}
    with (
        pytest.raises(UserError, match=r"epoch 2, step 4: the loss is no number any more") as error,
        Checkpoints(tmp_path / "x", every_minutes=1e-9) as checkpoints,
    ):
        train(images, checkpoints, **plain)
    named = str(error.value).partition("the images ")[2].partition(": lower")[0].split(", ")
    assert re.search(r"The last good checkpoint: .*\.ckpt$", str(error.value))
    labels = FOLDS.set_index("id")["label"].loc[named].tolist()
    classes = list(competitions.CLASSES)
    assert labels == [classes[row] for row in seen[14].argmax(1).tolist()]
    monkeypatch.undo()
    with Checkpoints(tmp_path / "x") as again:
        best, _ = train(images, again, **plain)
    assert same(best.state, train(images, Checkpoints(tmp_path / "y"), **plain)[0].state)


@pytest.mark.slow
def test_a_kill_costs_no_step_that_a_checkpoint_holds(
    tmp_path: Path,
    images: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    original = state.TrainState.update

    def spy(self: state.TrainState) -> None:
        taken.append(self.progress.global_step)
        original(self)

    monkeypatch.setattr(state.TrainState, "update", spy)
    with pytest.raises(Killed), Mortal(tmp_path / "x", 4) as checkpoints:
        train(images, checkpoints)
    with Checkpoints(tmp_path / "x") as checkpoints:
        train(images, checkpoints)
    assert len(taken) == len(set(taken)) and taken == sorted(taken)


def stop(folder: Path, store: ImageStore, saves: int) -> None:
    with pytest.raises(Killed), Mortal(folder, saves) as checkpoints:
        train(store, checkpoints)


def newest(folder: Path) -> Path:
    return max(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"cut", b"flip", b"other"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(
    tmp_path: Path,
    images: ImageStore,
    capsys: pytest.CaptureFixture[str],
    damage: bytes,
) -> None:
    whole, _ = train(images, Checkpoints(tmp_path / "whole"))
    stop(tmp_path / "x", images, 5)
    path = newest(tmp_path / "x")
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            b"": b"",
            b"cut": data[:-100],
            b"flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            b"other": b"nothing of ours",
        }[damage]
    )
    capsys.readouterr()
    with Checkpoints(tmp_path / "x") as checkpoints:
        best, _ = train(images, checkpoints)
    told = capsys.readouterr().out
    assert f"warning: {path} is not used: it is damaged" in told
    assert "going on from a checkpoint after 8 steps" in told  # of two a save
    assert same(best.state, whole.state)


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_reported_and_not_used(
    tmp_path: Path,
    images: ImageStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, _ = train(images, Checkpoints(tmp_path / "whole"), label_smoothing=0.2)
    stop(tmp_path / "x", images, 3)
    capsys.readouterr()
    with Checkpoints(tmp_path / "x") as checkpoints:
        best, _ = train(images, checkpoints, label_smoothing=0.2)
    told = capsys.readouterr().out
    assert told.count("is not used: it is of another training") == 2
    assert "going on" not in told
    assert same(best.state, whole.state)


def test_the_last_two_checkpoints_are_kept_and_the_newest_whole_one_is_read(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.identify({})
        for number in range(5):
            checkpoints.save({"number": number})
        assert len(list((tmp_path / "x").glob("*.ckpt"))) == 2
        for expected in (4, 3):
            again = Checkpoints(tmp_path / "x")
            again.identify({})
            assert again.load() == {"number": expected}
            newest(tmp_path / "x").unlink()
        assert checkpoints.load() is None


def test_writing_goes_on_over_the_older_one(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "x") as checkpoints:
        checkpoints.identify({})
        checkpoints.save({"number": 0})
        checkpoints.save({"number": 1})
        again = Checkpoints(tmp_path / "x")
        again.identify({})
        again.load()
        again.save({"number": 2})
        newest(tmp_path / "x").write_bytes(b"half")
        assert again.load() == {"number": 1}


def test_one_process_holds_a_folder_and_the_next_is_told_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "PATIENCE", 0.2)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from podium.training.checkpoints import Checkpoints\n"
        "with Checkpoints(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "x"], stdout=subprocess.PIPE, env=WITH_SRC
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"process {holder.pid} is already training x"),
            Checkpoints(tmp_path / "x"),
        ):
            pass
        holder.kill()
        holder.wait()
    with Checkpoints(tmp_path / "x"):  # the dead hold nothing
        pass


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.thorough
def test_a_training_that_is_stopped_goes_on_and_gives_the_same_bytes(
    prepared: Project, tmp_path: Path, number: signal.Signals
) -> None:
    whole = prepared.copy(tmp_path / "whole")
    assert whole.stage("train", "--model", "a", "--fold", "0").returncode == 0
    process = start(prepared)
    process.send_signal(number)
    asked = time.monotonic()
    rest, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 75
        assert f"stopped by {number.name}: run it again, and it goes on from here" in rest
    done = prepared.stage("train", "--model", "a", "--fold", "0")
    assert done.returncode == 0 and "going on from a checkpoint after " in done.stdout
    assert "epoch   5" not in done.stdout
    name = "models/a/fold0/weights.safetensors"
    assert prepared.read(name) == whole.read(name)
    assert not list((prepared.folder / ".checkpoints").rglob("*.ckpt"))


@pytest.mark.slow
def test_a_second_training_of_the_same_stops_and_the_first_goes_on(prepared: Project) -> None:
    process = start(prepared)
    process.send_signal(signal.SIGSTOP)  # it would be done before the other has begun
    done = prepared.stage("train", "--model", "a", "--fold", "0")
    process.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    assert f"error: process {process.pid} is already training fold0" in done.stdout
    process.communicate(timeout=120)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_a_training_dies_with_its_parent(prepared: Project) -> None:
    code = (
        "import subprocess, sys;"
        "command = [sys.executable, 'src/train.py', '--model', 'a', '--fold', '0'];"
        "p = subprocess.Popen(command); print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=prepared.folder, stdout=subprocess.PIPE, text=True
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
    raise AssertionError(f"process {child} lives on")


def test_being_asked_twice_ends_the_process_at_once() -> None:
    code = (
        "import os, signal; from podium.core import signals; n = signals.deferred(); n.__enter__();"
        "os.kill(os.getpid(), signal.SIGTERM); assert signals.stop_requested();"
        "print('noted', flush=True);"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=WITH_SRC,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM and done.stdout == b"noted\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told on Linux")
def test_the_signal_that_its_parent_died_of_is_the_one_that_is_told() -> None:
    asked = (
        "import os, signal; from podium.core import signals, program; n = signals.deferred();"
        "n.__enter__(); both = {signal.SIGUSR1, signal.SIGTERM};"
        "signal.pthread_sigmask(signal.SIG_BLOCK, both);"
        "[os.kill(os.getpid(), number) for number in both];"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, both); program.run(signals.raise_if_stopped)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], env=WITH_SRC, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr[:18]) == (75, "stopped by SIGTERM")
