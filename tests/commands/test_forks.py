"""Training runs as forks of one process: what they share, and that nothing else differs."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import ROOT, Project
from test_fork_server import CODES

from podium.cluster import forks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux"),
]

STATE = """import signal, sys, torch
print("albumentations" in sys.modules, [m for m in sys.modules if m.startswith("podium")],
      torch.cuda.is_initialized(), signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
STREAMS = """import sys
from podium.core import console
for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
    print(stream.fileno(), stream.encoding, stream.errors, stream.line_buffering,
          stream.write_through, stream.newlines, stream.seekable(), stream.isatty())
console.make_printing_safe()
print(sys.stdin.read(), "to stdout")
print("to stderr", file=sys.stderr)
"""
THREADS = """import numpy, sklearn.metrics, torch
x = torch.ones(500, 500)
net = torch.nn.Conv2d(3, 8, 3)
net(torch.ones(4, 3, 64, 64)).sum().backward()
print(torch.get_num_threads(), (x @ x).sum().item(), float((x.numpy() @ x.numpy()).sum()))
"""
SIGNALS = """import os, signal, sys, time
from podium.core import signals
def note(number, _):
    os.write(1, f"{signal.Signals(number).name}\\n".encode())  # print may be interrupted in a print
    if number == signal.SIGUSR1: sys.exit()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1): signal.signal(number, note)
signals.die_with_parent(signal.SIGUSR1)
print(os.getpid(), flush=True)
time.sleep(60)
"""
LIKE_DVC = "import subprocess; subprocess.run(['python', 'src/train.py'])"
METRIC = """import sys
from sklearn.metrics import accuracy_score
print("started as", sys.orig_argv[2:4], flush=True)

def score(targets, labels):
    return accuracy_score(targets, labels)

score.inputs = "labels"
"""


FIRST = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the `python` first that runs the tests, as in the virtual environment that make uses."""
    monkeypatch.setenv("PATH", FIRST)


@pytest.fixture(scope="module")
def module_server() -> Iterator[tuple[psutil.Process, str]]:
    """A server, which imports libraries only once, and the PATH of its `python`."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile() as file,
        contextlib.ExitStack() as stack,
    ):
        patch.setenv("PATH", FIRST)
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("OMP_NUM_THREADS", "2")
        saved = os.dup(1)
        os.dup2(file.fileno(), 1)  # as in `make train >log`, while those of forks are pipes
        try:
            assert stack.enter_context(forks.started())
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        yield newest_server(), os.environ["PATH"]


@pytest.fixture
def server(
    module_server: tuple[psutil.Process, str], monkeypatch: pytest.MonkeyPatch
) -> psutil.Process:
    process, path = module_server
    monkeypatch.setenv("PATH", path)
    return process


def newest_server() -> psutil.Process:
    children = psutil.Process().children()
    servers = [child for child in children if "serve" in child.cmdline()]
    return max(servers, key=psutil.Process.create_time)


def write(folder: Path, code: str) -> None:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src/train.py").write_text(code)


def start(folder: Path, *command: str, **options: Any) -> "subprocess.Popen[str]":
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(
        command or ("python", "src/train.py", "a b", ""),
        cwd=folder,
        env={**os.environ, "NAME": "value"},
        text=True,
        **pipes | options,
    )


def run(folder: Path, *command: str) -> tuple[int, str, str]:
    with start(folder, *command, stderr=subprocess.PIPE) as process:
        out, errors = process.communicate("typed", timeout=60)
    return process.returncode, out, errors


@pytest.mark.parametrize("code", [*CODES.values(), STREAMS], ids=[*CODES, "streams"])
@pytest.mark.usefixtures("server")
def test_a_fork_behaves_like_an_interpreter(tmp_path: Path, code: str) -> None:
    write(tmp_path, code)
    forked = run(tmp_path)
    assert forked == run(tmp_path, sys.executable, "src/train.py", "a b", "")


@pytest.mark.usefixtures("server")
def test_a_fork_finds_libraries_imported_but_nothing_of_podium(tmp_path: Path) -> None:
    write(tmp_path, STATE)
    assert run(tmp_path) == (0, "True [] False set()\n", "")


@pytest.mark.usefixtures("server")
def test_a_fork_has_threads_of_its_own(tmp_path: Path) -> None:
    """Those of OpenMP end with a fork: none may have been started before."""
    write(tmp_path, THREADS)
    assert run(tmp_path) == (0, "2 125000000.0 125000000.0\n", "")


@pytest.mark.usefixtures("server")
def test_only_trainings_are_forks(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "src/predict.py").write_text("import sys; print('torch' in sys.modules, sys.argv)")
    assert (
        run(tmp_path, "python", "src/predict.py", "x y")[1] == "False ['src/predict.py', 'x y']\n"
    )
    assert run(tmp_path, "python", "-c", "print(1)")[1] == "1\n"


