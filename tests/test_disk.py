"""Full disks and read-only folders."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fork_server
import pytest
from conftest import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's"),
]
MODEL = ("--model", "a", "--fold", "0")
# What a stage writes, of which one file is larger than the limit in bytes.
STAGES: dict[tuple[str, ...], tuple[int, str]] = {
    ("fetch",): (1000, "data/raw/shapes.zip"),
    ("prepare",): (1000, "data/images"),
    ("folds",): (100, "data/folds.csv"),
    ("train", *MODEL): (10_000, "models/a/fold0/weights.safetensors"),
    ("predict", *MODEL): (1000, "data/predictions/a/fold0/oof.parquet"),
    ("ensemble",): (1000, "data/ensemble/oof.parquet"),
    ("submission",): (50, "submissions/shapes.csv"),
    ("report",): (100, "reports/oof.csv"),
    ("page",): (1000, "reports/report.html"),
}
WITH_LIMIT = """
import resource, runpy, sys
limit, stage, *arguments = sys.argv[1:]
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.argv = [f"src/{stage}.py", *arguments]
sys.path[0] = "src"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose stages have run, one fold of them."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.edit(lambda params: params["folds"].update(run=[0]))
    for command in (("check",), *STAGES):
        ran = project.stage(*command)
        assert ran.returncode == 0, ran.stdout
    return project


@pytest.mark.parametrize("command", STAGES, ids=lambda command: command[0])
def test_a_full_disk_is_an_error_with_the_bytes_needed_and_a_rerun_resumes(
    done: Project, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """A limit on file sizes stands in for a full disk: the same writes fail."""
    project = done.copy(tmp_path / "project")
    limit, name = STAGES[command]
    out = project.folder / name
    whole = {path: path.read_bytes() for path in (out.rglob("*.arrow") if out.is_dir() else [out])}
    out_size = out.stat().st_size
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    before = sorted(project.folder.rglob("*"))
    failed = subprocess.run(
        [fork_server.programs() / "python", "-c", WITH_LIMIT, str(limit), *command],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    found = re.fullmatch(
        r"error: cannot write (\S+): File too large \(([\d,]+) bytes needed, [\d,]+ bytes free\)\. "
        r"Free up disk space\.",
        line,
    )
    assert found is not None, line
    needed = int(found[2].replace(",", ""))
    assert needed > limit
    if out.is_file() and command[0] != "train":  # there it is the checkpoint's
        assert needed == out_size or command[0] == "ensemble"
    if command[0] == "train":  # before the first epoch
        name = ".checkpoints/a/fold0/verify"
        assert "epoch" not in failed.stdout
    assert found[1].replace(".tmp", "") == name
    assert not list(project.folder.rglob("*.tmp"))
    assert {path for path in project.folder.rglob("*") if path.is_file()} <= set(before)
    ran = project.stage(*command)
    assert ran.returncode == 0, ran.stdout
    assert {path: path.read_bytes() for path in whole} == whole


@pytest.fixture
def read_only(done: Project, tmp_path: Path) -> Iterator[Project]:
    """The project on a file system that is mounted read-only."""
    place = tmp_path / "project"
    project = done.copy(place)
    if os.geteuid() != 0:
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o555)
        yield project
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        return
    bound = subprocess.run(["mount", "--bind", place, place], capture_output=True, check=False)
    if bound.returncode != 0:
        pytest.skip("root writes everywhere, and may not mount here")
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    yield project
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("command", STAGES, ids=lambda command: command[0])
def test_the_error_names_the_folder_that_is_not_writable(
    read_only: Project, command: tuple[str, ...]
) -> None:
    ran = read_only.stage(*command)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stdout
    (line,) = [text for text in ran.stdout.splitlines() if text.startswith("error: ")]
    expected = ": Permission denied" if os.geteuid() else ": Read-only file system"
    assert expected in line, ran.stdout
