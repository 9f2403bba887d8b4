"""A stage whose input has one changed byte, with the same size and modification time."""

import os
import random
from pathlib import Path

import pytest
from conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
MODEL = ("--model", "a", "--fold", "0")
COMMANDS = [("fetch",), ("prepare",), ("folds",), ("train", *MODEL), ("predict", *MODEL),
            ("ensemble",), ("submission",), ("report",), ("page",)]  # fmt: skip
OUTPUTS = {
    "prepare": "data/images/train/00000.arrow",
    "folds": "data/folds.csv",
    "train": "models/a/fold0/weights.safetensors",
    "predict": "data/predictions/a/fold0/test.parquet",
    "ensemble": "data/ensemble/test.parquet",
    "submission": "submissions/shapes.csv",
}
READ_BY = {
    "data/raw/shapes.zip": "prepare",
    "data/train.csv": "folds",
    "data/images/train/00000.arrow": "train",
    "data/folds.csv": "train",
    "data/folds.json": "train",
    "data/images/test/00000.arrow": "predict",
    "data/test.csv": "predict",
    "models/a/fold0/weights.safetensors": "predict",
    "data/predictions/a/fold0/oof.parquet": "ensemble",
    "data/prepared.json": "ensemble",
    "data/ensemble/test.parquet": "submission",
    "data/sample_submission.csv": "submission",
}
CHANGES = int(os.environ.get("CHANGES", "1"))  # per file; each takes a few seconds


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that ran to its report, with one fold."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.edit(lambda params: params["folds"].update(run=[0]))
    for command in (("check",), *COMMANDS):
        assert project.stage(*command).returncode == 0
    return project


@pytest.mark.parametrize("name", READ_BY)
def test_a_stage_fails_or_gives_the_same_bytes(done: Project, tmp_path: Path, name: str) -> None:
    stage = READ_BY[name]
    (command,) = (command for command in COMMANDS if command[0] == stage)
    rng = random.Random(name)
    for number in range(CHANGES):
        project = done.copy(tmp_path / str(number))
        path, expected = project.folder / name, project.read(OUTPUTS[stage])
        damaged, before = bytearray(path.read_bytes()), path.stat()
        position = rng.randrange(len(damaged))
        damaged[position] ^= rng.randint(1, 255)
        path.write_bytes(damaged)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        ran = project.stage(*command)
        if ran.returncode == 0:
            assert project.read(OUTPUTS[stage]) == expected, f"byte {position}"
        else:
            assert ran.returncode == 1 and "Traceback" not in ran.stdout, ran.stdout
            assert sum(line.startswith("error: ") for line in ran.stdout.splitlines()) == 1
