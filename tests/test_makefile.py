"""The Makefile: no value that a user gives reaches make or a shell as code, and .venv may move."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

HOSTILE = [
    'two folds (1), it\'s "$HOME"',
    "`touch hacked` $(touch hacked) ${HOME} $HOME $$ $(HOME)",
    "$(shell touch hacked)${eval x := $(shell touch hacked)}$(error no)",
    "'; touch hacked; '",
    '"; touch hacked; "',
    "one\ntouch hacked\n\ttouch hacked",
    "--help",
    "-n 3",
    "a  * ? [a-z] ~ {a,b} #b \\ \\n % a\\",
    "& touch hacked | touch hacked > hacked",
    "Übung №1 привет",
]
TEXT = {  # target and variable: the command and how it gets the value
    ("recipe", "NAME"): ["-m", "commands.recipe", "--", "VALUE"],
    ("lr-range", "MODEL"): ["-m", "commands.lr_range", "--", "VALUE"],
    ("lr-range", "PHASE"): ["-m", "commands.lr_range", "--phase=VALUE"],
    ("batch-size", "MODEL"): ["-m", "commands.batch_size", "--", "VALUE"],
    ("seeds", "MODEL"): ["-m", "commands.seeds", "--", "VALUE"],
    ("seeds", "N"): ["-m", "commands.seeds", "--count=VALUE"],
    ("init", "SOURCE"): ["-m", "commands.init", "--", "VALUE"],
    ("submit", "MESSAGE"): ["-m", "commands.submit", "--message=VALUE"],
    ("submit", "WAIT"): ["-m", "commands.submit", "--wait=VALUE"],
    ("kernel", "OWNER"): ["-m", "commands.export", "--owner=VALUE"],
    ("kernel", "TITLE"): ["-m", "commands.export", "--title=VALUE"],
    ("kernel", "MESSAGE"): ["-m", "commands.export", "--message=VALUE"],
    ("kernel", "WAIT"): ["-m", "commands.export", "--wait=VALUE"],
    ("plan", "HOURS"): ["-m", "commands.plan", "--hours=VALUE"],
    ("plan", "WRITE"): ["-m", "commands.plan", "--write"],
    ("train", "JOBS"): ["-m", "commands.jobs", "--", "VALUE"],
    ("train", "CLUSTER"): ["-m", "commands.cluster", "--", "VALUE"],
    ("train", "GPUS"): ["-m", "commands.cluster", "--gpus=VALUE"],
    ("train", "CPUS"): ["-m", "commands.cluster", "--cpus=VALUE"],
    ("train", "ON"): ["-m", "commands.kaggle_gpu", "--", "VALUE"],
    ("predict", "ON"): ["-m", "commands.kaggle_gpu", "--predict", "--", "VALUE"],
    ("predict", "GPU"): ["-m", "commands.kaggle_gpu", "--gpu=VALUE", "--predict", "--", ""],
    ("predict", "HOURS"): ["-m", "commands.kaggle_gpu", "--hours=VALUE", "--predict", "--", ""],
    ("predict", "MODELS"): ["-m", "commands.kaggle_gpu", "--models=VALUE", "--predict", "--", ""],
    ("search", "MODEL"): ["-m", "commands.search", "--", "VALUE"],
    ("search", "SET"): ["-m", "commands.search", "--set=VALUE"],
    ("search", "TRIALS"): ["-m", "commands.search", "--trials=VALUE"],
    ("search", "FOLDS"): ["-m", "commands.search", "--folds=VALUE"],
    ("search", "JOBS"): ["-m", "commands.search", "--jobs=VALUE"],
    ("search", "CLUSTER"): ["-m", "commands.search", "--cluster=VALUE"],
    ("search", "GPUS"): ["-m", "commands.search", "--gpus=VALUE"],
    ("search", "CPUS"): ["-m", "commands.search", "--cpus=VALUE"],
    ("search", "LIST"): ["-m", "commands.search", "--list"],
    ("search", "PLOT"): ["-m", "commands.search", "--plot"],
    ("search", "WRITE"): ["-m", "commands.search", "--write"],
    ("node", "HEAD"): ["-m", "commands.node", "--", "VALUE"],
    ("node", "ARGS"): ["-m", "commands.node"],  # in the environment
    ("faults", "N"): ["tests/faults/kills.py", "--", "VALUE"],
    ("init", "ARGS"): ["-m", "commands.init"],  # in the environment
    ("init", "YES"): ["-m", "commands.init", "--yes"],
    ("submit", "DRY"): ["-m", "commands.submit", "--dry-run"],
    ("kernel", "PUSH"): ["-m", "commands.export", "--push"],
    ("kernel", "WHEELS"): ["-m", "commands.export", "--wheels"],
    ("handover", "MEASURE"): ["-m", "commands.handover", "--measure"],
}
RECORDER = f"""#!{sys.executable}
import json, os, sys
arguments = [os.environ.get(f"PODIUM_{{name}}_ARGS", "") for name in ("INIT", "NODE")]
record = {{"argv": sys.argv[1:], "args": "".join(arguments)}}
with open("called", "a") as file:
    print(json.dumps(record), file=file)
