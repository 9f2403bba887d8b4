"""Shared fixtures: a project folder per test, and stages that run in it as a user runs them."""

import gc
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import competitions
import fork_server
import kaggle_server
import numpy as np
import pytest
from filelock import FileLock
from kaggle_server import Kaggle
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from podium.images.store import ImageStore

ROOT = Path(__file__).parent.parent
# The models here are too small for more, and threads that wait for each other on a busy machine
# make a test a hundred times slower. Read when torch is imported, here and in the stages.
os.environ["OMP_NUM_THREADS"] = "1"
# As in the Makefile, for `python -m commands.<name>`.
os.environ["PYTHONPATH"] = "src"
# Property tests of `make test-long`: a new seed per run, the same in all processes.
PROPERTY_SEED = int(os.environ.setdefault("PODIUM_TEST_SEED", str(secrets.randbelow(2**32))))
COMMANDS = {path.stem for path in (ROOT / "src" / "commands").glob("*.py")}

PARAMS: dict[str, Any] = {
    "seed": 1,
    "deterministic": True,
    "task": "multiclass",
    "metric": "accuracy",
    "competition": {"source": "shapes.zip", "slug": "shapes"},
    "prepare": {},
    "folds": {"count": 2, "run": [0, 1], "all": [], "subsample": {}},
    "checkpoint": {"every_minutes": 10.0},
    "models": {
        "a": {
            "architecture": "test_resnet",
            "pretrained": False,
            "image_size": 32,
            "resize_mode": "squash",
            "augment": [{"HorizontalFlip": {"p": 0.5}}],
            "phases": [{"epochs": 2, "lr": 0.005}],
            "dropout": 0.5,
            "batch_size": 8,
        },
    },
    "embeddings": {},
    "probes": {},
    "predict": {"views": ["identity", "hflip"], "batch_size": 8},
    "ensemble": {"members": ["a"], "method": "mean"},
    "submission": {"format": "auto"},
}


METRIC = """
from custom.helpers import f1_score


def score(targets, labels):
    return f1_score(targets, labels, average="macro")


score.inputs = "labels"
score.tune_thresholds = True
"""


