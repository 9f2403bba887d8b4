"""The files of a notebook to push: its code, and metadata.

Source: the Kaggle client's docs/kernels_metadata.md.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium.core import files

CODE_FILE = "main.py"


def write_code(folder: Path, program: Path, constants: Mapping[str, str]) -> None:
    """Write `program` with values for its `constants`, each a line `NAME = "..."`."""
    code = program.read_text(encoding="utf-8")
    for constant, value in constants.items():
        code, count = re.subn(f'^{constant} = ".*"', f'{constant} = "{value}"', code, flags=re.M)
        assert count == 1
    files.write_text(folder / CODE_FILE, code)


def write_metadata(
    folder: Path, ref: str, title: str, *, datasets: Sequence[str], competition: str
) -> None:
    """Describe a private script with a GPU and without internet, named `ref` (<owner>/<slug>)."""
    files.write_json(
        folder / "kernel-metadata.json",
        {
            "id": ref,
            "title": title,
            "code_file": CODE_FILE,
            "language": "python",
            "kernel_type": "script",
            "is_private": True,
            "enable_gpu": True,
            "enable_internet": False,
            "dataset_sources": [*datasets],
            "competition_sources": [competition],
            "kernel_sources": [],
            "model_sources": [],
        },
    )