"""
SET_UP = """#!/bin/sh
test "$1" = -m || exit 0
mkdir -p .venv/bin
cat > .venv/bin/python <<END
#!/bin/sh
echo "$PWD" >> set-up
END
cp .venv/bin/python .venv/bin/uv
chmod +x .venv/bin/python .venv/bin/uv
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with the Makefile, whose Python records how it is called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).touch()
    program(tmp_path / ".venv/bin/python", RECORDER)
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # As from a shell: `make test` passes its own level, flags and variables on.
    names = {variable for _, variable in TEXT} | {"PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def called(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "called").read_text().splitlines()]


@pytest.mark.parametrize("target", TEXT, ids=" ".join)
def test_a_value_reaches_its_command_unchanged(folder: Path, target: tuple[str, str]) -> None:
    name, variable = target
    ready = ("-o", ".venv/.run", "-o", ".venv/.dev", "-o", ".venv/.cluster", "-o", ".venv/.search")
    for number, value in enumerate(HOSTILE):
        done = make(folder, *ready, name, f"{variable}={value}")
        assert done.returncode == 0, done.stderr
        record = called(folder)[number]
        assert record["argv"] == [text.replace("VALUE", value) for text in TEXT[target]]
        assert record["args"] == (value if variable == "ARGS" else "")
    assert {path.name for path in folder.iterdir()} == {
        "Makefile", "requirements.txt", "requirements-dev.txt", ".venv", "called"}  # fmt: skip


def test_all_variables_are_tested() -> None:
    text = (ROOT / "Makefile").read_text()
    (line,) = re.findall(r"VARIABLES := (.*)", text)
    assert set(line.split()) == {variable for _, variable in TEXT} | {"PYTHON"}
    recipes = [line for line in text.splitlines() if line.startswith("\t")]
    expanded = {name for line in recipes for name in re.findall(r"(?<!\$)\$[({](\w+)", line)}
    # `override` protects these.
    assert expanded == {"COMMAND", "KAGGLE_GPU", "PYTEST", "LOCK", "UV"}
    assert all(f"override {name} :=" in text for name in expanded)


def test_the_computers_name_is_not_a_recipe(folder: Path) -> None:
    make(folder, "-o", ".venv/.run", "recipe", NAME="DESKTOP-1")
    assert called(folder)[0]["argv"] == ["-m", "commands.recipe"]


@pytest.mark.parametrize("value", HOSTILE[:5])
def test_no_value_of_python_is_run_by_the_shell(folder: Path, value: str) -> None:
    shutil.rmtree(folder / ".venv")
    done = make(folder, "run", f"PYTHON={value}")
    assert done.returncode != 0 and not (folder / "hacked").exists()


@pytest.mark.parametrize("name", ["moved", 'it\'s a "$(b), `c`" $HOME #1'])
def test_the_environment_is_set_up_again_where_the_project_was_moved(
    folder: Path, name: str
) -> None:
    shutil.rmtree(folder / ".venv")
    project = folder / "project"
    project.mkdir()
    for path in ("Makefile", "requirements.txt"):
        (folder / path).rename(project / path)
    program(folder / "python3", SET_UP)
    command = (".venv/.run", f"PYTHON={folder / 'python3'}")

    def set_ups(project: Path) -> int:
        was_there = (project / ".venv").exists()
        done = make(project, *command)
        assert done.returncode == 0, done.stderr
        count = len((project / "set-up").read_text().splitlines())
        assert ("was moved" in done.stdout) == (was_there and count > 0)
        (project / "set-up").write_text("")
        return count

    assert set_ups(project) == 2  # pip and uv
    assert set_ups(project) == 0
    moved = project.rename(folder / name)
    assert set_ups(moved) == 2
    assert set_ups(moved) == 0
    copy = folder / "copy"
    shutil.copytree(moved, copy)
    assert set_ups(copy) == 2
    (copy / ".venv/bin/python").unlink()
    (copy / ".venv/bin/python").symlink_to("/usr/bin/python2.99")  # it was upgraded
    assert set_ups(copy) == 2
    assert set_ups(copy) == 0


@pytest.mark.parametrize(("target", "name"), [("node", "HEAD"), ("train", "CLUSTER")])
def test_an_empty_address_is_an_error(folder: Path, target: str, name: str) -> None:
    """An unset variable of a script: `make node HEAD=$head` would start another head."""
    done = make(folder, "-o", ".venv/.run", "-o", ".venv/.cluster", target, f"{name}=")
    assert done.returncode == 2 and f"{name}= is empty" in done.stderr
    assert not (folder / "called").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "ON="), "ON= is empty. Set it to kaggle, or leave ON= out"),
        (("train", "ON=kaggle", "CLUSTER=a:1"), "CLUSTER does not apply to ON=kaggle"),
        (("train", "ON=kaggle", "JOBS=2"), "JOBS does not apply to ON=kaggle"),
        (("predict", "ON=kaggle", "GPUS=2"), "GPUS does not apply to ON=kaggle"),
        (("train", "ON=kaggle", "CPUS=2"), "CPUS does not apply to ON=kaggle"),
        (("train", "GPU=P100"), "GPU requires ON=kaggle"),
        (("train", "CLUSTER=a:1", "HOURS=2"), "HOURS requires ON=kaggle"),
        (("train", "MODELS=a", "JOBS=2"), "MODELS requires ON=kaggle"),
    ],
)
def test_no_setting_is_ignored(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = make(folder, "-o", ".venv/.run", "-o", ".venv/.cluster", *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert not (folder / "called").exists()


def test_settings_of_the_environment_are_no_mistake(folder: Path) -> None:
    ready = ("-o", ".venv/.run")
    make(folder, *ready, "train", GPU="0", HOURS="1")
    make(folder, *ready, "train", "GPU=P100", ON="kaggle", JOBS="4")
    assert [record["argv"] for record in called(folder)] == [
        ["-m", "commands.jobs"], ["-m", "commands.kaggle_gpu", "--gpu=P100", "--", "kaggle"],
    ]  # fmt: skip


WAITS = f"""#!{sys.executable}
import signal, sys, time
from pathlib import Path

def stop(*_):
    Path("stopped").touch()
    sys.exit(1)

signal.signal(signal.SIGTERM, stop)
Path("started").touch()
time.sleep(60)
"""


@pytest.mark.parametrize(
    "arguments", [("node",), ("train",), ("train", "CLUSTER=a:1"), ("search",), ("watch",)], ids=str
)
def test_sigterm_reaches_the_command(folder: Path, arguments: tuple[str, ...]) -> None:
    program(folder / ".venv/bin/python", WAITS)
    ready = ("-o", ".venv/.run", "-o", ".venv/.cluster", "-o", ".venv/.search")
    with subprocess.Popen(["make", *ready, *arguments], cwd=folder) as process:
        while not (folder / "started").exists():
            time.sleep(0.02)
        process.terminate()
    assert (folder / "stopped").exists()
