"""The code of a notebook, and what Kaggle must know about it."""

import re
from pathlib import Path

from podium.core import files
from podium.kaggle_gpu import start
from podium.kaggle_gpu.state import Notebook

CODE_FILE = "main.py"
START = Path(start.__file__)


def write(folder: Path, notebook: Notebook) -> None:
    """Write the notebook's code and metadata. Source: the client's docs/kernels_metadata.md."""
    code = START.read_text(encoding="utf-8")
    values = {
        "WORK": notebook.work,
        "WORK_SHA256": notebook.work_sha256,
        "HOURS": f"{notebook.hours:.4f}",
    }
    for constant, value in values.items():
        code, count = re.subn(f'^{constant} = ".*"', f'{constant} = "{value}"', code, flags=re.M)
        assert count == 1
    files.write_text(folder / CODE_FILE, code)
    files.write_json(
        folder / "kernel-metadata.json",
        {
            "id": notebook.ref,
            "title": notebook.ref.partition("/")[2],
            "code_file": CODE_FILE,
            "language": "python",
            "kernel_type": "script",
            "is_private": True,
            "enable_gpu": True,
            "enable_internet": False,
            "dataset_sources": notebook.datasets,
            "competition_sources": [notebook.competition],
            "kernel_sources": [],
            "model_sources": [],
        },
    )
