"""Upload what a notebook needs, as private data sets that are named by their content: what is on
Kaggle already is not uploaded again.
"""

import hashlib
import tempfile
import time
from pathlib import Path

from podium.kaggle.datasets import FAILED, Dataset, wait_for, write_metadata
from podium.kaggle.kernel import wheels
from podium.kaggle_gpu import work
from podium.kaggle_gpu.client import Client
from podium.kaggle_gpu.state import State
from podium.kaggle_gpu.work import Files

REQUIREMENTS = Path("requirements.txt")
PROCESSING_MINUTES = 60.0  # for Kaggle to process an upload
# Several GB, which fit the drivers of Kaggle's image: its own are used.
OF_THE_IMAGE = ("torch", "torchvision", "triton", "nvidia-", "cuda-")
# No wheel on PyPI. DVC imports it only for Hydra's configuration files.
WITHOUT_WHEEL = ("antlr4-python3-runtime",)


def packages() -> list[str]:
    """The locked packages that a notebook gets."""
    names = wheels.pins(REQUIREMENTS)
    return [
        name for name in names if not name.startswith(OF_THE_IMAGE) and name not in WITHOUT_WHEEL
    ]


def wheels_ref(owner: str) -> str:
    """The name of the data set with the wheels of the locked packages."""
    pins = wheels.pins(REQUIREMENTS)
    text = "".join([*(pins[name] for name in packages()), *wheels.PYTHON_VERSIONS])
    return work.name(owner, "wheels", hashlib.sha256(text.encode()).hexdigest())


def upload_wheels(client: Client, state: State) -> None:
    """Upload the wheels of the locked packages.

    Raises:
        UserError: if they cannot be downloaded from PyPI or uploaded.
    """
    ref = wheels_ref(client.owner)
    if ref in state.uploaded and _is_there(Dataset(client.api, ref)):
        upload(client, state, ref, {})
    else:
        with tempfile.TemporaryDirectory() as scratch:
            names = wheels.download(REQUIREMENTS, Path(scratch), packages())
            upload(client, state, ref, {name: Path(scratch, name) for name in names})


def upload(client: Client, state: State, ref: str, contents: Files) -> None:
    """Upload a data set, unless it is there and complete, and wait until it can be attached.

    Raises:
        UserError: if Kaggle rejects it, or takes too long to process it.
    """
    dataset, previous = Dataset(client.api, ref), 0
    is_there = _is_there(dataset)
    if not is_there or (ref not in state.uploaded and not _is_complete(dataset, contents)):
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in contents.items():
                if isinstance(content, bytes):
                    Path(scratch, name).write_bytes(content)
                else:
                    Path(scratch, name).symlink_to(content.absolute())
            write_metadata(Path(scratch), ref, ref.partition("/")[2])
            previous = dataset.upload(Path(scratch), "make train ON=kaggle")
    deadline = time.monotonic() + 60 * PROCESSING_MINUTES
    hint = "Rerun later: it is not uploaded again."
    if ref not in state.uploaded:
        state.uploaded.append(ref)
        state.save()
    wait_for(lambda: dataset.status(previous), "ready", f"data set {ref}", deadline, hint)


def _is_there(dataset: Dataset) -> bool:
    """Whether Kaggle has the data set: users may delete it, and processing may have failed."""
    found = dataset.find()
    return found is not None and found[0] not in FAILED


def _is_complete(dataset: Dataset, contents: Files) -> bool:
    """Whether the data set has all files: an interrupted upload may have left some out."""
    sizes = {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size
        for name, content in contents.items()
    }
    return dataset.sizes() == sizes
