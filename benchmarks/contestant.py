"""What benchmarks/score.py gives to the other systems, and what they hand back.

This runs in their own environment, without Podium.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import safetensors.torch
import timm
from torch import Tensor, nn


class Job(NamedTuple):
    """A competition without its test labels, and how to train on it."""

    folder: Path  # for the system's files
    train: pd.DataFrame  # path, label: the number of the class
    test: pd.DataFrame  # path
    classes: int
    metric: str
    architecture: str
    weights: str
    size: int  # of the images, in pixels
    seed: int
    seconds: float  # of CPU time, of all processes and threads together


def read() -> Job:
    """The job in the folder that is the program's only argument."""
    folder = Path(sys.argv[1])
    facts = json.loads((folder / "job.json").read_text())
    train, test = (pd.read_csv(Path(facts["data"]) / f"{part}.csv") for part in ("train", "test"))
    del facts["data"]
    return Job(folder, train, test, **facts)


def write(job: Job, probabilities: np.ndarray) -> None:
    """Hand back the class probabilities of the test images: [N, C]."""
    assert probabilities.shape == (len(job.test), job.classes)
    np.save(job.folder / "probabilities.npy", probabilities)


def state(job: Job) -> dict[str, Tensor]:
    """The backbone's weights, and maybe those of a classifier."""
    return safetensors.torch.load_file(job.weights)


def load(job: Job, net: nn.Module) -> None:
    """Load the backbone's weights into a timm network without a classifier."""
    missing, _ = net.load_state_dict(state(job), strict=False)
    if missing:
        sys.exit(f"{job.weights} is not a file of {job.architecture}: no {', '.join(missing)}")


def backbone(job: Job) -> nn.Module:
    """The backbone: images -> pooled features."""
    net = timm.create_model(job.architecture, num_classes=0)
    load(job, net)
    return net