def test_without_its_server_a_training_is_no_fork(tmp_path: Path) -> None:
    write(tmp_path, "import sys; print('torch' in sys.modules, sys.argv[1:]); sys.exit(3)")
    with forks.started():
        server = newest_server()
        server.kill()
        psutil.wait_procs([server])
        assert run(tmp_path) == (3, "False ['a b', '']\n", "")


def test_elsewhere_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "import sys; print('torch' in sys.modules)")
    path = os.environ["PATH"]
    monkeypatch.setattr(sys, "platform", "darwin")
    with forks.started() as is_possible:
        assert not is_possible and os.environ["PATH"] == path
        assert run(tmp_path)[1] == "False\n"


@pytest.mark.usefixtures("server")
def test_a_fork_gets_the_signal_that_it_chose_when_dvc_dies(tmp_path: Path) -> None:
    write(tmp_path, SIGNALS)
    with start(tmp_path, sys.executable, "-c", LIKE_DVC) as dvc:
        assert dvc.stdout is not None
        dvc.stdout.readline()
        dvc.kill()
        assert dvc.stdout.read() == "SIGUSR1\n"  # and ends


def wait_until_blocked(pid: int, number: int) -> None:
    """Wait until the process leaves the signal to its fork."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        (mask,) = re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        if int(mask, 16) & 1 << number - 1:
            return
        time.sleep(0.02)
    raise AssertionError


def test_a_signal_to_all_processes_reaches_a_fork_once(
    tmp_path: Path, server: psutil.Process
) -> None:
    """As `make train` sends it to all that it has started, and a terminal to a process group."""
    write(tmp_path, SIGNALS)
    with start(tmp_path) as client:
        assert client.stdout is not None
        fork = int(client.stdout.readline())
        wait_until_blocked(client.pid, signal.SIGTERM)
        others = [server, psutil.Process(client.pid), *server.children(recursive=True)]
        assert len(others) == 4 and others[-1].pid == fork  # the third is the guard
        for number in (signal.SIGTERM, signal.SIGINT):
            for process in others:
                process.send_signal(number)
            assert client.stdout.readline() == f"{number.name}\n"
        assert client.poll() is None
        os.kill(fork, signal.SIGKILL)
        assert client.stdout.read() == ""
    assert client.returncode == -signal.SIGKILL


def test_a_fork_dies_with_its_client(tmp_path: Path, server: psutil.Process) -> None:
    write(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with start(tmp_path) as client:
        assert client.stdout is not None
        client.stdout.readline()
        client.kill()
        assert client.stdout.read() == ""  # ends when the fork does
    assert not server.children()


def test_before_there_is_a_fork_a_signal_ends_the_client(
    tmp_path: Path, server: psutil.Process
) -> None:
    write(tmp_path, "print('trains')")
    server.suspend()  # as long as it imports
    try:
        with start(tmp_path) as client:
            time.sleep(0.5)  # until the client has asked
            client.terminate()
            assert client.wait(10) == -signal.SIGTERM
    finally:
        server.resume()
    assert run(tmp_path) == (0, "trains\n", "")


def test_no_import_uses_cuda_and_none_is_missing() -> None:
    """CUDA does not survive a fork. What a training imports is imported before the fork."""
    code = f"""
import sys
import torch
def used(*_): raise SystemExit("CUDA is used")
for name in ("_cuda_init", "_cuda_getDeviceCount"):
    assert hasattr(torch._C, name)
    setattr(torch._C, name, used)
sys.path.insert(0, {str(ROOT / "src")!r})
from podium.cluster import fork_server
fork_server._import()
before = {{*sys.modules}}
import train, train_all
new = {{name.partition(".")[0] for name in {{*sys.modules}} - before}}
print(*sorted(new - {{"podium", "train", "train_all", *sys.stdlib_module_names}}))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"PIL", "pydantic"}


@pytest.mark.thorough
def test_make_train_forks_its_trainings_with_the_same_bytes(project: Project) -> None:
    (project.folder / "custom/m.py").write_text(METRIC)
    project.edit(lambda params: params.update(metric="custom/m.py:score"))
    project.repro("folds")
    done = subprocess.run(
        [sys.executable, "-m", "commands.jobs"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if "started as" in line]
    assert len(lines) == 2 and all("fork_server.py" in line for line in lines), done.stdout
    written = project.read("models/a/fold1/weights.safetensors")
    command = (sys.executable, "src/train.py", "--model", "a", "--fold", "1")  # the second fork
    assert "started as ['--model" in project.run(*command).stdout
    assert project.read("models/a/fold1/weights.safetensors") == written


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.usefixtures("server")
def test_a_fork_uses_cuda(tmp_path: Path) -> None:
    write(tmp_path, "import torch; print(torch.ones(2, device='cuda').sum().item())")
    assert run(tmp_path) == (0, "2.0\n", "")
