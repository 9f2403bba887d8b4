"""`make init` as a user runs it: in a git repository, on a terminal or not."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time

import layouts
import pytest
from competitions import competition, write_zip
from conftest import ROOT, Project
from kaggle_server import Kaggle

from commands import init
from podium.config.prepare import Prepare
from podium.core import params_file
from podium.params import schema
from podium.params.schema import Params

pytestmark = pytest.mark.slow  # every test starts a program, some with torch

DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def clone(project: Project) -> Project:
    """A project in a git repository, with its params committed."""
    project.run("git", "init", "--quiet")
    commit(project)
    return project


def commit(project: Project) -> None:
    project.run("git", "add", "params.yaml")
    project.run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "params")


def params(project: Project) -> Params:
    return schema.validate(params_file.read(project.folder / "params.yaml"))


class Terminal:
    """init on a pseudo-terminal."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "commands.init", "--quick", *arguments],
            cwd=project.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def until(self, prompt: str, seconds: float = 60) -> str:
        """What it prints up to `prompt`."""
        end, start = time.monotonic() + seconds, len(self.text)
        while prompt not in self.text[start:]:
            ready, _, _ = select.select([self.master], [], [], 1)
            assert time.monotonic() < end, self.text
            if ready:
                self.text += self._read()
        return self.text[start:]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        """Its exit code; all that it printed is in `text`."""
        while chunk := self._read():
            self.text += chunk
        os.close(self.master)
        return self.process.wait(60)

    def _read(self) -> str:
        try:
            return os.read(self.master, 4096).decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # on Linux: the other end is closed
            return ""


