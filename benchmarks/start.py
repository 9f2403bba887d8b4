"""Each stage on ten images: what is left is Python's start, imports, params and files.

python benchmarks/start.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import photos, table
from competition import FOLD, measured, project


def start() -> None:
    """Measure, and print the seconds of each stage."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project(folder, photos(60, 64, 64)[:10] * 6, folds={"count": 2, "run": [0], "keep": {}})
        rows = []
        for command in (("fetch",), ("prepare",), ("folds",), ("train", *FOLD), ("predict", *FOLD),
                        ("ensemble",), ("submission",), ("report",)):  # fmt: skip
            measured(folder, *command)  # files in the page cache, as on a second run
            seconds = min(measured(folder, *command)[0] for _ in range(3))
            imports = f"import sys; sys.path.insert(0, 'src'); import {command[0]}; "
            code = imports + "sys.exit('torch' in sys.modules)"
            torch = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode
            rows.append((command[0], f"{seconds:.1f}", "yes" if torch else "no"))
        table(("stage, on some ten images", "seconds", "imports torch"), rows)


if __name__ == "__main__":
    start()
