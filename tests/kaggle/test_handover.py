"""The archive for Kaggle: what is in it, what comes out of it elsewhere, and what is refused."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import competitions
import pytest
from conftest import ROOT, Project
from ruamel.yaml import YAML

from podium.config.competition import Competition
from podium.config.models import Model
from podium.core.paths import CHECKPOINTS
from podium.kaggle.handover import code as handover_code
from podium.kaggle.handover import commands as entry_points
from podium.kaggle.handover import pack
from podium.kaggle.handover.commands import Handover

TOKEN = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"
PREPARE, TRAIN, PREDICT = range(3)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project that submits probabilities, and whose model started from a file outside of
    it; git tracks the data in it, and credentials.
    """
    import safetensors.torch
    import timm
    import torch

    project = Project(tmp_path_factory.mktemp("project"))
    project.write_archive(competition(test=9))
    weights = tmp_path_factory.mktemp("outside") / "backbone.safetensors"
    torch.manual_seed(0)
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), weights)
    project.edit(lambda p: p["folds"].update(run=[0]))
    project.edit(lambda p: p["models"]["a"].update(pretrained=str(weights)))
    for name in ("requirements.txt", "README.md"):
        shutil.copy(ROOT / name, project.folder)
    for name in ("kaggle.json", ".env", ".dvc/config.local", "submissions/history.csv"):
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_text(f"# {TOKEN}")
    project.repro("submission")
    project.run("git", "add", "--all")
    return project


@pytest.fixture(scope="module")
def archive(done: Project) -> Path:
    made = done.stage("handover")
    assert made.returncode == 0, made.stdout
    assert "left out, since they look like credentials: .env, kaggle.json" in made.stdout
    return done.folder / "handover/shapes.zip"