def test_init_writes_params_and_prints_how_certain_they_are(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    done = clone.stage("init", "--quick", "shapes.zip", "--yes")
    assert done.returncode == 0, done.stdout
    written = params(clone)
    assert (written.competition.source, written.competition.slug) == ("shapes.zip", "shapes")
    assert written.prepare.group_column == "patient_id" and written.task == "multiclass"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "train.csv 36 rows id, label, age, sex, patient_id" in lines
    assert "train/ 36 images 32 x 40" in lines
    (label,) = [line for line in lines if line.startswith("prepare.label_column ")]
    assert label.split()[:3] == ["prepare.label_column", "label", "certain"]
    assert [line for line in lines if "train.csv" in line and line.endswith("age, sex")]
    (metric,) = [line for line in lines if line.startswith("metric ")]
    assert metric.split()[:3] == ["metric", "accuracy", "guess"]
    assert lines[-1].endswith("dvc repro") and lines[-2].endswith("page for the metric.")
    assert "metric, prepare.group_column" in lines[-3]
    assert "\n  metric     " in done.stdout  # aligned


def test_fetch_keeps_the_archive_that_init_fetched(clone: Project) -> None:
    assert clone.stage("init", "--quick", "shapes.zip", "--yes").returncode == 0
    archive = clone.folder / "data/raw/shapes.zip"
    before = archive.stat().st_mtime_ns
    assert clone.stage("fetch").returncode == 0
    assert archive.stat().st_mtime_ns == before


def test_init_never_overwrites_uncommitted_edits(clone: Project) -> None:
    edited = clone.read("params.yaml") + b"# mine\n"
    (clone.folder / "params.yaml").write_bytes(edited)
    done = clone.stage("init", "--quick", "shapes.zip", "--yes")
    assert done.returncode == 1
    assert "error: params.yaml: has uncommitted edits" in done.stdout
    assert clone.read("params.yaml") == edited and not (clone.folder / "data").exists()
    commit(clone)
    assert clone.stage("init", "--quick", "shapes.zip", "--yes").returncode == 0
    done = clone.stage("init", "--quick", "shapes.zip", "--yes")  # its own are edits too
    assert done.returncode == 1 and "uncommitted" in done.stdout


@pytest.mark.parametrize("how", ["no git", "untracked", "ignored"])
def test_init_never_overwrites_what_git_cannot_restore(how: str, project: Project) -> None:
    if how != "no git":
        project.run("git", "init", "--quiet")
    if how == "ignored":
        with (project.folder / ".gitignore").open("a") as file:
            file.write("\nparams.yaml\n")
    before = project.read("params.yaml")
    done = project.stage("init", "--quick", "shapes.zip", "--yes")
    assert done.returncode == 1 and "error: params.yaml: not " in done.stdout
    assert project.read("params.yaml") == before


def test_nothing_is_written_if_prepare_would_fail(clone: Project) -> None:
    files = competition()
    del files["test/0040.png"]
    clone.write_archive(files)
    before = clone.read("params.yaml")
    done = clone.stage("init", "--quick", "shapes.zip", "--yes")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "train.csv" in done.stdout and "prepare.test_images" in done.stdout
    assert "error: 1 of 9 test images" in done.stdout and "0040" in done.stdout
    assert "\n  make init SOURCE=shapes.zip ARGS=" in done.stdout
    assert clone.read("params.yaml") == before


def test_questions_are_answered_on_a_terminal(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    terminal = Terminal(clone, "shapes.zip")
    shown = terminal.until("metric [accuracy]: ")
    assert "metric (guess: " in shown and "macro_f1, micro_f1, balanced_accuracy" in shown
    terminal.press("fscore\n")
    assert "unknown metric fscore" in terminal.until("metric [accuracy]: ")
    terminal.press("macro_f1\n")
    terminal.until("group_column [patient_id]: ")
    terminal.press("\n")  # Enter takes the guess
    assert terminal.end() == 0, terminal.text
    assert "label_column [" not in terminal.text  # certain: not asked
    written = params(clone)
    assert (written.metric, written.prepare.group_column) == ("macro_f1", "patient_id")
    (line,) = [line for line in terminal.text.splitlines() if line.startswith("  metric ")]
    assert line.split() == ["metric", "macro_f1", "given", "given", "by", "you"]


def test_none_is_an_answer_and_the_end_of_input_accepts_the_guess(clone: Project) -> None:
    clone.write_archive(layouts.extra_columns().files)
    terminal = Terminal(clone, "shapes.zip")
    terminal.until("metric [accuracy]: ")
    terminal.press("\x04")
    terminal.until("group_column [patient_id]: ")
    terminal.press("none\n")
    assert terminal.end() == 0, terminal.text
    written = params(clone)
    assert (written.metric, written.prepare.group_column) == ("accuracy", None)


def test_nothing_is_asked_with_yes(clone: Project) -> None:
    terminal = Terminal(clone, "shapes.zip", "--yes")
    assert terminal.end() == 0, terminal.text
    assert "metric [" not in terminal.text and params(clone).metric == "accuracy"


def test_nothing_is_asked_without_a_terminal(clone: Project) -> None:
    done = clone.stage("init", "--quick", "shapes.zip", "--metric", "log_loss", "--slug", "other")
    assert done.returncode == 0 and "metric [" not in done.stdout
    written = params(clone)
    assert (written.metric, written.competition.slug) == ("log_loss", "other")


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_source_with_spaces_and_parentheses_in_its_name(is_folder: bool, clone: Project) -> None:
    source = clone.folder / ("My data (1)" if is_folder else "My data (1).zip")
    if not is_folder:
        (clone.folder / "shapes.zip").rename(source)
    for name, data in competition().items() if is_folder else ():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = clone.stage("init", "--quick", source.name, "--yes")
    assert done.returncode == 0, done.stdout
    config = params(clone).competition
    assert (config.source, config.slug) == (source.name, "My-data-1")
    assert f'source: "{source.name}"' in clone.read("params.yaml").decode()
    assert clone.stage("fetch").returncode == 0
    assert (clone.folder / "data/raw/My-data-1.zip").is_file()
    clone.run("git", "checkout", "params.yaml")
    done = clone.stage("init", "--quick", source.name, "--yes", "--id-column", "label")
    command = next(line for line in done.stdout.splitlines() if "make init" in line)
    assert shlex.split(command)[2] == f"SOURCE={source.name}"


def test_a_competition_on_kaggle_is_a_source(
    clone: Project, kaggle: Kaggle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone.run("git", "checkout", "-q", "params.yaml")
    environment = kaggle.environment(tmp_path_factory.mktemp("home"))
    done = clone.stage("init", "--quick", "shapes", "--yes", **environment)
    assert done.returncode == 0, done.stdout
    written = params(clone)
    assert (written.competition.source, written.competition.slug) == ("kaggle", "shapes")


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ("no/such.zip", None, "error: no/such.zip"),
        ("bad.zip", b"not a zip", "error: bad.zip"),
        ("empty.zip", {}, "no labeled training images"),
        (
            "tests.zip",
            {"test/1.png": b"x", "test.csv": b"id\n1\n"},
            "no labeled training images",
        ),
        (
            "badcsv.zip",
            {"train.csv": b"id,label\n1,2,3\n", "train/1.png": b"x"},
            "train.csv in data/raw/badcsv.zip",
        ),
    ],
)
def test_unusable_files_are_one_error(
    source: str, data: bytes | dict[str, bytes] | None, message: str, clone: Project
) -> None:
    before = clone.read("params.yaml")
    if isinstance(data, dict):
        write_zip(clone.folder / source, data)
    elif data is not None:
        (clone.folder / source).write_bytes(data)
    done = clone.stage("init", "--quick", source, "--yes")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert message in done.stdout
    assert done.stdout.count("error: ") == 1
    assert clone.read("params.yaml") == before


def test_without_a_params_file_nothing_is_lost(clone: Project) -> None:
    (clone.folder / "params.yaml").unlink()
    assert clone.stage("init", "--quick", "shapes.zip", "--yes").returncode == 0
    assert params(clone).competition.slug == "shapes"


PHOTOS = {
    "ants-bees": {},
    "weather": {
        "train_csv": "Training_set.csv",
        "test_csv": "Testing_set.csv",
        "sample_submission": None,
        "id_column": "filename",
    },
}


@pytest.mark.parametrize("name", PHOTOS)
def test_the_photo_competitions_need_no_edits(name: str, clone: Project) -> None:
    if not (DATA / f"{name}.zip").is_file():
        pytest.skip("the photos are not available")
    weights = clone.folder / "mobilenetv2_100-imagenet-backbone.safetensors"
    weights.write_bytes(b"")
    source = str(DATA / f"{name}.zip")
    done = clone.stage("init", "--quick", source, "--yes", "--pretrained", weights.name)
    assert done.returncode == 0, done.stdout
    config = params(clone)
    changed = {"max_size", "positive_class"}
    expected = Prepare(**PHOTOS[name])
    assert config.prepare.model_dump(exclude=changed) == expected.model_dump(exclude=changed)
    assert config.metric == "accuracy"
    (model,) = config.models.values()
    assert (model.architecture, model.pretrained) == ("mobilenetv2_100", weights.name)


@pytest.mark.parametrize("name", ["My data (1).zip", 'it\'s $HOME $(y `z` "1".zip'])
def test_make_passes_any_file_name_to_init(name: str, project: Project) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    shutil.copy(ROOT / "Makefile", project.folder)
    (project.folder / "params.yaml").unlink()
    (project.folder / "shapes.zip").rename(project.folder / name)
    # Without setting up an environment: the tests' own has all that is needed.
    command = ("make", "-o", ".venv/.run", "init", f"SOURCE={name}", "YES=1")
    project.run(*command, "ARGS=--metric 'log_loss'")
    assert params(project).competition.source == name
    assert params(project).metric == "log_loss"


@pytest.mark.parametrize("minutes", ["0", "-1", "abc"])
def test_minutes_must_be_a_positive_number(clone: Project, minutes: str) -> None:
    before = clone.read("params.yaml")
    done = clone.stage("init", "shapes.zip", "--yes", f"--minutes={minutes}")
    assert done.returncode == 2
    assert f"--minutes: must be a positive number, not '{minutes}'" in done.stdout
    assert clone.read("params.yaml") == before


def test_cpu_time_needs_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["init.py", "shapes.zip", "--cpu-time"])
    with pytest.raises(SystemExit):
        init.main()
    assert "--cpu-time is for --minutes" in capsys.readouterr().err
