"""The export of a finished project, and its predictions for test images outside the project."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kaggle_server
import kernels
import numpy as np
import pytest
from conftest import ROOT, Project
from test_pipeline_is_honest import closure

from podium.config.submission import Submission
from podium.core.errors import UserError
from podium.core.provenance import EnsembleProvenance
from podium.kaggle import history
from podium.kaggle.kernel import export, main, spec
from podium.kaggle.kernel.export import ExportName
from podium.params import schema
from podium.prediction import predictions
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission.methods import base

NAME = ExportName.create("shapes", owner="someone", title="My Shapes")


@pytest.fixture(scope="module")
def project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project.copy(tmp_path_factory.mktemp("export") / "project")


@pytest.fixture(scope="module")
def exported(project: Project) -> Path:
    """An export; copy it before changing it."""
    command = project.stage("export", "--owner", NAME.owner, "--title", NAME.title)
    assert command.returncode == 0, command.stdout
    return project.folder / "kernels/shapes"


@contextmanager
def moved_away(project: Project) -> Iterator[None]:
    """Make sure that nothing can read the project's folder."""
    hidden = project.folder.with_name("elsewhere")
    project.folder.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(project.folder)


@pytest.mark.long
@pytest.mark.slow
def test_the_pushed_kernel_predicts_the_same_bytes_for_the_public_ids_of_a_longer_test(
    finished_project: Project, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = finished_project.copy(tmp_path / "project")
    with kaggle_server.serve({"shapes": b""}) as kaggle:
        environment = kaggle.environment(tmp_path_factory.mktemp("home"))
        command = project.stage("export", "--push", "--message", "first", **environment)
    assert command.returncode == 0, command.stdout
    ref = "someone/podium-shapes"
    (dataset,), (kernel,) = kaggle.service.datasets[ref], kaggle.service.kernels[ref]
    (row,) = history.read(project.folder / "submissions/history.csv").to_dict("records")
    record = json.loads(project.read("submissions/shapes.json"))
    assert row["ref"] == str(kaggle.service.submissions[0]["ref"])
    assert (row["file"], row["message"]) == (f"{ref} version 1", "first")
    assert (row["sha256"], row["status"]) == (record["sha256"], "COMPLETE")
    assert row["oof"] == repr(record["oof"][row["metric"]]) and row["public"] in command.stdout

    # As on Kaggle, an archive becomes a folder.
    folder = tmp_path / "dataset"
    for name, data in dataset.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    shutil.unpack_archive(folder / "source.zip", folder / "source")
    (folder / "source.zip").unlink()
    (tmp_path / "script.py").write_text(kernel["text"])
    competition = kernels.lay_out(tmp_path / "competition", kernels.files(kernels.HIDDEN, order=-1))
    public = project.read("submissions/shapes.csv").splitlines()
    with moved_away(project):
        folders = kernels.folders(tmp_path, competition)
        process = kernels.run(tmp_path / "script.py", tmp_path / "run", **folders)
    assert process.returncode == 0, process.stdout
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["submission.csv"]
    lines = (tmp_path / "run/submission.csv").read_bytes().splitlines()
    assert len(lines) == 1 + kernels.HIDDEN and len(public) == 1 + 9
    assert [lines[0], *lines[:-10:-1]] == public

    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if kaggle_server.KEY.encode() in path.read_bytes()]
    assert kaggle_server.KEY not in command.stdout


@pytest.mark.slow
def test_weights_and_thresholds_are_applied(
    project: Project, exported: Path, tmp_path: Path
) -> None:
    dataset = Path(shutil.copytree(exported / "dataset", tmp_path / "dataset"))
    competition = kernels.lay_out(tmp_path / "competition", kernels.files(9))
    scores = json.loads(project.read("metrics/ensemble.json"))
    original = spec.read(dataset)
    assert original.decision.thresholds == scores["ensemble"]["thresholds"] is not None
    assert [model.name for model in original.models] == ["b", "a"]
    found = [scores["members"][model.name]["weight"] for model in original.models]
    assert original.blend.weights == found and original.blend.method == "weighted"

    members = [
        predictions.read(
            project.folder / f"data/ensemble/members/{name}.parquet", EnsembleProvenance
        )
        for name in "ba"
    ]
    weights = np.array([0.25, 0.75])
    logits = np.stack([member.logits for member in members])
    blended = base.average(logits, weights, "logits")
    task = Task(original.task, original.classes)
    positive = task.probabilities(blended)[:, 1]
    threshold = float(np.median(positive))
    changes = {
        "blend": original.blend._replace(weights=weights.tolist()),
        "decision": DecisionRule([threshold]),
        "submission": Submission(format="label"),
        "metric": "macro_f1",
        "deterministic": False,  # a setting of the whole process
    }
    spec.write(dataset / spec.SPEC, original.model_copy(update=changes))
    main.main(dataset, competition, tmp_path / "labels.csv")
    rows = [line.split(",") for line in (tmp_path / "labels.csv").read_text().split()[1:]]
    labels = [task.classes[int(value > threshold)] for value in positive]
    assert rows == [[*pair] for pair in zip(members[0].ids, labels, strict=True)]
    assert {*labels} == {*kernels.CLASSES}


