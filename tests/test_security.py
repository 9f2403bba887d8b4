"""Downloaded files are never executed, and secrets never leak."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import competitions
import pytest
import torch
from conftest import Project
from kaggle_server import Kaggle
from trainings import config

from podium.core.errors import UserError
from podium.models import factory
from podium.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow  # runs stages, or trains again and again


class Evil:
    """Unpickling it runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.pkl"])
def test_code_in_a_weights_file_is_not_run(tmp_path: Path, name: str) -> None:
    marker, path = tmp_path / "hacked", tmp_path / name
    torch.save({"fc.weight": Evil(marker)}, path)
    with pytest.raises(UserError, match="is not a weights file"):
        factory.create(config(pretrained=str(path)), outputs=3)
    path.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(UserError, match="is not a weights file"):
        factory.create(config(pretrained=str(path)), outputs=3)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()  # otherwise it would have run


def test_code_in_a_checkpoint_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "hacked"
    kept = Checkpoints(tmp_path / "x")
    kept.identify({})
    (tmp_path / "x").mkdir()
    kept.save({"net": Evil(marker)})
    assert kept.load() is None
    assert "corrupted" in capsys.readouterr().out
    assert not marker.exists()


def test_an_archive_with_paths_outside_its_folder_is_an_error(project: Project) -> None:
    """Podium reads it in place, but unpacking it would overwrite files elsewhere."""
    outside = project.folder.parent / "evil.png"
    files = competitions.competition()
    pixels = files["train/0000.png"]
    competitions.write_zip(project.folder / "shapes.zip", files)
    with zipfile.ZipFile(project.folder / "shapes.zip", "a") as archive:
        archive.writestr("../evil.png", pixels)
        archive.writestr(str(outside), pixels)
    done = project.stage("fetch")
    assert done.returncode == 1
    assert "shapes.zip is not safe to unpack: 2 of 50 entries" in done.stdout
    assert f"(../evil.png, {outside})" in done.stdout
    assert not outside.exists()
    assert not list(project.folder.rglob("evil.png"))
    assert not list((project.folder / "data").rglob("*.*"))


def test_an_inner_archive_with_paths_outside_its_folder_is_an_error(project: Project) -> None:
    inner = competitions.write_zip(project.folder / "inner.zip", {"../evil.png": b""}).read_bytes()
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(project.folder / "shapes.zip", "w", compression) as archive:
            archive.writestr("train.zip", inner)
        done = project.stage("fetch")
        assert done.returncode == 1
        assert "error: train.zip in shapes.zip is not safe to unpack: 1 of 1" in done.stdout
        assert not list((project.folder / "data").rglob("*.*"))


def test_a_bomb_is_an_error_before_it_is_unpacked(project: Project) -> None:
    with zipfile.ZipFile(project.folder / "shapes.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/0000.png", bytes(2**27))
    done = project.stage("fetch")
    assert done.returncode == 1
    assert "train/0000.png (130,460 bytes, unpacked 134,217,728)" in done.stdout
    assert not list((project.folder / "data").rglob("*.*"))


def test_a_link_in_an_archive_is_not_followed(project: Project) -> None:
    files = competitions.competition()
    secret = project.folder / "secret.png"
    secret.write_bytes(files.pop("train/0000.png"))
    competitions.write_zip(project.folder / "shapes.zip", files)
    with zipfile.ZipFile(project.folder / "shapes.zip", "a") as archive:
        link = zipfile.ZipInfo("train/0000.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
    done = project.stage("fetch")
    assert done.returncode == 1 and "train/0000.png" in done.stdout
    assert not (project.folder / "data/raw/shapes.zip").exists()


def test_params_are_data(project: Project) -> None:
    path = project.folder / "params.yaml"
    text = path.read_text().replace("seed: 1", 'seed: !!python/object/apply:os.system ["touch x"]')
    assert "!!python" in text
    path.write_text(text)
    done = project.stage("fetch")
    assert done.returncode == 1 and "error: " in done.stdout, done.stdout
    assert not (project.folder / "x").exists()


def test_a_signed_address_stays_out_of_the_log(
    project: Project,
    kaggle: Kaggle,
    tmp_path: Path,
) -> None:
    """Kaggle sends the client to storage, with a signature that grants access."""
    kaggle.storage = 403
    done = project.stage("fetch", **kaggle.environment(tmp_path / "home"))
    assert done.returncode == 1 and "failed to download shapes from Kaggle" in done.stdout, (
        done.stdout
    )
    assert "Signature" not in done.stdout and "0123456789abcdef" not in done.stdout
