"""Wheels for a machine without network."""

import ast
import hashlib
import sys
from pathlib import Path

import competitions
import pytest
from conftest import ROOT
from test_pipeline_is_honest import closure

from podium.core.errors import UserError
from podium.kaggle.kernel import start, wheels

pytestmark = pytest.mark.slow  # runs stages, or trains again and again


def wheel(folder: Path, name: str, version: str = "1.0") -> str:
    """A wheel of one module, and its line in a lock."""
    module = name.replace("-", "_").replace(".", "_")
    path, info = folder / f"{module}-{version}-py3-none-any.whl", f"{module}-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    competitions.write_zip(
        path,
        {
            f"{module}.py": b"",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}".encode(),
            f"{info}/WHEEL": tags.encode(),
            f"{info}/RECORD": b"",
        },
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} ; sys_platform == 'linux' \\\n    --hash=sha256:{sha256}\n"


def test_wheels_are_those_that_the_lock_pins_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("index", "dataset"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    lines = [wheel(tmp_path / "index", name) for name in (*wheels.NAMES, "torch")]
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(lines))
    monkeypatch.setattr(wheels, "PYTHONS", ("3.12",))
    made = wheels.download(lock, tmp_path / "dataset")
    assert len(made) == len(wheels.NAMES) and not [name for name in made if "torch" in name]

    monkeypatch.setattr(sys, "path", [*sys.path])
    start.install(tmp_path / "dataset", tmp_path / "wheels")
    assert (tmp_path / "wheels/timm.py").exists() and sys.path[0] == str(tmp_path / "wheels")

    lock.write_text("".join(lines).replace("sha256:", "sha256:0", 1))
    with pytest.raises(UserError, match=r"the wheels for Python 3.12 cannot be had"):
        wheels.download(lock, tmp_path / "dataset")
    lock.write_text("".join(lines[1:]))
    with pytest.raises(UserError, match="does not pin accelerate"):
        wheels.download(lock, tmp_path / "dataset")


# What Kaggle's image has of what inference could import: pip-freeze.gpu.txt of
# https://github.com/googlecolab/backend-info, June 2026, on which it builds.
IMAGE = {"PIL", "accelerate", "albumentations", "cv2", "huggingface_hub", "numpy", "pandas",
         "psutil", "pyarrow", "pydantic", "requests", "safetensors", "scipy", "sklearn", "timm",
         "torch", "tqdm"}  # fmt: skip


def test_inference_imports_nothing_but_what_kaggle_has_or_the_wheels_bring() -> None:
    found = set[str]()
    for name in closure(ROOT / "src/podium/kaggle/kernel/start.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    others = found - set(sys.stdlib_module_names) - IMAGE - {"podium"}
    assert others <= {name.split("-")[0] for name in wheels.NAMES}