def program(name: str) -> tuple[str, ...]:
    """The command line of a stage or of another command."""
    if name in COMMANDS:
        return "python", "-m", f"commands.{name}"
    return "python", f"src/{name}.py"


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from all tests but those that need one: the others expect a CPU's numbers, batch
    sizes and processes, and would start loader workers on every core. Several test processes share
    a fork server.
    """
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        fork_server.share()


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: tests wait for the programs that they start, a third of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    gc.freeze()  # what is imported: each training collects garbage several times


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.option.markexpr == "long":
        terminalreporter.write_line(f"property tests: PODIUM_TEST_SEED={PROPERTY_SEED}")


class Project:
    """A copy of the project in a temporary folder, with a small competition."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for name in ("src", "custom", ".dvc", "dvc.yaml", ".gitignore", ".dvcignore"):
            source = ROOT / name
            if source.is_dir():
                ignore = shutil.ignore_patterns("cache", "tmp", "config.local")
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copy(source, folder / name)
        self.write_params(PARAMS)
        self.write_archive(competitions.competition())

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """The project in a folder that has one."""
        project = object.__new__(cls)
        project.folder = folder
        return project

    def copy(self, folder: Path) -> "Project":
        """The same project in another folder, as it is now."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project.at(folder)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this the current folder of the test, with its own custom/."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setattr(sys, "path", [p for p in sys.path if not Path(p, "custom").is_dir()])
        for name in [name for name in sys.modules if name.partition(".")[0] == "custom"]:
            monkeypatch.delitem(sys.modules, name)

    def write_archive(self, files: dict[str, bytes]) -> None:
        competitions.write_zip(self.folder / "shapes.zip", files)

    def write_params(self, params: dict[str, Any]) -> None:
        with (self.folder / "params.yaml").open("w") as file:
            YAML(typ="safe").dump(params, file)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change params.yaml."""
        params = YAML(typ="safe").load(self.folder / "params.yaml")
        change(params)
        self.write_params(params)

    def run(
        self, *command: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder; its output is one text.

        `python` and `dvc` are those of `fork_server`.
        """
        inherited = {name: value for name, value in os.environ.items() if "KAGGLE" not in name}
        programs = [fork_server.programs(), Path(sys.executable).parent, os.environ["PATH"]]
        path = os.pathsep.join(map(str, programs))
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**inherited, "PATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def stage(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a stage or a command; it may fail."""
        return self.run(*program(command[0]), *command[1:], check=False, **environment)

    def repro(self, *arguments: str, **environment: str) -> set[str]:
        """`dvc repro`: the names of the stages that it ran."""
        if not (self.folder / ".git").exists():
            self.run("git", "init", "--quiet")
        output = self.run("dvc", "repro", *arguments, **environment).stdout
        running = [line for line in output.splitlines() if line.startswith("Running stage '")]
        return {line.split("'")[1] for line in running}

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project, built once for all tests and their processes: work in a `copy` of it.

    Binary, two weighted models of two folds each, thresholds tuned for a user-defined metric,
    resized images, pretrained weights from a file outside, in git.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "finished"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            project = Project(shared / "unfinished")
            _finish(project, shared / "backbone.safetensors")
            project.folder.rename(folder)
    return Project.at(folder)


def _finish(project: Project, backbone: Path) -> None:
    import kernels
    import safetensors.torch
    import timm
    import torch

    torch.manual_seed(0)
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), backbone)
    project.write_archive(kernels.files(9))

    def change(params: dict[str, Any]) -> None:
        params["task"], params["metric"] = "binary", "custom/my_metric.py:score"
        params["prepare"] = {"max_size": 32}
        params["folds"] |= {"all": ["a"]}
        params["models"]["b"] = {**params["models"]["a"], "architecture": "test_efficientnet"}
        params["models"]["a"].update(
            pretrained=str(backbone), dropout=0.0, phases=[{"epochs": 20, "lr": 0.005}]
        )
        params["ensemble"] = {"members": ["b", "a"], "method": "weighted"}
        params["submission"] = {"format": "probability"}

    (project.folder / "custom/my_metric.py").write_text(METRIC)
    (project.folder / "custom/helpers.py").write_text("from sklearn.metrics import f1_score\n")
    project.edit(change)
    author = ("-c", "user.name=someone", "-c", "user.email=someone@example.com")
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    project.run("git", *author, "commit", "--quiet", "--message", "first")
    project.repro()
    project.run("git", "add", "--all")  # dvc.lock and metrics


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> "ImageStore":
    """A store of 120 small images of three classes."""
    from podium.images import store

    folder: Path = tmp_path_factory.mktemp("images")
    known, _ = competitions.tables(120, 0)
    rng = np.random.default_rng(0)
    rows = [(i, competitions.encode(competitions.picture(label, rng))) for i, label in known.values]
    store.write_shard(folder / "00000.arrow", iter(rows), encode="png")
    return store.ImageStore(folder)


@pytest.fixture
def prepared(project: Project) -> Project:
    """A project up to its folds, with a training of some seconds."""

    def longer(params: dict[str, Any]) -> None:
        params["models"]["a"]["phases"] = [{"epochs": 30, "lr": 0.005}]

    project.edit(longer)
    for stage in ("check", "fetch", "prepare", "folds"):
        assert project.stage(stage).returncode == 0
    return project


@pytest.fixture
def kaggle(project: Project) -> Iterator[Kaggle]:
    archive = project.read("shapes.zip")
    (project.folder / "shapes.zip").unlink()
    project.edit(lambda p: p["competition"].update(source="kaggle"))
    with kaggle_server.serve({"shapes": archive}) as server:
        yield server
