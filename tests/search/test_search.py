"""A whole search on this machine: killed, resumed, written, reproduced."""

import json
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT, Project

pytest.importorskip("optuna", reason="needs Optuna: `make test-cluster`")
pytestmark = [pytest.mark.slow, pytest.mark.long]

SET = "phases.0.lr=log:1e-4:1e-2 label_smoothing=float:0:0.2 batch_size=choice:8,16"
COMMAND = ("python", "-m", "commands.search")


@pytest.fixture
def folded(project: Project) -> Project:
    def change(params: dict) -> None:  # type: ignore[type-arg]
        params["folds"] |= {"count": 3, "run": [0, 1]}
        params["models"]["a"]["phases"] = [{"epochs": 6, "lr": 0.005}]
        params["models"]["b"] = {**params["models"]["a"], "dropout": 0.0}

    project.edit(change)
    shutil.copy(ROOT / "requirements.txt", project.folder)
    project.repro("folds")
    return project


def kill_at(project: Project, text: str, *command: str) -> str:
    """Kill a search after a line that contains `text`; its output."""
    log = project.folder / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command], cwd=project.folder, stdout=file, stderr=subprocess.STDOUT
        ) as process,
    ):
        deadline = time.monotonic() + 300
        while text not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    return log.read_text()


def test_a_search_is_resumed_and_its_score_reproduced(folded: Project) -> None:
    search = (*COMMAND, "a", "--set", SET, "--trials", "4", "--jobs", "2")
    kill_at(folded, "trial-1 | epoch   2", *search)
    output = folded.run(*search).stdout
    assert "earlier trials, " in output
    assert "a: 4 trials on fold 0 (" in output and "is the best of 4 trials" in output
    assert "on fold 1, which the search did not use: accuracy" in output
    journal = (folded.folder / "search/journal.log").read_bytes()
    assert "a: 4 trials" in folded.run(*search).stdout  # nothing is left to do
    assert (folded.folder / "search/journal.log").read_bytes() == journal
    assert not [*(folded.folder / ".checkpoints/search").rglob("*.ckpt")]

    listed = folded.run(*COMMAND, "--list").stdout
    assert SET in listed and "label_smoothing" in listed
    assert "search/a/history.png" in folded.run(*COMMAND, "a", "--plot").stdout
    assert (folded.folder / "search/a/slices.png").read_bytes().startswith(b"\x89PNG")

    written = folded.run(*COMMAND, "a", "--write").stdout
    score = float(written.rpartition("accuracy ")[2].split()[0])
    assert "train@a-0" not in folded.repro("train@a-0")  # its results are in DVC's cache
    metrics = folded.folder / "metrics/a/fold0.json"
    assert json.loads(metrics.read_bytes())["accuracy"] == score
    weights = folded.read("models/a/fold0/weights.safetensors")
    assert "train@a-0" in folded.repro("--force", "--single-item", "train@a-0")
    assert json.loads(metrics.read_bytes())["accuracy"] == score
    assert folded.read("models/a/fold0/weights.safetensors") == weights
    again = folded.stage("search", "a", "--write")
    assert again.returncode == 1 and "made with other params" in again.stdout


def test_mistakes_are_found_before_anything_runs(project: Project) -> None:
    for arguments, message in (
        (("x", "--set", SET), "params.yaml has no models.x"),
        (("a", "--set", "dropout=float:0:2"), "params.yaml with a.dropout: "),
        (("a", "--set", "phases.0.rate=float:0:2"), "rate"),
        (("a", "--set", SET, "--folds", "9"), "FOLDS=9"),
        (("a", "--set", SET, "--trials", "0"), "TRIALS must be at least 1"),
        (("a", "--plot"), "No search of a yet"),
    ):
        done = project.stage("search", *arguments)
        assert done.returncode == 1 and message in done.stdout, done.stdout
