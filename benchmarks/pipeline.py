"""The stages around the models: how fast prepare is, what starting a stage costs, what DVC costs
when nothing changed, and how time and memory grow.

    python benchmarks/pipeline.py prepare [--images 20000]
    python benchmarks/pipeline.py start
    python benchmarks/pipeline.py nothing [--images 100000]
    python benchmarks/pipeline.py growth [--largest 100000]
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from common import Run, photos, rates, table
from ruamel.yaml import YAML

from podium import machine, preparation
from podium.archive import Archive
from podium.schema import Prepare

ROOT = Path(__file__).parent.parent
STORED = 256
MODEL: dict[str, Any] = {
    "architecture": "test_resnet",
    "pretrained": False,
    "image_size": 32,
    "phases": [{"epochs": 1, "lr": 1e-3}],
    "batch_size": 64,
}


def archive(path: Path, files: list[bytes], *, share_of_tests: float = 0.2) -> dict[str, list[str]]:
    """A competition of these images; its ids."""
    names = [f"{number:07d}" for number in range(len(files))]
    tests = int(share_of_tests * len(files))
    ids = {"train": names[tests:], "test": names[:tests]}
    with zipfile.ZipFile(path, "w") as output:
        labels = [f"class{number % 10}" for number in range(len(ids["train"]))]
        known = pd.DataFrame({"id": ids["train"], "label": labels})
        hidden = pd.DataFrame({"id": ids["test"]})
        output.writestr("train.csv", known.to_csv(index=False))
        output.writestr("test.csv", hidden.to_csv(index=False))
        output.writestr("sample_submission.csv", hidden.assign(label="class0").to_csv(index=False))
        for part, part_ids in ids.items():
            for name in part_ids:
                output.writestr(f"{part}/{name}.jpg", files[int(name)])
    return ids


def bare_prepare(path: Path, names: list[str]) -> int:
    """Decode, resize, encode: one process's share of an archive, without any bookkeeping."""
    cv2.setNumThreads(0)
    with zipfile.ZipFile(path) as opened:
        for name in names:
            data = np.frombuffer(opened.read(name), np.uint8)
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
            scale = STORED / min(pixels.shape[:2])
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return len(names)


def prepare(count: int) -> None:
    """`prepare` against the bare work on all cores, in spawned processes alike."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "x.zip"
        ids = archive(path, photos(count, 500, 375))
        cores = machine.processes()

        def bare() -> Run:
            names = Archive(path).names[3:]
            parts = [names[core::cores] for core in range(cores)]

            def run() -> int:
                with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
                    return sum(pool.map(partial(bare_prepare, path), parts))

            return run

        def podium() -> Run:
            target = folder / "images"
            shutil.rmtree(target, ignore_errors=True)

            def run() -> int:
                layout = Prepare(max_size=STORED)
                preparation.store_images(
                    Archive(path), ids, folder=target, layout=layout, processes=cores
                )
                return count

            return run

        found = rates({"bare": bare, "Podium": podium}, rounds=3)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
        print(f"{count} photos of 500 x 375, {cores} processes, {most:.0f} MiB the largest process")
        rows = [(name, f"{rate:.0f}", f"{ratio:.2f}") for name, (rate, ratio) in found.items()]
        table(("prepare", "images/s", "of bare"), rows)


def project(folder: Path, files: list[bytes], **changes: Any) -> None:
    """A copy of the project with a competition of these images."""
    for name in ("src", ".dvc", "dvc.yaml", ".gitignore", ".dvcignore"):
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)
    archive(folder / "x.zip", files)
    params: dict[str, Any] = {
        "seed": 1,
        "deterministic": True,
        "metric": "accuracy",
        "competition": {"source": "x.zip", "slug": "x"},
        "prepare": {},
        "folds": {"count": 5, "run": [0], "keep": {}},
        "checkpoint": {"every_minutes": 10},
        "models": {"a": MODEL},
        "predict": {"views": ["identity"], "batch_size": 64},
        "ensemble": {"members": ["a"], "method": "mean"},
        **changes,
    }
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)
    run(folder, "git", "init", "--quiet")


def run(folder: Path, *command: str) -> float:
    """Run a command in a project's folder: the seconds that it took."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.perf_counter()
    subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path}
    )
    return time.perf_counter() - start


