"""The kernel's code: unpacks and runs what `make kernel` exported, and writes submission.csv.

Outside Kaggle, PODIUM_DATASET and PODIUM_COMPETITION name the folders of the exported data set and
of the competition's files.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DATASET = "owner/data-set"  # `make kernel` sets these three
COMPETITION = "competition"
SPEC_SHA256 = ""
INPUT = Path("/kaggle/input")


def main() -> None:
    """Run the exported code on the competition's test images."""
    name = DATASET.partition("/")[2]
    dataset = find_folder("PODIUM_DATASET", name, f"datasets/{DATASET}", f"datasets/{name}")
    competition = find_folder("PODIUM_COMPETITION", COMPETITION, f"competitions/{COMPETITION}")
    spec = dataset / "podium.json"
    if not spec.is_file() or hashlib.sha256(spec.read_bytes()).hexdigest() != SPEC_SHA256:
        sys.exit(f"error: {dataset} is not from the same export as this code. Push both again.")
    with tempfile.TemporaryDirectory(prefix="podium-") as scratch:
        sys.path.insert(0, str(unpack_source(dataset, Path(scratch))))
        install_wheels(dataset, Path(scratch, "wheels"))

        from podium.core import program
        from podium.kaggle.kernel import main as kernel_main

        program.run(lambda: kernel_main.main(dataset, competition, Path("submission.csv")))


def find_folder(variable: str, *names: str) -> Path:
    """The folder that an environment variable names, else the first of `names` in /kaggle/input."""
    value = os.environ.get(variable)
    candidates = [Path(value).resolve()] if value else [INPUT / name for name in names]
    for path in candidates:
        if path.is_dir():
            return path
    sys.exit(f"error: {' or '.join(map(str, candidates))} not found. Set {variable} to the folder.")


def unpack_source(dataset: Path, scratch: Path) -> Path:
    """The folder of the exported code; Kaggle has already unpacked it."""
    archive = dataset / "source.zip"
    if not archive.is_file():
        return dataset / "source"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(scratch / "source")
    return scratch / "source"


def install_wheels(dataset: Path, folder: Path) -> None:
    """Install the exported wheels, if any, for this process only."""
    wheels = sorted({"==".join(p.name.split("-")[:2]) for p in dataset.glob("*.whl")})
    if not wheels:
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--find-links", dataset, "--target", folder, *wheels], check=True)
    sys.path.insert(0, str(folder))


if __name__ == "__main__":
    main()
