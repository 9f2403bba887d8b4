"""What leaves the driver: never a secret, nor what git ignores."""

from pathlib import Path
from typing import Any

import pytest
from conftest import PARAMS, Project

from podium.cluster import snapshot
from podium.core.errors import UserError

PLANTED = b"the planted secret"


@pytest.fixture
def tree(project: Project) -> Path:
    project.run("git", "init", "--quiet")
    return project.folder


def model(**values: Any) -> dict[str, Any]:
    return {**PARAMS, "models": {"a": {**PARAMS["models"]["a"], **values}}}


def test_a_snapshot_has_code_and_params_and_no_secret(tree: Path) -> None:
    secrets = ["kaggle.json", ".env", "src/.env.local", "custom/kaggle.json", "src/podium/id_rsa",
               ".dvc/config", ".dvc/config.local", "data/raw/labels.csv", "notes.txt",
               "custom/private.pem", "src/ignored.txt"]  # fmt: skip
    for name in secrets:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(PLANTED)
    (tree / "src/.gitignore").write_text("ignored.txt\n")
    (tree.parent / "outside").write_bytes(PLANTED)
    (tree / "src/link").symlink_to(tree.parent / "outside")
    (tree / "custom/linked").symlink_to(tree.parent)
    files = snapshot.files(tree, PARAMS)
    assert {"params.yaml", "dvc.yaml", "src/train.py"} <= files.keys()
    assert PLANTED not in files.values()
    assert not files.keys() & {*secrets, "shapes.zip", "src/link"}


def test_weights_within_the_project_are_sent_even_if_git_ignores_them(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.safetensors\n")
    (tree / "backbone.safetensors").write_bytes(b"weights")
    files = snapshot.files(tree, model(pretrained="backbone.safetensors"))
    assert files["backbone.safetensors"] == b"weights"


@pytest.mark.parametrize("path", ["/x/resnet.pth", "~/resnet.pth", "C:\\resnet.pth"])
def test_absolute_paths_are_rejected(tree: Path, path: str) -> None:
    with pytest.raises(UserError, match=r"models\.a\.pretrained: .*relative paths"):
        snapshot.files(tree, model(pretrained=path))


@pytest.mark.parametrize("path", ["../outside", "missing.pth", "kaggle.json"])
def test_files_elsewhere_are_rejected(tree: Path, path: str) -> None:
    (tree.parent / "outside").write_bytes(PLANTED)
    (tree / "kaggle.json").write_bytes(PLANTED)
    with pytest.raises(UserError, match=f"pretrained: {path}: no file in the project's folder"):
        snapshot.files(tree, model(pretrained=path))


def test_a_tree_without_git_is_rejected(project: Project) -> None:
    with pytest.raises(UserError, match="git init"):
        snapshot.files(project.folder, PARAMS)
