"""Wheels for a kernel without internet access."""

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


@pytest.mark.slow
def test_wheels_are_exactly_those_that_the_lock_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("index", "dataset"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    lines = [wheel(tmp_path / "index", name) for name in (*wheels.PACKAGES, "torch")]
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(lines))
    monkeypatch.setattr(wheels, "PYTHON_VERSIONS", ("3.12",))
    names = wheels.download(lock, tmp_path / "dataset")
    assert len(names) == len(wheels.PACKAGES)
    assert not [name for name in names if "torch" in name]

    monkeypatch.setattr(sys, "path", [*sys.path])
    start.install_wheels(tmp_path / "dataset", tmp_path / "wheels")
    assert (tmp_path / "wheels/timm.py").exists() and sys.path[0] == str(tmp_path / "wheels")

    lock.write_text("".join(lines).replace("sha256:", "sha256:0", 1))
    with pytest.raises(UserError, match=r"Python 3\.12"):
        wheels.download(lock, tmp_path / "dataset")
    lock.write_text("".join(lines[1:]))
    with pytest.raises(UserError, match="accelerate"):
        wheels.download(lock, tmp_path / "dataset")


# Packages in Kaggle's image: pip-freeze.gpu.txt of its base image,
# https://github.com/googlecolab/backend-info, June 2026.
IMAGE = {"PIL", "accelerate", "albumentations", "cv2", "google_crc32c", "h5py", "huggingface_hub",
         "numpy", "pandas", "psutil", "pyarrow", "pydantic", "requests", "safetensors",
         "scipy", "sklearn", "tifffile", "timm", "threadpoolctl", "torch", "tqdm"}  # fmt: skip
MODULES = {"python-gdcm": "gdcm"}  # where a package's module has another name


def test_inference_imports_only_packages_of_kaggles_image_or_of_the_wheels() -> None:
    imported = set[str]()
    for name in closure(ROOT / "src/podium/kaggle/kernel/start.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
    imported.discard("py7zr")  # Kaggle unpacks archives
    others = imported - set(sys.stdlib_module_names) - IMAGE - {"podium"}
    assert others <= {MODULES.get(name, name.split("-")[0]) for name in wheels.PACKAGES}
