"""Time each stage on 20 images, which is mostly start-up: Python, imports, params and files.

python benchmarks/start.py
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import photos, table
from competition import FOLD, measure_stage, project

RUN_STAGE = """
import runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, "src")
runpy.run_path(sys.argv[0], run_name="__main__")
print("yes" if "torch" in sys.modules else "no")
"""


def main() -> None:
    """Measure, and print the seconds of each stage."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project(
            folder,
            photos(20, 64, 64),
            folds={"count": 2, "run": [0], "all": [], "subsample": {}},
        )
        rows = []
        for command in (("fetch",), ("prepare",), ("folds",), ("train", *FOLD), ("predict", *FOLD),
                        ("ensemble",), ("submission",), ("report",)):  # fmt: skip
            measure_stage(folder, *command)  # files in the page cache, as on a second run
            seconds = statistics.median(measure_stage(folder, *command)[0] for _ in range(3))
            run = [sys.executable, "-c", RUN_STAGE, f"src/{command[0]}.py", *command[1:]]
            finished = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True)
            rows.append((command[0], f"{seconds:.1f}", finished.stdout.splitlines()[-1]))
        table(("stage, 20 images", "seconds", "imports torch"), rows)


if __name__ == "__main__":
    main()
