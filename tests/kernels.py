"""What tests of the kernel share: test images laid out for it, and its code run as a script."""

import os
import subprocess
import sys
from pathlib import Path

import competitions
import numpy as np

from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.kaggle.kernel.spec import Exported
from podium.scoring.decisions import DecisionRule

HIDDEN = 30  # test images, of which the first 9 are public
CLASSES = competitions.CLASSES[:2]


def files(test: int, order: int = 1) -> dict[str, bytes]:
    """A competition of two classes; its images are the same for any number of test images."""
    known, hidden = competitions.tables(36, HIDDEN)
    made, rng = {}, np.random.default_rng(0)
    for folder, table in (("train", known), ("test", hidden)):
        table["label"] = [CLASSES[number % 2] for number in range(len(table))]
        for row in table.itertuples():
            made[f"{folder}/{row.id}.png"] = competitions.encode(
                competitions.picture(row.label, rng)
            )
    shown = hidden[:test][::order]
    for image in set(hidden["id"]) - set(shown["id"]):
        del made[f"test/{image}.png"]
    made["train.csv"] = competitions.csv(known)
    made["test.csv"] = competitions.csv(shown[["id"]])
    made["sample_submission.csv"] = competitions.csv(shown.assign(label=CLASSES[0]))
    return made


def lay_out(folder: Path, found: dict[str, bytes]) -> Path:
    """The test images and tables in a folder, as a kernel finds them; nothing to train on."""
    for name, data in found.items():
        if not name.startswith("train"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def run(code: Path, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The kernel's code as a plain script in the empty `folder`, without network."""
    folder.mkdir()
    dead = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, str(code)],
        cwd=folder,
        env={**kept, **dead, "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def paths(export: Path, competition: Path) -> dict[str, str]:
    return {
        "PODIUM_DATASET": str(export / "dataset"),
        "PODIUM_COMPETITION": str(competition),
    }


def described(layout: Prepare) -> Exported:
    """An export of images laid out so."""
    return Exported(
        competition="shapes",
        task="binary",
        classes=[*CLASSES],
        metric=None,
        deterministic=True,
        prepare=layout,
        predict=Predict(views=["identity"]),
        submission=Submission(),
        members=[],
        decision=DecisionRule(),
        known=[],
    )
