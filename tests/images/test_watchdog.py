"""Loaders that hang or die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Project
from trainings import WITH_SRC, start

from podium.images.store import ImageStore

HANGS = """
import ctypes, sys
from pathlib import Path
from podium.core import program
from podium.images import loading, ordered, watchdog
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
watchdog.TIMEOUT_SECONDS = 1.0
store = ImageStore(Path(sys.argv[1]))
decode = store.decode

def hang(image):
    if image == "0013":
        ctypes.CDLL(None).sleep(600)  # in C, where no signal's handler runs
    return decode(image)

store.decode = hang
plain = [Augmentation("none", size=24, resize_mode="crop")]
made = loading.Images(store, [f"{i:04d}" for i in range(21)], None, transforms=plain)
loaders = {
    "processes": lambda: loading.shuffled(made, 4, workers=2),
    "none": lambda: loading.shuffled(made, 4, workers=0),
    "threads": lambda: ordered.InOrder(made, 4, device="mps"),
}
program.run(lambda: list(loaders[sys.argv[2]]()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["none", "processes", "threads"])
def test_the_error_names_the_image_that_cannot_be_read_in_time(
    images: ImageStore,
    loader: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS, images.folder, loader],
        env=WITH_SRC,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    named, *rest = done.stderr.splitlines()
    assert named.startswith("error: timed out after 1 s ") and "image 0013 in" in named
    assert len(rest) == (loader == "processes") and all(
        "a DataLoader worker died" in r for r in rest
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals")
def test_a_process_that_was_suspended_is_not_taken_for_one_that_hangs() -> None:
    code = (
        "import time; from podium.images import watchdog; watchdog.TIMEOUT_SECONDS = 2.0;"
        "watchdog.begin('reading x');"
        "print('begun', flush=True); time.sleep(1); print('done', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env=WITH_SRC, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == b"done\n"  # and then it does hang
        assert b"reading x" in process.communicate(timeout=30)[1]


def test_between_two_batches_nothing_is_watched() -> None:
    code = (
        "import time; from podium.images import watchdog; watchdog.TIMEOUT_SECONDS = 0.2;"
        "watchdog.begin('x');"
        "watchdog.end(); time.sleep(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=WITH_SRC, check=False)
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the loader as a child process")
def test_training_reports_a_killed_loader_and_resumes(
    prepared: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = prepared.copy(tmp_path / "whole")
    command = ("train", "--model", "a", "--fold", "0")
    assert whole.stage(*command).returncode == 0
    monkeypatch.setenv("PODIUM_WORKERS", "2")
    process = start(prepared)
    loaders = psutil.Process(process.pid).children(recursive=True)
    loaders[0].kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: a DataLoader worker died: DataLoader worker (pid" in output
    assert "Traceback" not in output
    assert not psutil.wait_procs(loaders, timeout=5)[1]
    done = prepared.stage(*command)
    assert done.returncode == 0 and "resuming from checkpoint at step " in done.stdout
    name = "models/a/fold0/weights.safetensors"
    assert prepared.read(name) == whole.read(name)


BREAKS = """
import sys
from pathlib import Path
from podium.core import program
from podium.images import loading
from podium.images.augment import Augmentation
from podium.images.store import ImageStore

def main():
    plain = [Augmentation("none", size=24, resize_mode="crop")]
    ids = [f"{i:04d}" for i in range(21)]
    made = loading.Images(ImageStore(Path(sys.argv[1])), ids, None, transforms=plain)
    for batch in loading.shuffled(made, 4, workers=2):
        raise ZeroDivisionError("a bug")

program.run(main)
"""


@pytest.mark.slow
def test_a_bug_ends_the_process_although_its_loaders_live(images: ImageStore) -> None:
    done = ended(BREAKS, images.folder)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ror: a bug\n")


def ended(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """What a process with that code printed; it must end within a minute."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=WITH_SRC,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return ended(f"from podium.core import program, errors\n{code}")


def test_a_stage_ends_with_one_line_and_a_status() -> None:
    done = run("def main(): raise errors.UserError('no luck')\nprogram.run(main)")
    assert (done.returncode, done.stderr) == (1, "error: no luck\n")
    done = run("def main(): raise KeyboardInterrupt\nprogram.run(main)")
    message = "interrupted by SIGINT; rerun\n"
    assert (done.returncode, done.stderr) == (75, message)
    done = run("def main(): raise RuntimeError('a bug')\nprogram.run(main)")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_closed_output_pipe_is_not_an_error() -> None:
    code = "from podium.core import program\ndef main(): print('x\\n' * 100_000)\nprogram.run(main)"
    done = subprocess.run(
        f'{sys.executable} -c "$CODE" | head -1',
        shell=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "CODE": code},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("x\n", "")


ENDS = """
import multiprocessing, signal, sys, time
from podium.core import program

def lost(*_):
    raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

def wait():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

class Interrupted:
    def __init__(self, stream):
        self.stream, self.first = stream, True
    def write(self, text):
        if self.first:
            self.first = False
            lost()
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()

def main():
    for _ in range(2):
        multiprocessing.Process(target=wait, daemon=True).start()
    time.sleep(0.5)
    signal.signal(signal.SIGCHLD, lost)  # as torch has it
    if sys.argv[1] == "while it is told":
        sys.stderr = Interrupted(sys.stderr)
    raise ValueError("a bug")

program.run(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals")
@pytest.mark.parametrize("when", ["as they are ended", "while it is told"])
def test_a_loader_that_dies_while_the_stage_ends_does_not_keep_it(when: str) -> None:
    done = ended(ENDS, when)
    assert done.returncode == 1
    lost = "error: a DataLoader worker died" in done.stderr
    assert lost == (when == "while it is told"), done.stderr