@pytest.mark.slow
def test_the_export_contains_weights_inference_code_and_a_kernel_without_internet(
    project: Project, exported: Path
) -> None:
    weights = {f"{name}-fold{fold}.safetensors" for name in "ab" for fold in (0, 1)}
    files = {path.name: path.read_bytes() for path in (exported / "dataset").iterdir()}
    weights.add("a-all.safetensors")
    assert set(files) == {*weights, "podium.json", "source.zip", "dataset-metadata.json"}
    trained = project.read("models/a/fold1/weights.safetensors")
    assert files["a-fold1.safetensors"] == trained
    start = "podium/kaggle/kernel/start.py"
    modules = {name.removeprefix("src/") for name in closure(ROOT / "src" / start)} - {start}
    with zipfile.ZipFile(exported / "dataset/source.zip") as archive:
        assert set(archive.namelist()) == modules | {"custom/my_metric.py", "custom/helpers.py"}
        for name in archive.namelist():
            path = name if name.startswith("custom/") else f"src/{name}"
            assert archive.read(name) == project.read(path)
    packages = {name.split("/")[1] for name in modules}
    assert "prediction" in packages and not {"training", "init", "params"} & packages
    dataset = json.loads(files["dataset-metadata.json"])
    kernel = json.loads((exported / "kernel/kernel-metadata.json").read_bytes())
    assert dataset["id"] == kernel["id"] == "someone/my-shapes"
    assert dataset["title"] == kernel["title"] == "My Shapes"
    assert kernel["enable_internet"] is False and kernel["enable_gpu"] is True
    assert kernel["dataset_sources"] == ["someone/my-shapes"]
    assert kernel["competition_sources"] == ["shapes"]


@pytest.mark.slow
def test_damaged_and_missing_weights_are_an_error(exported: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(exported / "dataset", tmp_path / "dataset"))
    weights = dataset / "a-fold1.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    with pytest.raises(UserError, match=r"1 of 5 .*a-fold1\.safetensors"):
        spec.read(dataset)
    weights.unlink()
    with pytest.raises(UserError, match=r"1 of 5 .*missing .*a-fold1\.safetensors"):
        spec.read(dataset)


@pytest.mark.slow
def test_the_same_project_gives_the_same_bytes(
    project: Project, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    export.export(schema.load(), tmp_path / "again", name=NAME)
    for path in exported.glob("*/*"):
        assert (tmp_path / "again" / path.relative_to(exported)).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_an_outdated_project_is_not_exported(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = project.copy(tmp_path / "project")
    copy.edit(lambda params: params["prepare"].update(max_size=36))
    copy.enter(monkeypatch)
    with pytest.raises(UserError, match="prepare"):
        export.export(schema.load(), tmp_path / "export", name=NAME)
    assert not [*tmp_path.glob("export*")]


def test_a_user_defined_metric_is_exported_with_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("custom").mkdir()
    Path("custom/mine.py").write_text(
        "from custom.helper import score\nfrom podium.images import augment\n"
    )
    Path("custom/helper.py").write_text("def score(targets, predictions): return 3\n")
    names = export.source_files("custom/mine.py:score")
    assert {"custom/mine.py", "custom/helper.py", "podium/images/augment.py"} <= {*names}
    assert "custom/mine.py" not in export.source_files("macro_f1")


@pytest.mark.parametrize(
    ("competition", "title", "slug"),
    [
        ("digits", None, "podium-digits"),
        ("a", None, "podium-a"),
        ("x" * 42 + "-" + "y" * 20, None, "podium-" + "x" * 42),
        ("digits", "Leaf - 2nd_try", "leaf-2nd-try"),
    ],
)
def test_names_have_a_length_that_kaggle_allows(
    competition: str, title: str | None, slug: str
) -> None:
    name = ExportName.create(competition, owner="me", title=title)
    assert (name.slug, name.ref) == (slug, f"me/{slug}")
    assert 6 <= len(name.title) <= 50


@pytest.mark.parametrize("title", ["short", "x" * 51, "äöüäöüäöü", "a  b  c", "Leaf: it's"])
def test_a_title_that_kaggle_does_not_allow_is_an_error(title: str) -> None:
    with pytest.raises(UserError, match="6 to 50"):
        ExportName.create("digits", owner="me", title=title)
