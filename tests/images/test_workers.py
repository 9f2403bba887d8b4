"""How loader workers send batches."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import WITH_SRC

from podium.core.errors import UserError
from podium.images import loading, workers
from podium.images.augment import Augmentation
from podium.images.store import ImageStore

LOAD = """
import sys
from pathlib import Path
from podium.core import program, signals
from podium.images import loading, watchdog, workers
from podium.images.augment import Augmentation
from podium.images.store import ImageStore

images = loading.Images(
    ImageStore(Path(sys.argv[1])),
    [f"{i:04d}" for i in range(21)],
    None,
    transforms=[Augmentation("none", size=24, resize_mode="crop")],
)

def main():
    with signals.deferred():
        for number, batch in enumerate(loading.shuffled(images, 4, workers=2)):
            print(number, batch.inputs["image"].sum().item(), flush=True)
"""
RUN = "program.run(main)"
# A worker goes on, but its third batch does not arrive.
LOSE = """
pack, packed = loading._pack, 0

class Lost:
    def __reduce__(self):
        import time
        time.sleep({seconds})
        raise {error}

def lose(batch):
    global packed
    packed += 1
    return pack(batch) if packed < 3 else Lost()

loading._pack = lose
loading.LOST_SECONDS = 2.0
watchdog.STOP_SECONDS = 1.0
"""


def process(images: ImageStore, code: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", LOAD + code + RUN, images.folder],
        env={**WITH_SRC, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(images: ImageStore, code: str = "", **environment: str) -> tuple[int, list[str], list[str]]:
    with process(images, code, **environment) as started:
        try:
            output, errors = started.communicate(timeout=60)
        finally:
            started.kill()
    return started.returncode, output.splitlines(), errors.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sockets are files on POSIX")
def test_a_temporary_folder_with_a_long_path_works(images: ImageStore, tmp_path: Path) -> None:
    """As Slurm creates them: a socket's path has at most 107 characters."""
    folder = tmp_path / ("x" * 138)
    folder.mkdir()
    expected = run(images)
    assert expected[0] == 0 and len(expected[1]) == 5
    assert run(images, TMPDIR=str(folder)) == expected


def test_without_a_short_folder_for_sockets_the_path_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 138)))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"^TMPDIR: .*PODIUM_WORKERS=0\.$"):
        workers.use_short_socket_paths()


@pytest.mark.slow
def test_a_batch_that_cannot_be_sent_is_one_message(images: ImageStore) -> None:
    status, output, errors = run(images, LOSE.format(seconds=0, error="OSError('too long')"))
    assert status == 1 and len(output) <= 4
    assert errors[0] == "error: a DataLoader worker cannot send a batch: OSError: too long"
    assert all("DataLoader worker" in line for line in errors) and len(errors) <= 3


@pytest.mark.slow
def test_a_lost_batch_is_not_waited_for(images: ImageStore) -> None:
    start = time.monotonic()
    status, _, errors = run(images, LOSE.format(seconds=600, error="OSError"))
    assert time.monotonic() - start < 30
    assert status == 1 and len(errors) == 1
    assert errors[0].startswith("error: timed out after 2 s waiting for a batch")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals")
def test_sigterm_ends_the_wait_for_a_lost_batch(images: ImageStore) -> None:
    code = LOSE.format(seconds=600, error="OSError") + "loading.LOST_SECONDS = 20.0\n"
    with process(images, code) as started:
        assert started.stdout is not None and started.stdout.readline()
        time.sleep(2)
        started.send_signal(signal.SIGTERM)
        _, errors = started.communicate(timeout=15)
    assert started.returncode == 75 and errors.startswith("interrupted while waiting")


def test_batches_that_do_not_fit_shared_memory_are_sent_through_pipes(
    images: ImageStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> list[torch.Tensor]:
        plain = [Augmentation("none", size=24, resize_mode="crop")]
        ids = [f"{i:04d}" for i in range(21)]
        made = loading.Images(images, ids, None, transforms=plain)
        shared.append(made)
        return [batch.inputs["image"] for batch in loading.shuffled(made, 4, workers=2)]

    shared: list[Any] = []
    expected = load()
    monkeypatch.setattr(workers.shutil, "disk_usage", lambda _: Usage)
    assert all(torch.equal(a, b) for a, b in zip(load(), expected, strict=True))
    assert [made.shares_memory for made in shared] == [True, False]
    assert "--shm-size" in capsys.readouterr().out


class Usage:
    free = 2**12
