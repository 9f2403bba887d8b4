"""Train all models and folds, several at a time: one DVC process each, one per GPU by default."""

import argparse
import asyncio
import contextlib
import itertools
import os

import psutil

from podium.cluster import forks, session
from podium.core import console, machine, paths, program, signals
from podium.core.errors import Stopped, UserError, counted, examples
from podium.params import schema

MAX_LINE_BYTES = 2**20
# Lines of DVC that do not matter here.
ADVICE = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")


def main() -> None:
    """Bring every training run up to date; `dvc repro` does the rest afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "jobs", type=int, nargs="?", help="training runs at a time (default: one per GPU)"
    )
    jobs = parser.parse_args().jobs
    params = schema.load()
    gpus = machine.gpus()
    jobs = max(1, len(gpus)) if jobs is None else jobs
    if jobs < 1:
        raise UserError(f"JOBS must be at least 1, not {jobs}. Set a higher number.")
    names = [paths.stage("train", m, fold) for m in params.models for fold in params.folds.run]
    slots = list(itertools.islice(itertools.cycle([*gpus] or [None]), jobs))
    with session.only_driver("make train"):
        session.reproduce_folds()
        _share_machine(min(jobs, len(names)))
        with forks.started():
            _train(names, slots)
            _train([paths.stage("train", model, "all") for model in params.folds.all], slots)


def _train(names: list[str], slots: list[str | None]) -> None:
    """Raises: UserError: if one of the stages `names` fails."""
    statuses = asyncio.run(Trainings(names, slots).run())
    if failed := [name for name, status in zip(names, statuses, strict=True) if status != 0]:
        raise UserError(
            f"{len(failed)} of {counted(len(names), 'training run')} failed: {examples(failed)}. "
            "Fix the errors above and rerun."
        )


def _share_machine(jobs: int) -> None:
    """Divide cores and memory between `jobs` training runs, in the environment that they inherit.
    PODIUM_WORKERS, PODIUM_CACHE_MIB and OMP_NUM_THREADS of the user apply to each run as they are.
    """
    if jobs == 1:
        return
    cores = max(1, machine.cores() // jobs)
    os.environ.setdefault(machine.CACHE_VARIABLE, str(machine.cache_bytes() // jobs // 2**20))
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))  # torch's threads on a CPU
    os.environ[machine.CORES_VARIABLE] = str(cores)


class Trainings:
    """DVC stages that are reproduced several at a time."""

    def __init__(self, names: list[str], slots: list[str | None]) -> None:
        """Reproduce the stages `names`, one in each of `slots` at a time: a GPU, or None."""
        self.names, self.free_slots = names, asyncio.Queue[str | None]()
        for gpu in slots:
            self.free_slots.put_nowait(gpu)
        self.stopped_by: str | None = None  # the name of a signal

    async def run(self) -> list[int]:
        """Run all stages and return their exit statuses.

        Raises:
            Stopped: on a signal to stop, after the running stages have ended.
        """
        loop = asyncio.get_running_loop()
        for number in signals.to_stop():
            loop.add_signal_handler(number, setattr, self, "stopped_by", number.name)
        trainings = asyncio.gather(*map(self._train, self.names))
        terminated: set[int] = set()
        while not trainings.done():
            await asyncio.wait([trainings], timeout=0.5)
            if self.stopped_by is not None:
                _terminate_stages(terminated)
        if self.stopped_by is not None:
            raise Stopped(self.stopped_by)
        return trainings.result()

    async def _train(self, name: str) -> int:
        gpu = await self.free_slots.get()
        try:
            environment = {} if gpu is None else {machine.VISIBLE: gpu}
            return 1 if self.stopped_by else await _repro(name, environment)
        finally:
            self.free_slots.put_nowait(gpu)


def _terminate_stages(terminated: set[int]) -> None:
    """Send SIGTERM, once, to the processes that the DVC processes have started: a killed dvc can
    leave half a dvc.lock.
    """
    this = psutil.Process()
    dvc = {process.pid for process in this.children()}
    for process in reversed(this.children(recursive=True)):  # a training run before its shell
        if process.pid not in terminated | dvc:
            terminated.add(process.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()


async def _repro(name: str, environment: dict[str, str]) -> int:
    """Reproduce one stage, print its output line by line with its name, return its exit status."""
    process = await asyncio.create_subprocess_exec(
        *("dvc", "--wait-for-lock", "repro", "--single-item", name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
        preexec_fn=signals.die_with_parent,
        limit=MAX_LINE_BYTES,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        if text and not text.startswith(ADVICE):
            console.say(f"{name} | {text}")
    return await process.wait()


if __name__ == "__main__":
    program.run(main)
