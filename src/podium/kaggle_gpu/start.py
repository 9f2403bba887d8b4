"""The notebook's code: unpacks the project, and runs the program in it.

Kaggle may run this file as a cell of a notebook, so its output goes through `print`.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTED = time.monotonic()
WORK = "owner/data-set"  # the driver sets these three
WORK_SHA256 = ""
HOURS = "0"
INPUT = Path("/kaggle/input")


def main() -> None:
    """Run the program until it ends; it stops itself `HOURS` after the start."""
    folder = find_folder(f"datasets/{WORK}", WORK.partition("/")[2])
    data = (folder / "work.json").read_bytes()
    if hashlib.sha256(data).hexdigest() != WORK_SHA256:
        sys.exit(f"error: {folder} is not the data set of this notebook.")
    project = Path(tempfile.mkdtemp(prefix="podium-"))
    for name, content in json.loads(data)["files"].items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
    module = ("-u", "-m", "podium.kaggle_gpu.notebook")
    process = subprocess.Popen(
        [sys.executable, *module, str(folder), str(STARTED), HOURS, str(Path.cwd())],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
    if process.wait() != 0:
        sys.exit(f"error: the program exited with {process.returncode}.")


def find_folder(*names: str) -> Path:
    """The first of the folders `names` in /kaggle/input that exists."""
    for path in (INPUT / name for name in names):
        if path.is_dir():
            return path
    sys.exit(f"error: {INPUT} has none of {', '.join(names)}.")


if __name__ == "__main__":
    main()
