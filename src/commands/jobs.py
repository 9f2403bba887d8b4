"""Train all models and folds, several at once: a DVC process each, one a GPU where there are."""

import argparse
import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess

import psutil

from podium.core import console, machine, program, signals
from podium.core.errors import Stopped, UserError, examples
from podium.params import schema

VISIBLE = "CUDA_VISIBLE_DEVICES"
LONGEST = 2**20  # bytes of a line that is printed
ADVICE = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")


def main() -> None:
    """Bring every training up to date; `dvc repro` does the rest afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int, nargs="?", help="at once (default: one a GPU)")
    jobs = parser.parse_args().jobs
    params = schema.load()
    models, run = params.models, params.folds.run
    gpus = _gpus()
    jobs = max(1, len(gpus)) if jobs is None else jobs
    if jobs < 1:
        raise UserError(f"JOBS is the number of trainings at once, not {jobs}")
    if subprocess.run(["dvc", "--wait-for-lock", "repro", "folds"], check=False).returncode != 0:
        raise UserError("the data are not ready: see above")
    names = [f"train@{model}-{fold}" for model in models for fold in run]
    places = list(itertools.islice(itertools.cycle(gpus or [None]), jobs))
    at_once = min(jobs, len(names))
    os.environ.setdefault(machine.CACHE_VARIABLE, str(machine.cache_bytes() // at_once // 2**20))
    statuses = asyncio.run(Trainings(names, places).run())
    if failed := [name for name, status in zip(names, statuses, strict=True) if status != 0]:
        raise UserError(f"{len(failed)} of {len(names)} trainings failed: {examples(failed)}")


def _gpus() -> list[str | None]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; without importing torch."""
    if VISIBLE in os.environ:
        return [gpu.strip() for gpu in os.environ[VISIBLE].split(",") if gpu.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [*done.stdout.split()] if done.returncode == 0 else []


class Trainings:
    """DVC stages that are reproduced several at once."""

    def __init__(self, names: list[str], places: list[str | None]) -> None:
        """The stages `names`, as many at once as there are `places`: a GPU each, or None."""
        self.names, self.free = names, asyncio.Queue[str | None]()
        for gpu in places:
            self.free.put_nowait(gpu)
        self.asked: str | None = None  # by which signal they were asked to end

    async def run(self) -> list[int]:
        """Their exit statuses.

        Raises:
            Stopped: when asked to end, once those that were running have.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, setattr, self, "asked", number.name)
        trainings = asyncio.gather(*map(self._train, self.names))
        told: set[int] = set()
        while not trainings.done():
            await asyncio.wait([trainings], timeout=0.5)
            if self.asked is not None:
                _ask_to_end(told)
        if self.asked is not None:
            raise Stopped(self.asked)
        return trainings.result()

    async def _train(self, name: str) -> int:
        gpu = await self.free.get()
        try:
            environment = {} if gpu is None else {VISIBLE: gpu}
            return 1 if self.asked else await _repro(name, environment)
        finally:
            self.free.put_nowait(gpu)


def _ask_to_end(told: set[int]) -> None:
    """Send SIGTERM, once, to what the DVC processes have started: a dvc that is killed itself may
    leave half of a dvc.lock.
    """
    us = psutil.Process()
    ours = {process.pid for process in us.children()}
    for process in reversed(us.children(recursive=True)):  # a training before its shell
        if process.pid not in told | ours:
            told.add(process.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()


async def _repro(name: str, environment: dict[str, str]) -> int:
    """Reproduce one stage, with its name before each line that it prints: the exit status."""
    process = await asyncio.create_subprocess_exec(
        *("dvc", "--wait-for-lock", "repro", "--single-item", name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
        preexec_fn=signals.die_with_parent,
        limit=LONGEST,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        if text and not text.startswith(ADVICE):
            console.say(f"{name} | {text}")
    return await process.wait()


if __name__ == "__main__":
    program.run(main)
