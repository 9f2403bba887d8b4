"""The export of a finished project, and what it makes of test images where nothing else is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kaggle_server
import kernels
import pytest
from conftest import ROOT, Project
from test_pipeline_is_honest import closure

from podium.core.errors import UserError
from podium.kaggle import history
from podium.kaggle.kernel import export as exporting
from podium.kaggle.kernel import main, spec
from podium.scoring.decisions import DecisionRule


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models of two folds each, weighted, with a fitted cut and images that are resized."""
    (folder := tmp_path_factory.mktemp("finished") / "project").mkdir()
    project = Project(folder)
    project.write_archive(kernels.files(9))

    def change(params: dict[str, Any]) -> None:
        params["task"], params["metric"] = "binary", "macro_f1"
        params["prepare"] = {"max_size": 28}
        params["models"]["a"]["image_size"] = 28
        params["models"]["b"] = {**params["models"]["a"], "architecture": "test_efficientnet"}
        params["models"]["a"]["phases"] = [{"epochs": 12, "lr": 0.01}]  # it weighs more
        params["ensemble"] = {"members": ["b", "a"], "method": "weighted"}
        params["submission"] = {"format": "probability"}

    project.edit(change)
    project.repro("submission")
    return project


@contextmanager
def away(project: Project) -> Iterator[None]:
    """The project's folder is not where it was."""
    hidden = project.folder.with_name("elsewhere")
    project.folder.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(project.folder)


def exported(project: Project, folder: Path, *options: str) -> Path:
    """A copy of the project's export."""
    done = project.stage("export", "--owner", "someone", *options)
    assert done.returncode == 0, done.stdout
    return Path(shutil.copytree(project.folder / "kernels/shapes", folder))


