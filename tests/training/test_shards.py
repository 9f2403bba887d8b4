"""Data-parallel training: the bytes do not depend on the number of processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import Project
from torch import Tensor, nn
from trainings import components, config, train

from podium.core import machine
from podium.core.errors import UserError
from podium.images.loading import Batch
from podium.images.store import ImageStore
from podium.training import loop, processes, shards
from podium.training.processes import Processes
from podium.training.shards import Shards
from podium.training.state import TrainState

WEIGHTS = "models/a/fold0/weights.safetensors"
EVERYTHING = {
    "shards": 2,
    "mix": {"mixup_alpha": 0.4},
    "random_erasing": 0.3,
    "class_weights": "balanced",
    "dropout": 0.3,
    "grad_accum_steps": 2,
    "grad_clip_norm": 1.0,
    "ema_decay": 0.9,
    "phases": [
        {"epochs": 2, "lr": 0.01, "trainable": "head", "warmup_epochs": 0.5},
        {"epochs": 12, "lr": 0.005, "init_from": "best"},
    ],
}


class Other(Processes):
    """One of two processes."""

    def __init__(self, rank: int) -> None:
        self.rank, self.size = rank, 2


def test_each_process_gets_its_shards_of_a_batch() -> None:
    batch = Batch({"image": torch.arange(10)}, torch.arange(10))
    alone = {key: part.targets.tolist() for key, part in Shards(4, Processes()).split(batch, 10)}
    assert alone == {(0,): [0, 1], (1,): [2, 3, 4], (2,): [5, 6], (3,): [7, 8, 9]}
    shared = {}
    for rank, rows in ((0, slice(0, 5)), (1, slice(5, 10))):
        own = Batch({"image": torch.arange(10)[rows]}, torch.arange(10)[rows])
        for key, part in Shards(4, Other(rank)).split(own, 10):
            assert part.inputs["image"].equal(part.targets)
            shared[key] = part.targets.tolist()
    assert shared == alone
    assert [key for key, _ in Shards(1, Processes()).split(batch, 10)] == [()]


def test_the_loader_reads_only_its_share(images: ImageStore) -> None:
    sampler = components(images, batch_size=8).loaders.train.batch_sampler
    whole = [*sampler]
    sampler.set_share(1, 2, 4)
    assert [*sampler] == [batch[2:4] for batch in whole]
    assert sampler.batch(1) == whole[1]


def test_sums_do_not_depend_on_who_has_the_terms() -> None:
    rows = [torch.tensor(value) for value in (1e8, 1.0, -1e8, 3.0, 5.0)]
    assert shards._tree_sum(rows) == ((rows[0] + rows[1]) + (rows[2] + rows[3])) + rows[4]


@pytest.mark.parametrize(
    ("count", "available", "expected"), [(1, 4, 1), (4, 1, 1), (4, 3, 2), (6, 4, 3), (4, 8, 4)]
)
def test_the_number_of_processes(
    count: int, available: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(machine.PROCESSES_VARIABLE, str(available))
    assert processes.count(count) == expected


def test_impossible_shards_are_rejected() -> None:
    with pytest.raises(UserError, match="cannot be divided among 2 processes"):
        Shards(3, Other(0))
    for changes, message in (
        ({"batch_size": 8, "shards": 3}, "must divide batch_size: 8 evenly"),
        ({"batch_size": 6, "shards": 2, "mix": {"mixup_alpha": 1.0}}, "even number of images per"),
        ({"shards": 2, "on_oom": "accumulate"}, "shards requires on_oom: fail"),
    ):
        with pytest.raises(ValueError, match=message):
            config(**changes)


def gradients(images: ImageStore, **changes: Any) -> tuple[dict[str, Tensor], float]:
    """The change of the weights in an epoch of one step, and its loss."""
    run = components(images, batch_size=88, class_weights="balanced", weight_decay=0, **changes)
    for module in run.net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.train = lambda _, self=module: self  # type: ignore[assignment,misc]
    before = {name: p.detach().clone() for name, p in run.net.named_parameters()}
    state = TrainState(run)
    state.optimizer = torch.optim.SGD(run.net.parameters(), lr=1.0)  # type: ignore[assignment]
    state.set_lr = lambda: None  # type: ignore[method-assign]
    for _ in loop.train_epoch(run, state):
        pass
    after = dict(run.net.named_parameters())
    return {name: after[name].detach() - before[name] for name in before}, state.step_losses.item()


def test_shards_have_the_gradients_of_the_whole_batch(images: ImageStore) -> None:
    whole, loss = gradients(images)
    parts, parts_loss = gradients(images, shards=4)
    assert parts_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-3, atol=1e-5)


def test_batch_norm_has_the_statistics_of_the_first_shard(images: ImageStore) -> None:
    run = components(images, batch_size=8, shards=2)
    for _ in loop.train_epoch(run, TrainState(run)):
        pass
    steps = len(run.loaders.train)
    (counts,) = {int(b) for name, b in run.net.named_buffers() if name.endswith("batches_tracked")}
    assert counts == steps


def test_averaged_checkpoints_and_shards(images: ImageStore) -> None:
    phases = [{"epochs": 2, "lr": 0.01}]
    trained = train(images, shards=2, phases=phases, average_checkpoints={"last": 2})
    assert trained.best.averaged == [1, 2]


@pytest.fixture
def folded(project: Project) -> Project:
    project.edit(lambda params: params["models"]["a"].update(EVERYTHING))
    project.repro("folds")
    return project


def start(project: Project, count: int) -> "subprocess.Popen[str]":
    command = (sys.executable, "src/train.py", "--model", "a", "--fold", "0")
    environment = {**os.environ, machine.PROCESSES_VARIABLE: str(count)}
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(text: str, process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(text):
            return
    raise AssertionError(f"it ended before {text}")


def trained(project: Project, count: int, output: str = "") -> bytes:
    process = start(project, count)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and output in printed, printed
    assert printed.count("epoch  14 ") == 1
    return project.read(WEIGHTS)


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_give_the_bytes_of_one_even_if_one_is_killed(
    folded: Project, tmp_path: Path
) -> None:
    copy = folded.copy(tmp_path / "two")
    expected = trained(folded, 1)
    assert trained(copy, 2) == expected
    for stops in (signal.SIGKILL, signal.SIGTERM):
        (copy.folder / WEIGHTS).unlink()
        process = start(copy, 2)
        wait_for("epoch   6", process)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        workers[1].send_signal(stops)
        process.communicate(timeout=60)
        assert process.returncode not in (0, None) and not (copy.folder / WEIGHTS).exists()
        assert trained(copy, 2, "resuming from checkpoint at step") == expected
    # A checkpoint of two processes is resumed by one.
    process = start(copy, 2)
    wait_for("epoch   6", process)
    process.kill()  # the workers end with torchrun
    deadline = time.monotonic() + 60
    while [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(copy.folder)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.wait()
    assert trained(copy, 1, "resuming from checkpoint at step") == expected
