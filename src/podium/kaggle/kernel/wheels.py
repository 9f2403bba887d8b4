"""Wheels of what inference imports, for a machine without network."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from podium.core import files
from podium.core.errors import UserError, examples

# What Kaggle's image has in other versions, or may lack; the others (torch, pandas, OpenCV, …) are
# taken from the image. Sources: kaggle_requirements.txt of
# https://github.com/Kaggle/docker-python, pip-freeze.gpu.txt of
# https://github.com/googlecolab/backend-info, on which that image builds
NAMES = (
    "accelerate",
    "albucore",
    "albumentations",
    "narwhals",
    "safetensors",
    "scikit-learn",
    "simsimd",
    "stringzilla",
    "timm",
)
PYTHONS = ("3.11", "3.12", "3.13")  # of Kaggle's images, those of this year and the next one
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


def download(requirements: Path, folder: Path) -> list[str]:
    """Download the wheels of `NAMES` in the versions and with the hashes that `requirements` pins,
    into `folder`. Gives their names.

    Raises:
        UserError: if the file does not pin one of them, or pip cannot get it.
    """
    pins = _pins(files.read(requirements).decode())
    if missing := [name for name in NAMES if name not in pins]:
        raise UserError(f"{requirements} does not pin {examples(missing)}: `make lock`")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text("".join(pins[name] for name in NAMES))
        for python in PYTHONS:
            _download(wanted, folder, python)
    return sorted(path.name for path in folder.glob("*.whl"))


def _pins(text: str) -> dict[str, str]:
    """The lines of each pinned package, its hashes among them."""
    blocks = re.finditer(r"^([A-Za-z0-9._-]+)==.*(?:\n[ \t]+.*)*\n?", text, re.MULTILINE)
    return {block[1].lower(): block[0] for block in blocks}


def _download(requirements: Path, folder: Path, python: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--python-version", python]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    command += ["--requirement", str(requirements), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"the wheels for Python {python} cannot be had: {done.stderr.strip()}")
