"""The kernel's code: finds what `make kernel` exported, and writes submission.csv with it.

PODIUM_DATASET and PODIUM_COMPETITION name the folders of the export and of the competition's files
where this does not run on Kaggle.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DATASET = "owner/data-set"  # `make kernel` writes these three
COMPETITION = "competition"
CONFIG_SHA256 = ""
INPUT = Path("/kaggle/input")


def main() -> None:
    """Run the exported code on the competition's test images."""
    name = DATASET.partition("/")[2]
    dataset = find("PODIUM_DATASET", name, f"datasets/{DATASET}", f"datasets/{name}")
    competition = find("PODIUM_COMPETITION", COMPETITION, f"competitions/{COMPETITION}")
    config = dataset / "podium.json"
    if not config.is_file() or hashlib.sha256(config.read_bytes()).hexdigest() != CONFIG_SHA256:
        sys.exit(f"error: {dataset} is not the export that this code belongs to: push both again")
    with tempfile.TemporaryDirectory(prefix="podium-") as scratch:
        sys.path.insert(0, str(source(dataset, Path(scratch))))
        install(dataset, Path(scratch, "wheels"))

        from podium.core import program
        from podium.kaggle.kernel import main as kernel_main

        program.run(lambda: kernel_main.main(dataset, competition, Path("submission.csv")))


def find(variable: str, *places: str) -> Path:
    """The folder that an environment variable names, or the first of `places` that is there."""
    given = os.environ.get(variable)
    candidates = [Path(given).resolve()] if given else [INPUT / place for place in places]
    for path in candidates:
        if path.is_dir():
            return path
    sys.exit(f"error: there is no folder {' or '.join(map(str, candidates))}: set {variable}")


def source(dataset: Path, scratch: Path) -> Path:
    """The folder of the exported code: Kaggle has unpacked it."""
    packed = dataset / "source.zip"
    if not packed.is_file():
        return dataset / "source"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(scratch / "source")
    return scratch / "source"


def install(dataset: Path, folder: Path) -> None:
    """Install the wheels of the export, if it has any, for this process alone."""
    wheels = sorted({"==".join(p.name.split("-")[:2]) for p in dataset.glob("*.whl")})
    if not wheels:
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--find-links", dataset, "--target", folder, *wheels], check=True)
    sys.path.insert(0, str(folder))


if __name__ == "__main__":
    main()
