"""Download wheels of the packages that inference needs, for a kernel without internet access."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from podium.core import files
from podium.core.errors import UserError, examples

# Packages of which Kaggle's image may have another version, or none. It provides all others (torch,
# pandas, OpenCV, …). Sources: kaggle_requirements.txt of https://github.com/Kaggle/docker-python,
# pip-freeze.gpu.txt of its base image, https://github.com/googlecolab/backend-info
PACKAGES = (
    "accelerate",
    "albucore",
    "albumentations",
    "lightgbm",
    "narwhals",
    "pydicom",
    "python-gdcm",
    "safetensors",
    "scikit-learn",
    "simsimd",
    "stringzilla",
    "timm",
)
PYTHON_VERSIONS = ("3.11", "3.12", "3.13")  # in Kaggle's images this year and next year
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


def pins(requirements: Path) -> dict[str, str]:
    """The lines of each package that a lock pins, with its hashes, by its name."""
    pinned = re.compile(r"^([A-Za-z0-9._-]+)==.*(?:\n[ \t]+.*)*\n?", re.MULTILINE)
    text = files.read(requirements).decode()
    return {lines[1].lower(): lines[0] for lines in pinned.finditer(text)}


def download(requirements: Path, folder: Path, packages: Sequence[str] = PACKAGES) -> list[str]:
    """Download the wheels of `packages` as pinned in `requirements` into `folder`.

    Returns their file names.

    Raises:
        UserError: if a package is not pinned, or pip fails.
    """
    pinned = pins(requirements)
    if missing := [name for name in packages if name not in pinned]:
        raise UserError(f"{requirements} does not pin {examples(missing)}. Run `make lock`.")
    with tempfile.TemporaryDirectory() as scratch:
        selected = Path(scratch, "requirements.txt")
        selected.write_text("".join(pinned[name] for name in packages), encoding="utf-8")
        for version in PYTHON_VERSIONS:
            _download(selected, folder, version)
    return sorted(path.name for path in folder.glob("*.whl"))


def _download(requirements: Path, folder: Path, python: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--python-version", python]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    command += ["--requirement", str(requirements), "--dest", str(folder)]
    process = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="backslashreplace", check=False
    )
    if process.returncode != 0:
        reason = process.stderr.strip()
        raise UserError(
            f"could not download wheels for Python {python}. Fix this and run it again: {reason}"
        )
