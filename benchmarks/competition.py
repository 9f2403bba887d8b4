"""Create competitions of any size in a copy of the project, and time its stages there."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
FOLD = ("--model", "a", "--fold", "0")
MODEL: dict[str, Any] = {
    "architecture": "test_resnet",
    "pretrained": False,
    "image_size": 32,
    "phases": [{"epochs": 1, "lr": 1e-3}],
    "batch_size": 64,
}


def archive(path: Path, files: list[bytes], *, test_fraction: float = 0.2) -> dict[str, list[str]]:
    """Write a competition with these images; return the ids of its training and test images."""
    names = [f"{number:07d}" for number in range(len(files))]
    test_count = int(test_fraction * len(files))
    ids = {"train": names[test_count:], "test": names[:test_count]}
    with zipfile.ZipFile(path, "w") as output:
        labels = [f"class{number % 10}" for number in range(len(ids["train"]))]
        train = pd.DataFrame({"id": ids["train"], "label": labels})
        test = pd.DataFrame({"id": ids["test"]})
        output.writestr("train.csv", train.to_csv(index=False))
        output.writestr("test.csv", test.to_csv(index=False))
        output.writestr("sample_submission.csv", test.assign(label="class0").to_csv(index=False))
        for part, part_ids in ids.items():
            for name in part_ids:
                output.writestr(f"{part}/{name}.jpg", files[int(name)])
    return ids


def copy_code(folder: Path) -> None:
    """Copy what a project consists of to `folder`, without params and data."""
    for name in ("src", "custom", ".dvc", "dvc.yaml", ".gitignore", ".dvcignore"):
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)


def project(folder: Path, files: list[bytes], **changes: Any) -> None:
    """Copy the project to `folder`, with a competition of these images and `changes` to params."""
    copy_code(folder)
    archive(folder / "x.zip", files)
    params: dict[str, Any] = {
        "seed": 1,
        "deterministic": True,
        "task": "multiclass",
        "metric": "accuracy",
        "competition": {"source": "x.zip", "slug": "x"},
        "prepare": {},
        "folds": {"count": 5, "run": [0], "all": [], "subsample": {}},
        "checkpoint": {"every_minutes": 10},
        "embeddings": {},
        "probes": {},
        "models": {"a": MODEL},
        "predict": {"views": ["identity"], "batch_size": 64},
        "ensemble": {"members": ["a"], "method": "mean"},
        "submission": {},
        **changes,
    }
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)


def run(folder: Path, *command: str) -> float:
    """Run a command in a project's folder; return the seconds that it took."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.perf_counter()
    subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path}
    )
    return time.perf_counter() - start


def measure_stage(folder: Path, *command: str) -> tuple[float, float]:
    """Run a stage; return the seconds that it took and its peak memory in MiB."""
    code = (
        "import json, resource, subprocess, sys, time; start = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr);"
        "print(json.dumps([time.perf_counter() - start,"
        "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, sys.executable, f"src/{command[0]}.py", *command[1:]],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if finished.returncode != 0:
        sys.exit(finished.stderr)
    seconds, memory = json.loads(finished.stdout)
    return seconds, memory