@pytest.mark.slow
@pytest.mark.long
def test_what_was_pushed_gives_the_same_bytes_for_the_same_ids_of_a_longer_test(
    finished: Project, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with kaggle_server.serve({"shapes": b""}) as kaggle:
        environment = kaggle.environment(tmp_path_factory.mktemp("home"))
        done = finished.stage("export", "--push", "--message", "first", **environment)
    assert done.returncode == 0, done.stdout
    ref = "someone/podium-shapes"
    (sent,), (pushed,) = kaggle.service.datasets[ref], kaggle.service.kernels[ref]
    submission = str(kaggle.service.submissions[0]["ref"])
    assert f"submitted to shapes: {ref} version 1, ref {submission}" in done.stdout
    (row,) = history.read(finished.folder / "submissions/history.csv").to_dict("records")
    made = json.loads(finished.read("submissions/shapes.json"))
    assert (row["file"], row["ref"], row["message"]) == (f"{ref} version 1", submission, "first")
    assert (row["sha256"], row["status"]) == (made["sha256"], "COMPLETE")
    assert row["oof"] == repr(made["oof"]["macro_f1"]) and row["public"] in done.stdout

    # Laid out as Kaggle does: an archive becomes a folder.
    (dataset := tmp_path / "dataset").mkdir()
    for name, data in sent.items():
        (dataset / name).write_bytes(data)
    with zipfile.ZipFile(dataset / "source.zip") as archive:
        archive.extractall(dataset / "source")
    (dataset / "source.zip").unlink()
    (tmp_path / "script.py").write_text(pushed["text"])
    competition = kernels.lay_out(tmp_path / "competition", kernels.files(kernels.HIDDEN, order=-1))
    wanted = finished.read("submissions/shapes.csv").splitlines()
    with away(finished):
        ran = kernels.run(
            tmp_path / "script.py", tmp_path / "run", **kernels.paths(tmp_path, competition)
        )
    assert ran.returncode == 0, ran.stdout
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["submission.csv"]
    made = (tmp_path / "run/submission.csv").read_bytes().splitlines()
    assert len(made) == 1 + kernels.HIDDEN and len(wanted) == 1 + 9
    assert [made[0], *made[:-10:-1]] == wanted

    inside = [path for path in finished.folder.rglob("*") if path.is_file()]
    assert not [path for path in inside if kaggle_server.KEY.encode() in path.read_bytes()]
    assert kaggle_server.KEY not in done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_labels_are_given_by_the_fitted_cut(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    project.edit(lambda p: p.update(submission={"format": "auto"}))
    assert project.repro("submission") == {"submission"}
    export = exported(project, tmp_path / "export")
    config = json.loads((export / "dataset/podium.json").read_bytes())["content"]
    cuts = json.loads(project.read("metrics/ensemble.json"))["ensemble"]["thresholds"]
    assert config["decision"] == [cuts, 0, 0]
    assert cuts is not None and config["submission"]["format"] == "label"
    weights = {member["name"]: member["weight"] for member in config["members"]}
    assert [*weights] == ["b", "a"] and weights["a"] != weights["b"]
    competition = kernels.lay_out(tmp_path / "competition", kernels.files(9))
    wanted = project.read("submissions/shapes.csv")
    shutil.rmtree(project.folder)
    ran = kernels.run(
        export / "kernel/main.py", tmp_path / "run", **kernels.paths(export, competition)
    )
    assert ran.returncode == 0, ran.stdout
    assert (tmp_path / "run/submission.csv").read_bytes() == wanted

    # Another cut gives other labels.
    found = spec.read(export / "dataset")
    other = found.model_copy(update={"decision": DecisionRule([0.0]), "deterministic": False})
    spec.write(export / "dataset" / spec.CONFIG, other)
    main.main(export / "dataset", competition, tmp_path / "other.csv")
    rows = (tmp_path / "other.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[2] for row in rows] == [kernels.CLASSES[1]] * 9


@pytest.mark.slow
@pytest.mark.long
def test_the_export_holds_the_weights_exactly_the_code_and_a_kernel_without_internet(
    finished: Project, tmp_path: Path
) -> None:
    export = exported(finished, tmp_path / "export", "--title", "My Shapes")
    weights = {f"{name}-fold{fold}.safetensors" for name in "ab" for fold in (0, 1)}
    assert {path.name for path in (export / "dataset").iterdir()} == {
        *weights,
        "podium.json",
        "source.zip",
        "dataset-metadata.json",
    }
    assert (export / "dataset/a-fold1.safetensors").read_bytes() == finished.read(
        "models/a/fold1/weights.safetensors"
    )
    start = ROOT / "src/podium/kaggle/kernel/start.py"
    wanted = {name.removeprefix("src/") for name in closure(start)} - {
        "podium/kaggle/kernel/start.py"
    }
    with zipfile.ZipFile(export / "dataset/source.zip") as archive:
        assert set(archive.namelist()) == wanted
        assert (
            not {
                "podium/training/fold.py",
                "podium/training/loop.py",
                "podium/competition/fetch.py",
            }
            & wanted
        )
        for name in wanted:
            assert archive.read(name) == finished.read(f"src/{name}")
    dataset = json.loads((export / "dataset/dataset-metadata.json").read_bytes())
    kernel = json.loads((export / "kernel/kernel-metadata.json").read_bytes())
    assert dataset["id"] == kernel["id"] == "someone/my-shapes"
    assert dataset["title"] == kernel["title"] == "My Shapes"
    assert kernel["enable_internet"] is False and kernel["enable_gpu"] is True
    assert kernel["dataset_sources"] == ["someone/my-shapes"]
    assert kernel["competition_sources"] == ["shapes"]

    damaged = bytearray((export / "dataset/a-fold1.safetensors").read_bytes())
    damaged[-1] ^= 1
    (export / "dataset/a-fold1.safetensors").write_bytes(damaged)
    found = kernels.paths(export, kernels.lay_out(tmp_path / "competition", kernels.files(9)))
    ran = kernels.run(export / "kernel/main.py", tmp_path / "run", **found)
    assert ran.returncode == 1 and "Traceback" not in ran.stdout
    assert "1 of 4 files of weights" in ran.stdout and "a-fold1.safetensors" in ran.stdout
    assert not [*(tmp_path / "run").iterdir()]


@pytest.mark.slow
@pytest.mark.long
def test_a_project_that_is_not_up_to_date_is_not_exported(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.copy(tmp_path / "project")
    project.edit(lambda p: p["prepare"].update(max_size=30))
    done = project.stage("export", "--owner", "someone")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "not up to date" in done.stdout and "prepare" in done.stdout
    assert not (project.folder / "kernels/shapes.tmp").exists()


def test_a_user_defined_metric_is_exported_with_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("custom").mkdir()
    Path("custom/mine.py").write_text(
        "from custom.helper import score\nfrom podium.images import augment\n"
    )
    Path("custom/helper.py").write_text("def score(targets, predictions): return 3\n")
    exporting._pack(exporting._sources("custom/mine.py:score"), Path("source.zip"))
    with zipfile.ZipFile("source.zip") as archive:
        names = archive.namelist()
        archive.extractall("source")
    assert {"custom/mine.py", "custom/helper.py", "podium/images/augment.py"} <= {*names}
    code = "from podium.scoring import metrics as m; m.get('custom/mine.py:score', 'binary')"
    path = {**os.environ, "PYTHONPATH": str(tmp_path / "source")}
    (tmp_path / "elsewhere").mkdir()
    subprocess.run([sys.executable, "-c", code], cwd="elsewhere", env=path, check=True)


@pytest.mark.parametrize(
    ("competition", "title", "slug"),
    [
        ("digits", None, "podium-digits"),
        ("a", None, "podium-a"),
        ("x" * 42 + "-" + "y" * 20, None, "podium-" + "x" * 42),
        ("digits", "Leaf - 2nd_try", "leaf-2nd-try"),
    ],
)
def test_names_are_of_a_length_that_kaggle_takes(
    competition: str, title: str | None, slug: str
) -> None:
    called = exporting.names(competition, owner="me", title=title)
    assert (called.slug, called.ref) == (slug, f"me/{slug}")
    assert 6 <= len(called.title) <= 50


@pytest.mark.parametrize("title", ["short", "x" * 51, "äöüäöüäöü", "a  b  c", "Leaf: it's"])
def test_a_title_that_kaggle_does_not_take_is_refused(title: str) -> None:
    with pytest.raises(UserError, match="6 to 50"):
        exporting.names("digits", owner="me", title=title)
