"""`make init` as a user runs it: in a project under git, on a terminal or not."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import layouts
import pytest
from competitions import competition, write_zip
from conftest import ROOT, Project
from kaggle_server import Kaggle
from ruamel.yaml import YAML

from podium.core import params_file
from podium.params import schema
from podium.params.schema import Params

pytestmark = pytest.mark.slow  # a program a test, some with torch

DATA = ROOT.parent / "shared" / "data"
WEIGHTS = "../shared/weights/mobilenetv2_100-imagenet-backbone.safetensors"


@pytest.fixture
def clone(project: Project) -> Project:
    """A project under git, its params committed."""
    project.run("git", "init", "--quiet")
    commit(project)
    return project


def commit(project: Project) -> None:
    project.run("git", "add", "params.yaml")
    project.run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "params")


def params(project: Project) -> Params:
    return schema.validate(params_file.read(project.folder / "params.yaml"))


class Terminal:
    """init on a pseudo-terminal: what it prints, and keys to press."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "commands.init", *arguments],
            cwd=project.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def until(self, wanted: str, seconds: float = 60) -> str:
        """What it prints up to `wanted`."""
        end, start = time.monotonic() + seconds, len(self.text)
        while wanted not in self.text[start:]:
            ready, _, _ = select.select([self.master], [], [], 1)
            assert time.monotonic() < end, self.text
            if ready:
                self.text += self._read()
        return self.text[start:]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        """Its exit status; all that it printed is in `text`."""
        while chunk := self._read():
            self.text += chunk
        os.close(self.master)
        return self.process.wait(60)

    def _read(self) -> str:
        try:
            return os.read(self.master, 4096).decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # Linux's way to say that the other end is closed
            return ""


