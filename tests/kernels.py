"""Helpers for the tests of the kernel: a code competition, and the kernel's code as a script."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import competitions
import numpy as np
import pandas as pd
from conftest import Project

from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.kaggle.kernel.spec import KernelSpec
from podium.scoring.decisions import DecisionRule
from podium.submission.methods.base import Blend

HIDDEN = 30  # test images; the first 9 are public
CLASSES = competitions.CLASSES[:2]


def files(test: int, order: int = 1) -> dict[str, bytes]:
    """A competition of two classes; an image is the same for any number of `test` images."""
    train, hidden = competitions.tables(36, HIDDEN)
    contents, rng = {}, np.random.default_rng(0)
    for folder, table in (("train", train), ("test", hidden)):
        table["label"] = [CLASSES[number % 2] for number in range(len(table))]
        for row in table.itertuples():
            contents[f"{folder}/{row.id}.png"] = competitions.encode(
                competitions.picture(row.label, rng, (48, 40))
            )
    shown = hidden[:test][::order]
    for image in set(hidden["id"]) - set(shown["id"]):
        del contents[f"test/{image}.png"]
    contents["train.csv"] = competitions.csv(train)
    contents["test.csv"] = competitions.csv(shown[["id"]])
    contents["sample_submission.csv"] = competitions.csv(shown.assign(label=CLASSES[0]))
    return contents


def lay_out(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write the test images and tables, but nothing to train on, to a folder as on Kaggle."""
    for name, data in contents.items():
        if not name.startswith("train"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def unpack(export: Path, folder: Path) -> Path:
    """Copy the data set of an export to `folder`, with its code unpacked, as Kaggle does."""
    dataset = Path(shutil.copytree(export / "dataset", folder / "dataset"))
    shutil.unpack_archive(dataset / "source.zip", dataset / "source")
    (dataset / "source.zip").unlink()
    return dataset


def run(code: Path | str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the kernel's code as a plain script in the empty `folder`, without network access."""
    folder.mkdir()
    unreachable = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    # OPENBLAS_CORETYPE selects the code that multiplies matrices, and so the last bits.
    names = ("PATH", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return subprocess.run(
        [sys.executable, str(code)],
        cwd=folder,
        env={**kept, **unreachable, "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def folders(export: Path, competition: Path) -> dict[str, str]:
    """The environment that tells the kernel's code where its inputs are."""
    return {
        "PODIUM_DATASET": str(export / "dataset"),
        "PODIUM_COMPETITION": str(competition),
    }


def spec(layout: Prepare) -> KernelSpec:
    """The specification of an export without models."""
    return KernelSpec(
        competition="shapes",
        task="binary",
        classes=[*CLASSES],
        metric=None,
        deterministic=True,
        prepare=layout,
        predict=Predict(views=["identity"]),
        submission=Submission(),
        value_range=None,
        models=[],
        blend=Blend("mean", "logits", [], {}),
        aggregate="mean",
        decision=DecisionRule(),
        public_ids=[],
    )


def check_kernel(
    project: Project, folder: Path, contents: Callable[[int], dict[str, bytes]]
) -> pd.DataFrame:
    """Export the finished `project`, and check that its kernel writes the same submission, also if
    there are hidden test images. Returns the submission with these. `contents` are the files of the
    competition, by the number of test images.
    """
    command = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert command.returncode == 0, command.stdout
    export = project.folder / "kernels/shapes"
    unpack(export, folder)
    script = shutil.copy(export / "kernel/main.py", folder / "script.py")
    expected = project.read("submissions/shapes.csv")
    project.folder.rename(folder / "elsewhere")
    for count in (9, HIDDEN):
        competition = lay_out(folder / f"competition{count}", contents(count))
        process = run(script, folder / f"run{count}", **folders(folder, competition))
        assert process.returncode == 0, process.stdout
    assert (folder / "run9/submission.csv").read_bytes() == expected
    hidden = pd.read_csv(folder / f"run{HIDDEN}/submission.csv", dtype=str)
    public = pd.read_csv(io.BytesIO(expected), dtype=str)
    assert len(hidden) == HIDDEN
    pd.testing.assert_frame_equal(hidden.set_index("id").loc[public["id"]].reset_index(), public)
    return hidden
