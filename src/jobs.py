"""Train all models and folds, several at once: a DVC process each, one a GPU where there are."""

import argparse
import asyncio
import itertools
import os
import shutil
import subprocess

from podium import config, interrupt, progress, stage
from podium.errors import UserError, examples

SECTIONS = ("models", "folds.run")
VISIBLE = "CUDA_VISIBLE_DEVICES"
ADVICE = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")


def main() -> None:
    """Bring every training up to date; `dvc repro` does the rest afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int, nargs="?", help="at once (default: one a GPU)")
    jobs = parser.parse_args().jobs
    models, run = config.load(*SECTIONS)
    gpus = _gpus()
    jobs = max(1, len(gpus)) if jobs is None else jobs
    if jobs < 1:
        raise UserError(f"JOBS is the number of trainings at once, not {jobs}")
    if subprocess.run(["dvc", "repro", "folds"], check=False).returncode != 0:
        raise UserError("the data are not ready: see above")
    names = [f"train@{model}-{fold}" for model in models for fold in run]
    places = list(itertools.islice(itertools.cycle(gpus or [None]), jobs))
    statuses = asyncio.run(_train(names, places))
    if failed := [name for name, status in zip(names, statuses, strict=True) if status != 0]:
        raise UserError(f"{len(failed)} of {len(names)} trainings failed: {examples(failed)}")


def _gpus() -> list[str | None]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; without importing torch."""
    if VISIBLE in os.environ:
        return [gpu for gpu in os.environ[VISIBLE].split(",") if gpu]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [*done.stdout.split()] if done.returncode == 0 else []


async def _train(names: list[str], places: list[str | None]) -> list[int]:
    """Reproduce the stages `names`, as many at once as there are `places`: their exit statuses."""
    free: asyncio.Queue[str | None] = asyncio.Queue()
    for gpu in places:
        free.put_nowait(gpu)

    async def train(name: str) -> int:
        gpu = await free.get()
        try:
            return await _repro(name, {} if gpu is None else {VISIBLE: gpu})
        finally:
            free.put_nowait(gpu)

    return await asyncio.gather(*map(train, names))


async def _repro(name: str, environment: dict[str, str]) -> int:
    """Reproduce one stage, with its name before each line that it prints: the exit status."""
    process = await asyncio.create_subprocess_exec(
        *("dvc", "--wait-for-lock", "repro", "--single-item", name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
        preexec_fn=interrupt.die_with_parent,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        if text and not text.startswith(ADVICE):
            progress.say(f"{name} | {text}")
    return await process.wait()


if __name__ == "__main__":
    stage.run(main)
