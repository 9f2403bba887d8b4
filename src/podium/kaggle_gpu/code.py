"""The code of a notebook, and what Kaggle must know about it."""

from pathlib import Path

from podium.kaggle import notebook_files
from podium.kaggle_gpu import start
from podium.kaggle_gpu.state import Notebook

START = Path(start.__file__)


def write(folder: Path, notebook: Notebook) -> None:
    """Write the notebook's code and metadata."""
    constants = {
        "WORK": notebook.work,
        "WORK_SHA256": notebook.work_sha256,
        "HOURS": f"{notebook.hours:.4f}",
    }
    notebook_files.write_code(folder, START, constants)
    notebook_files.write_metadata(
        folder,
        notebook.ref,
        notebook.ref.partition("/")[2],
        datasets=notebook.datasets,
        competition=notebook.competition,
    )