@pytest.fixture(scope="module")
def prepared(done: Project, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The archive unpacked elsewhere, the data where its README says, its first step done."""
    unpacked = unpack(archive, tmp_path_factory.mktemp("elsewhere"))
    place = re.search(
        r"Put the competition's\s+zip at\s+`(\S+)`", unpacked.read("README.md").decode()
    )
    assert place is not None
    shutil.copy(done.folder / "shapes.zip", unpacked.folder / place[1])
    follow(unpacked, PREPARE)
    return unpacked


def competition(test: int) -> dict[str, bytes]:
    files = competitions.competition(36, test)
    sample = competitions.tables(36, test)[1][["id"]].assign(circle=1.0, square=0.0, stripes=0.0)
    return {**files, "sample_submission.csv": competitions.csv(sample)}


def backbone(done: Project) -> Path:
    """The weights outside of the project."""
    return Path(YAML(typ="safe").load(done.folder / "params.yaml")["models"]["a"]["pretrained"])


def unpack(archive: Path, folder: Path) -> Project:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    project = object.__new__(Project)
    project.folder = folder
    return project


def follow(unpacked: Project, step: int) -> None:
    """Paste a block of entry_points.md into a shell."""
    blocks = re.findall(r"```sh\n(.*?)```", unpacked.read("entry_points.md").decode(), re.DOTALL)
    assert len(blocks) == 3
    unpacked.run("bash", "-e", "-c", blocks[step])


@pytest.mark.slow
@pytest.mark.long
def test_the_trained_weights_give_the_same_submission_elsewhere(
    done: Project, prepared: Project, tmp_path: Path
) -> None:
    unpacked = prepared.copy(tmp_path / "copy")
    (unpacked.folder / "submissions/shapes.csv").unlink()
    follow(unpacked, PREDICT)
    assert unpacked.read("submissions/shapes.csv") == done.read("submissions/shapes.csv")
    for path in entry_points.SETTINGS.values():
        assert (unpacked.folder / path).exists() == (path != ".checkpoints"), path


@pytest.mark.slow
@pytest.mark.long
def test_training_elsewhere_gives_the_same_submission(
    done: Project, prepared: Project, tmp_path: Path
) -> None:
    unpacked = prepared.copy(tmp_path / "copy")
    shutil.rmtree(unpacked.folder / "models")
    (unpacked.folder / "submissions/shapes.csv").unlink()
    hidden = backbone(done).rename(done.folder / "away")
    follow(unpacked, TRAIN)
    hidden.rename(backbone(done))
    follow(unpacked, PREDICT)
    assert unpacked.read("submissions/shapes.csv") == done.read("submissions/shapes.csv")


@pytest.mark.slow
@pytest.mark.long
def test_a_new_test_set_is_predicted_as_the_readme_says(prepared: Project, tmp_path: Path) -> None:
    unpacked = prepared.copy(tmp_path / "copy")
    competitions.write_zip(unpacked.folder / "data/raw/shapes.zip", competition(test=12))
    text = unpacked.read("README.md").decode()
    commands = re.search(r"then run\n(.*) and step 3", text)
    assert commands is not None
    for command in re.findall(r"`(.*?)`", commands[1]):
        unpacked.run("bash", "-c", command)
    follow(unpacked, PREDICT)
    assert len(unpacked.read("submissions/shapes.csv").splitlines()) == 13


@pytest.mark.slow
@pytest.mark.long
def test_it_holds_what_kaggle_asks_for_and_nothing_else(done: Project, archive: Path) -> None:
    with zipfile.ZipFile(done.folder / "shapes.zip") as raw:
        given = {raw.read(name) for name in raw.namelist()}
    with zipfile.ZipFile(archive) as opened:
        held = {name: opened.read(name) for name in opened.namelist()}
    for name, data in held.items():
        assert TOKEN.encode() not in data, name
        assert not data.startswith((b"\x89PNG", b"PK\x03\x04", b"ARROW1")), name
        assert data not in given, name
    code = {path.relative_to(done.folder) for path in (done.folder / "src").rglob("*.py")}
    assert {path.as_posix() for path in code} < set(held)
    weights = next(name for name in held if name.startswith("pretrained/"))
    assert set(held) - {path.as_posix() for path in code} == {
        *("README.md", "PODIUM.md", "SETTINGS.json", "directory_structure.txt", "entry_points.md"),
        *("requirements.txt", "params.yaml", "dvc.yaml", "dvc.lock", ".dvcignore", ".gitignore"),
        *("data/folds.csv", "data/folds.json", "data/raw/source.json", "metrics/ensemble.json"),
        *("models/a/fold0/weights.safetensors", "models/a/fold0/curves.csv"),
        *("metrics/a/fold0.json", "submissions/shapes.csv", "submissions/shapes.json", weights),
    }
    assert held["requirements.txt"] == (ROOT / "requirements.txt").read_bytes()
    assert held["submissions/shapes.csv"] == done.read("submissions/shapes.csv")
    params = [
        YAML(typ="safe").load(text) for text in (held["params.yaml"], done.read("params.yaml"))
    ]
    params[1]["models"]["a"]["pretrained"] = weights
    assert params[0] == params[1]


@pytest.mark.slow
@pytest.mark.long
def test_the_list_of_files_is_what_find_says(archive: Path, tmp_path: Path) -> None:
    unpacked = unpack(archive, tmp_path)
    found = unpacked.run("bash", "-c", "find . | LC_ALL=C sort").stdout
    assert unpacked.read("directory_structure.txt").decode() == found


@pytest.mark.slow
@pytest.mark.long
def test_the_readme_tells_scores_times_and_versions(done: Project, archive: Path) -> None:
    text = zipfile.ZipFile(archive).read("README.md").decode()
    scores = json.loads(done.read("metrics/ensemble.json"))
    assert f"| {scores['members']['a']['oof']:.4f} |" in text
    seconds = json.loads(done.read("metrics/a/fold0.json"))["seconds"]
    assert f"| `python src/train.py --model a --fold 0` | {seconds:.1f} |" in text
    assert "| `python src/prepare.py` | not recorded |" in text
    record = json.loads(done.read("submissions/shapes.json"))
    assert f"| torch | {record['packages']['torch']} |" in text
    assert f"`{record['data']['sha256']}`" in text
    assert "| `train/` | 36 |" in text and "| `train.csv` | 1 |" in text


@pytest.mark.slow
@pytest.mark.long
def test_measured_it_tells_how_long_each_command_took(done: Project, tmp_path: Path) -> None:
    output = tmp_path / "measured.zip"
    made = done.stage("handover", "--measure", "--output", str(output))
    assert made.returncode == 0, made.stdout
    assert [*tmp_path.iterdir()] == [output]
    text = zipfile.ZipFile(output).read("README.md").decode()
    times = dict(re.findall(r"\| `python src/(\w+)\.py.*` \| (\d+\.\d) \|", text))
    assert set(times) == {"prepare", "folds", "train", "predict", "ensemble", "submission"}
    assert float(times["predict"]) > 0.5  # it starts torch


@pytest.mark.slow
@pytest.mark.long
def test_a_command_that_fails_while_it_is_measured_is_told(done: Project, tmp_path: Path) -> None:
    options = ("--measure", "--output", str(tmp_path / "measured.zip"))
    made = done.stage("handover", *options, PODIUM_WORKERS="many")
    assert made.returncode == 1
    assert "error: `python src/prepare.py` failed in a copy" in made.stdout
    assert "PODIUM_WORKERS is a whole number, not 'many'" in made.stdout
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.long
def test_the_same_state_gives_the_same_bytes(done: Project, archive: Path, tmp_path: Path) -> None:
    assert done.stage("handover", "--output", str(tmp_path / "b.zip")).returncode == 0
    assert (tmp_path / "b.zip").read_bytes() == archive.read_bytes()


@pytest.mark.slow
@pytest.mark.long
def test_what_does_not_belong_together_is_refused(done: Project, archive: Path) -> None:
    weights = "models/a/fold0/weights.safetensors"
    for name, message in {
        "submissions/shapes.csv": "submissions/shapes.csv is not the one that",
        weights: "1 of 1 weights are not those that submissions/shapes.csv was made with: models/",
        "src/podium/views.py": "submissions/shapes.csv is not of the present state: 2 stages have "
        "changed since: train@a-0, predict@a-0: take",
    }.items():
        before = done.read(name)
        (done.folder / name).write_bytes(before + b" ")
        refuses(done, message, archive)
        (done.folder / name).write_bytes(before)
    for name in ("metrics/a/fold0.json", "data/folds.csv"):
        moved = (done.folder / name).rename(done.folder / "away")
        refuses(done, f"1 files of the submission are missing: {name}: run", archive)
        moved.rename(done.folder / name)
    moved = backbone(done).rename(done.folder / "away")
    refuses(done, f"models.a.pretrained: {backbone(done)} is not the file any more", archive)
    moved.rename(backbone(done))


def refuses(project: Project, message: str, archive: Path) -> None:
    """With one message, and the archive that was there stays."""
    before = archive.read_bytes()
    made = project.stage("handover")
    assert made.returncode == 1 and f"error: {message}" in made.stdout, made.stdout
    assert "Traceback" not in made.stdout
    assert archive.read_bytes() == before


def several(source: str, solution: str | None = None) -> Handover:
    competition = Competition(source=source, slug="shapes", solution=solution)
    model = Model.model_validate(
        {
            "architecture": "test_resnet",
            "image_size": 32,
            "batch_size": 8,
            "phases": [{"epochs": 1, "lr": 1}],
        }
    )
    return Handover(competition, {"a": model, "b-2": model}, [0, 2])


def test_each_member_and_fold_has_its_commands() -> None:
    made = several("shapes.zip")
    each = [f"--model {model} --fold {fold}" for model in ("a", "b-2") for fold in (0, 2)]
    assert made.train() == [f"python src/train.py {options}" for options in each]
    end = ["python src/ensemble.py", "python src/submission.py"]
    assert made.predict() == [*(f"python src/predict.py {options}" for options in each), *end]
    assert {"train@b-2-2", "predict@a-0", "ensemble"} < made.stages()
    text = entry_points.text(made)
    assert all(f"\n{command}\n" in text for command in [*made.train(), *made.predict()])


@pytest.mark.parametrize(
    ("source", "solution", "fetched"),
    [
        ("kaggle", None, True),
        ("builtin", None, True),
        ("../shapes.zip", None, False),
        ("kaggle", "labels.csv", False),  # which are not in the archive
    ],
)
def test_only_what_can_be_fetched_elsewhere_is_fetched(
    source: str, solution: str | None, fetched: bool
) -> None:
    prepare = several(source, solution).prepare()
    assert ("python src/fetch.py" in prepare) == fetched
    assert prepare[-2:] == ["python src/prepare.py", "python src/folds.py"]


def test_the_settings_are_the_paths_of_the_pipeline() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    paths = entry_points.SETTINGS
    for key, stage in {
        "RAW_DATA_DIR": "fetch",
        "CLEAN_DATA_DIR": "prepare",
        "FOLDS_PATH": "folds",
        "MODEL_DIR": "train",
        "METRICS_DIR": "train",
        "PREDICTIONS_DIR": "predict",
        "ENSEMBLE_DIR": "ensemble",
        "SUBMISSION_DIR": "submission",
    }.items():
        kinds = (stages[stage].get(kind, []) for kind in ("outs", "metrics", "plots"))
        outs = [Path(next(iter(out)) if isinstance(out, dict) else out) for k in kinds for out in k]
        assert any(out.is_relative_to(paths[key]) for out in outs), key
    assert paths["CHECKPOINT_DIR"] == str(CHECKPOINTS)


def test_code_is_what_git_tracks_and_every_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("src/mine.py", "notes.md", "docs/a.md", "docs/a.png", "raw/train/1.png", "my.pem"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    competition = Competition(source="raw", slug="shapes")

    def listed() -> set[str]:
        return {path.as_posix() for path in handover_code.listing(competition)}

    assert listed() == {"src/mine.py", "docs/a.md"}
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert listed() == {"src/mine.py", "docs/a.md"}
    subprocess.run(["git", "add", "notes.md", "docs/a.png", "raw", "my.pem"], check=True)
    assert listed() == {"src/mine.py", "notes.md", "docs/a.png"}


def test_a_folder_as_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pack.UserError, match="is a folder, not a file's name"):
        pack.write(tmp_path, {"README.md": b""})