def measured(folder: Path, *command: str) -> tuple[float, float]:
    """The seconds and the MiB of memory, at most, that a stage took."""
    code = (
        "import json, resource, subprocess, sys, time; start = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr);"
        "print(json.dumps([time.perf_counter() - start,"
        "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, f"src/{command[0]}.py", *command[1:]],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


FOLD = ("--model", "a", "--fold", "0")


def start() -> None:
    """Each stage on ten images: what is left is Python's start, imports, params and files."""
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


def nothing(count: int) -> None:
    """`dvc repro` where nothing changed: five models of five folds, recorded with `dvc commit`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, names = Path(temporary), [f"m{number}" for number in range(5)]
        project(
            folder,
            photos(count, 64, 48),
            folds={"count": 5, "run": list(range(5)), "keep": {}},
            models=dict.fromkeys(names, MODEL),
            ensemble={"members": names, "method": "mean"},
        )
        for stage in ("fetch", "prepare", "folds"):
            measured(folder, stage)
        made: dict[str, bytes] = {
            "reports/report.md": b"",
            "reports/oof.csv": b"actual,predicted\n",
        }
        made |= {
            "metrics/ensemble.json": b"{}",
            "submissions/x.csv": b"",
            "submissions/x.json": b"{}",
        }
        made |= {"data/ensemble/oof.parquet": b"x", "data/ensemble/test.parquet": b"x"}
        for name in names:
            for fold in range(5):
                weights = hashlib.sha256(f"{name}{fold}".encode()).digest() * 3_000_000
                made |= {
                    f"models/{name}/fold{fold}/weights.safetensors": weights,
                    f"models/{name}/fold{fold}/curves.csv": b"epoch,score\n1,0.5\n",
                    f"metrics/{name}/fold{fold}.json": b'{"seconds": 1}',
                    f"data/predictions/{name}/fold{fold}/oof.parquet": weights[:1_000_000],
                    f"data/predictions/{name}/fold{fold}/test.parquet": weights[:1_000_000],
                }
        for path, data in made.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        run(folder, "dvc", "commit", "--force", "--quiet")
        run(folder, "dvc", "repro")
        seconds = min(run(folder, "dvc", "repro") for _ in range(3))
        table(
            ("what", "seconds"),
            [(f"`dvc repro`, nothing changed, {count} images", f"{seconds:.1f}")],
        )


def growth(largest: int) -> None:
    """Time and memory of the stages that do not train, for competitions of growing size."""
    sizes = [size for size in (1_000, 10_000, 100_000) if size <= largest]
    stages: list[tuple[str, ...]] = [("prepare",), ("folds",), ("train", *FOLD), ("predict", *FOLD),
                                     ("ensemble",), ("submission",)]  # fmt: skip
    rows: dict[str, list[str]] = {command[0]: [command[0]] for command in stages}
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            project(folder, photos(size, 64, 48))
            measured(folder, "fetch")
            for command in stages:
                seconds, memory = measured(folder, *command)
                rows[command[0]].append(f"{seconds:.1f} s, {memory:.0f} MiB")
    table(("stage", *(f"{size:,} images" for size in sizes)), list(rows.values()))


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    chosen = parser.add_subparsers(dest="what", required=True)
    defaults: dict[str, tuple[Callable[..., None], str, int]] = {
        "prepare": (prepare, "images", 20_000),
        "nothing": (nothing, "images", 100_000),
        "growth": (growth, "largest", 100_000),
    }
    chosen.add_parser("start")
    for name, (_, option, value) in defaults.items():
        chosen.add_parser(name).add_argument(f"--{option}", type=int, default=value)
    given = vars(parser.parse_args())
    what = given.pop("what")
    start() if what == "start" else defaults[what][0](*given.values())


if __name__ == "__main__":
    main()