def test_init_writes_params_and_says_how_sure_it_is(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    done = clone.stage("init", "shapes.zip", "--yes")
    assert done.returncode == 0, done.stdout
    made = params(clone)
    assert (made.competition.source, made.competition.slug) == ("shapes.zip", "shapes")
    assert made.prepare.group_column == "patient_id" and made.task == "multiclass"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "train.csv 36 rows id, label, age, sex, patient_id" in lines
    assert "train/ 36 images" in lines
    assert "prepare.label_column label certain as in the sample submission" in lines
    assert "train.csv: the columns age, sex are left aside" in lines
    (metric,) = [line for line in lines if line.startswith("metric ")]
    assert metric.startswith("metric accuracy a guess") and "competition's page" in metric
    assert "dvc repro" in done.stdout
    assert "\n  metric     " in done.stdout  # aligned


def test_the_archive_is_there_for_dvc_repro(clone: Project) -> None:
    assert clone.stage("init", "shapes.zip", "--yes").returncode == 0
    archive = clone.folder / "data/raw/shapes.zip"
    before = archive.stat().st_mtime_ns
    assert clone.stage("fetch").returncode == 0
    assert archive.stat().st_mtime_ns == before


def test_init_never_overwrites_uncommitted_edits(clone: Project) -> None:
    edited = clone.read("params.yaml") + b"# mine\n"
    (clone.folder / "params.yaml").write_bytes(edited)
    done = clone.stage("init", "shapes.zip", "--yes")
    assert done.returncode == 1
    assert "error: params.yaml has edits that are not committed, and make init" in done.stdout
    assert clone.read("params.yaml") == edited and not (clone.folder / "data").exists()
    commit(clone)
    assert clone.stage("init", "shapes.zip", "--yes").returncode == 0
    done = clone.stage("init", "shapes.zip", "--yes")  # its own are edits too
    assert done.returncode == 1 and "not committed" in done.stdout


@pytest.mark.parametrize("how", ["no git", "untracked", "ignored"])
def test_init_never_overwrites_what_git_does_not_know(how: str, project: Project) -> None:
    if how != "no git":
        project.run("git", "init", "--quiet")
    if how == "ignored":
        with (project.folder / ".gitignore").open("a") as file:
            file.write("\nparams.yaml\n")
    before = project.read("params.yaml")
    done = project.stage("init", "shapes.zip", "--yes")
    assert done.returncode == 1 and "error: git does not know params.yaml" in done.stdout
    assert project.read("params.yaml") == before


def test_a_guess_that_prepare_does_not_take_writes_nothing(clone: Project) -> None:
    files = competition()
    del files["test/0040.png"]
    clone.write_archive(files)
    before = clone.read("params.yaml")
    done = clone.stage("init", "shapes.zip", "--yes")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "shapes holds" in done.stdout and "prepare.test_images" in done.stdout
    assert "error: 1 of 9 images" in done.stdout and "0040" in done.stdout
    assert "nothing is written" in done.stdout and "--id-column" in done.stdout
    assert clone.read("params.yaml") == before


def test_questions_are_answered_on_a_terminal(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    terminal = Terminal(clone, "shapes.zip")
    shown = terminal.until("metric [accuracy]: ")
    assert "metric: a guess" in shown and "or: balanced_accuracy, macro_f1" in shown
    terminal.press("f1\n")
    shown = terminal.until("metric [accuracy]: ")
    assert "unknown metric f1" in shown
    terminal.press("macro_f1\n")
    terminal.until("group_column [patient_id]: ")
    terminal.press("\n")  # Enter takes the guess
    assert terminal.end() == 0, terminal.text
    assert "label_column [" not in terminal.text  # certain: not asked
    made = params(clone)
    assert (made.metric, made.prepare.group_column) == ("macro_f1", "patient_id")
    (line,) = [line for line in terminal.text.splitlines() if line.startswith("  metric ")]
    assert line.split() == ["metric", "macro_f1", "certain", "your", "answer"]


def test_none_and_the_end_of_input_are_answers(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    terminal = Terminal(clone, "shapes.zip")
    terminal.until("metric [accuracy]: ")
    terminal.press("\x04")
    terminal.until("group_column [patient_id]: ")
    terminal.press("none\n")
    assert terminal.end() == 0, terminal.text
    made = params(clone)
    assert (made.metric, made.prepare.group_column) == ("accuracy", None)


def test_yes_asks_nothing_on_a_terminal(clone: Project) -> None:
    terminal = Terminal(clone, "shapes.zip", "--yes")
    assert terminal.end() == 0, terminal.text
    assert "metric [" not in terminal.text and params(clone).metric == "accuracy"


def test_nothing_is_asked_where_nobody_can_answer(clone: Project) -> None:
    done = clone.stage("init", "shapes.zip", "--metric", "log_loss", "--slug", "other")
    assert done.returncode == 0 and "metric [" not in done.stdout
    made = params(clone)
    assert (made.metric, made.competition.slug) == ("log_loss", "other")


def test_a_folder_is_a_source_and_names_the_slug(clone: Project) -> None:
    folder = clone.folder / "my data (v1.2)"
    for name, data in competition().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = clone.stage("init", folder.name, "--yes")
    assert done.returncode == 0, done.stdout
    made = params(clone)
    assert (made.competition.source, made.competition.slug) == (folder.name, "my-data-v1-2")


def test_a_competition_on_kaggle_is_a_source(
    clone: Project, kaggle: Kaggle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone.run("git", "checkout", "-q", "params.yaml")
    environment = kaggle.environment(tmp_path_factory.mktemp("home"))
    done = clone.stage("init", "shapes", "--yes", **environment)
    assert done.returncode == 0, done.stdout
    made = params(clone)
    assert (made.competition.source, made.competition.slug) == ("kaggle", "shapes")


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ("no/such.zip", None, "error: no/such.zip: there is no such folder or zip"),
        ("bad.zip", b"not a zip", "error: bad.zip is not a readable zip archive"),
        ("empty.zip", {}, "has no training images with labels that can be told"),
        (
            "tests.zip",
            {"test/1.png": b"x", "test.csv": b"id\n1\n"},
            "has no training images with labels that can be told",
        ),
        (
            "badcsv.zip",
            {"train.csv": b"id,label\n1,2,3\n", "train/1.png": b"x"},
            "train.csv in data/raw/badcsv.zip is not a CSV: row 2 has 3 fields",
        ),
    ],
)
def test_what_cannot_be_used_is_one_error(
    source: str, data: bytes | dict[str, bytes] | None, message: str, clone: Project
) -> None:
    before = clone.read("params.yaml")
    if isinstance(data, dict):
        write_zip(clone.folder / source, data)
    elif data is not None:
        (clone.folder / source).write_bytes(data)
    done = clone.stage("init", source, "--yes")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert message in done.stdout
    assert done.stdout.count("error: ") == 1
    assert clone.read("params.yaml") == before


def test_without_a_params_file_there_is_nothing_to_lose(clone: Project) -> None:
    (clone.folder / "params.yaml").unlink()
    assert clone.stage("init", "shapes.zip", "--yes").returncode == 0
    assert params(clone).competition.slug == "shapes"


@pytest.mark.parametrize("name", ["ants-bees", "weather"])
def test_the_photo_competitions_need_no_edit_but_the_weights(name: str, clone: Project) -> None:
    if not (DATA / f"{name}.zip").is_file():
        pytest.skip("the photos are not at hand")
    weights = clone.folder / Path(WEIGHTS).name
    weights.write_bytes(b"")
    source = str(DATA / f"{name}.zip")
    done = clone.stage("init", source, "--yes", "--pretrained", weights.name)
    assert done.returncode == 0, done.stdout
    made = params(clone)
    recipe = YAML(typ="safe").load((ROOT / f"recipes/{name}.yaml").read_text())
    expected = Params.model_validate({**_base(), "prepare": recipe.get("prepare", {})}).prepare
    changed = {"max_size"}
    if name != "weather":  # its recipe reads another layout of the same photos
        assert made.prepare.model_dump(exclude=changed) == expected.model_dump(exclude=changed)
    assert made.metric == recipe["metric"]
    (model,) = made.models.values()
    assert (model.architecture, model.pretrained) == ("mobilenetv2_100", weights.name)


def _base() -> dict[str, object]:
    loaded: dict[str, object] = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    return loaded


def test_make_init_hands_its_arguments_on() -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    command = ["make", "-n", "init", "SOURCE=x.zip", "YES=1", "ARGS=--metric log_loss"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m commands.init x.zip --yes --metric log_loss" in done.stdout
