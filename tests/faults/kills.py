"""Kill the pipeline at any moment and rerun it: the submission must be the same.

    python tests/faults/kills.py 60

Trials cycle through the stages and the ways to kill, at moments spread evenly over a stage. The
stages before it have run; `dvc repro` starts, is killed, and is started again.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent.parent))
from conftest import Project

STAGES = ("check", "fetch", "prepare", "folds", "explore", "train@a-0", "predict@a-0", "ensemble",
          "submission", "report", "page")  # fmt: skip
FIRST = STAGES.index("train@a-0")  # to be killed
EPOCHS, STEPS_PER_EPOCH = 30, 2
RESULTS = ("submissions/shapes.csv", "data/predictions/a/fold0/test.parquet",
           "models/a/fold0/weights.safetensors")  # fmt: skip
WORKERS = ("0", "2")  # loader processes, at random
TIMEOUT_S = 120.0
EXIT_TIMEOUT_S = 10.0  # within it, all processes of a killed pipeline have ended


class Reference(NamedTuple):
    """The project after an undisturbed run."""

    project: Project
    sha256: str
    seconds: dict[str, float]  # per stage


class Outcome(NamedTuple):
    """The outcome of one kill."""

    stage: str
    way: str
    seconds: float  # after the stage began
    interrupted: bool  # whether the pipeline was still running
    resumed_step: int | None  # from which the training resumed
    repaired: str  # DVC's own file that had to be removed before the rerun
    problem: str  # "" if there was none


def to_group(number: signal.Signals) -> Callable[[int], bool]:
    """Send a signal to dvc and all processes that it started."""

    def kill(dvc: int) -> bool:
        os.killpg(dvc, number)
        return True

    return kill


def to_dvc(dvc: int) -> bool:
    """Send SIGKILL to dvc alone."""
    os.kill(dvc, signal.SIGKILL)
    return True


def to_stage(dvc: int) -> bool:
    """Send SIGKILL to the stage's process alone; False if no stage is running."""
    for process in psutil.Process(dvc).children(recursive=True):
        if any(word.startswith("src/") for word in process.cmdline()):
            process.kill()
            return True
    return False


WAYS: dict[str, Callable[[int], bool]] = {
    "SIGKILL to the stage": to_stage,
    "SIGKILL to dvc": to_dvc,
    "SIGTERM to the group": to_group(signal.SIGTERM),
    "SIGKILL to the group": to_group(signal.SIGKILL),
    "SIGINT to the group": to_group(signal.SIGINT),
}


def make_reference(folder: Path, first: str) -> Reference:
    """Run a small competition from its archive to its submission, and time the stages from `first`
    on.
    """
    folder.mkdir()
    project = Project(folder)

    def longer(params: dict[str, Any]) -> None:
        params["folds"]["run"] = [0]
        params["models"]["a"]["phases"] = [{"epochs": EPOCHS, "lr": 0.005}]
        params["models"]["a"]["ema_decay"] = 0.9
        params["checkpoint"]["every_minutes"] = 0.001

    project.edit(longer)
    project.run("git", "init", "--quiet")
    timed = STAGES[STAGES.index(first) :]
    if timed != STAGES:
        project.repro(*STAGES[: -len(timed)])
    starts, end, _ = repro(project, None)
    ends = [*starts.values(), end][1:]
    seconds = {stage: end - starts[stage] for stage, end in zip(starts, ends, strict=True)}
    assert set(seconds) == set(timed), seconds
    return Reference(project, sha256(project), seconds)


def sha256(project: Project) -> str:
    """Hash the submission with its logits and weights: its few labels could agree by chance."""
    return hashlib.sha256(b"".join(project.read(name) for name in RESULTS)).hexdigest()


def before(reference: Reference, folder: Path, stage: str) -> Project:
    """Copy the project as it was before `stage` ran."""
    project = reference.project.copy(folder)
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)  # or DVC would not run it again
    lock = folder / "dvc.lock"
    content = YAML(typ="safe").load(lock)
    for name in STAGES[STAGES.index(stage) :]:
        for out in content["stages"].pop(name).get("outs", []):
            path = folder / out["path"]
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    with lock.open("w") as file:
        YAML(typ="safe").dump(content, file)
    if not content["stages"]:
        lock.unlink()
    return project


def repro(
    project: Project,
    kill: tuple[str, float, Callable[[int], bool]] | None,
    **environment: str,
) -> tuple[dict[str, float], float, str]:
    """Run `dvc repro`; `kill` it so many seconds after a stage began, in some way.

    Returns when each stage began, when the run ended or was killed, and the output.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = project.folder.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=project.folder,
            env={**os.environ, **environment, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    starts: dict[str, float] = {}
    start = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        for line in log.read_text().splitlines():
            if line.startswith("Running stage '"):
                starts.setdefault(line.split("'")[1], now)
        if kill is not None and kill[0] in starts and now - starts[kill[0]] >= kill[1]:
            try:
                if kill[2](process.pid):
                    break
            except (ProcessLookupError, psutil.NoSuchProcess):
                break
        if now - start > TIMEOUT_S:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"timed out:\n{log.read_text()}")
        time.sleep(0.005)
    end = time.monotonic()
    process.wait(timeout=TIMEOUT_S)
    return starts, end, log.read_text()


def running(project: Project) -> list[str]:
    """The commands of the processes in the project's folder."""
    commands, folder = [], str(project.folder.resolve())
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        info = process.info
        if info["cwd"] == folder and info["status"] != psutil.STATUS_ZOMBIE:
            commands.append(" ".join(info["cmdline"] or []))
    return commands


def repair(project: Project, output: str) -> str:
    """Remove the file of DVC's own that a kill left half-written, and return its name."""
    for name, error in (
        ("dvc.lock", "dvc.lock' "),
        (".dvc/tmp/rwlock", "Unable to read RWLock-file"),
    ):
        if error in output:
            (project.folder / name).unlink()
            return name
    return ""


def trial(
    reference: Reference, folder: Path, *, stage: str, way: str, moment: float, workers: str
) -> Outcome:
    """Kill the pipeline once, at a moment between 0 (the stage begins) and 1, and rerun it."""
    project, seconds = before(reference, folder, stage), moment * reference.seconds[stage]
    environment = {"PODIUM_WORKERS": workers}
    _, _, output = repro(project, (stage, seconds, WAYS[way]), **environment)
    interrupted = not (project.folder / "reports/report.md").exists() or "ERROR" in output
    problems, repaired = [], ""
    deadline = time.monotonic() + EXIT_TIMEOUT_S
    while (commands := running(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if commands:
        problems.append(f"still running: {commands}")
    rerun = project.run("dvc", "repro", check=False, **environment)
    if rerun.returncode != 0 and (repaired := repair(project, rerun.stdout)):
        rerun = project.run("dvc", "repro", check=False, **environment)
    if rerun.returncode != 0:
        problems.append(f"the rerun failed: {rerun.stdout[-2000:]}")
    elif sha256(project) != reference.sha256:
        problems.append("the result differs")
    if temporary := [*project.folder.rglob("*.tmp"), *project.folder.rglob("*.ckpt")]:
        problems.append(f"not removed: {temporary}")
    lines = [line for line in rerun.stdout.splitlines() if "resuming from checkpoint" in line]
    resumed_step = int(lines[0].split()[-1]) if lines else None
    epochs = [int(line.split()[1]) for line in output.splitlines() if line.startswith("epoch ")]
    done = max(epochs, default=0)  # a finished training (all epochs) need not resume
    if 0 < done < EPOCHS and (resumed_step or 0) < STEPS_PER_EPOCH * done:
        problems.append(f"{done} epochs were printed, but it resumed from step {resumed_step}")
    return Outcome(stage, way, seconds, interrupted, resumed_step, repaired, "; ".join(problems))


def trials(count: int, *, seed: int, folder: Path) -> list[Outcome]:
    """Run `count` trials, and print the outcome of each."""
    stages = [STAGES[(number + FIRST) % len(STAGES)] for number in range(count)]
    reference = make_reference(folder / "reference", min(stages, key=STAGES.index))
    rng, total = random.Random(seed), sum(reference.seconds.values())
    print(f"undisturbed run: {total:.0f} s, SHA-256 {reference.sha256[:12]}", flush=True)
    outcomes = []
    # Spread evenly, where chance could leave out the end of a stage.
    moments = [(part + rng.random()) / count for part in rng.sample(range(count), count)]
    for number, (stage, moment) in enumerate(zip(stages, moments, strict=True)):
        way, workers = list(WAYS)[number % len(WAYS)], rng.choice(WORKERS)
        copy = folder / f"{number:03d}"
        outcome = trial(reference, copy, stage=stage, way=way, moment=moment, workers=workers)
        outcomes.append(outcome)
        notes = [outcome.problem or "same result"]
        notes += [f"resumed from step {outcome.resumed_step}"] * (outcome.resumed_step is not None)
        notes += [f"removed a damaged {outcome.repaired}"] * bool(outcome.repaired)
        notes += ["had already finished"] * (not outcome.interrupted)
        when = f"{stage:12} {way:21} {outcome.seconds:5.2f} s"
        print(f"{number + 1:3d}  {when}  {', '.join(notes)}", flush=True)
        if not outcome.problem:
            shutil.rmtree(copy)
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Count the outcomes per way to kill, in Markdown."""
    columns: dict[str, Callable[[Outcome], bool]] = {
        "kills": lambda _: True,
        "while running": lambda outcome: outcome.interrupted,
        "training resumed": lambda outcome: outcome.resumed_step is not None,
        "DVC's file damaged": lambda outcome: bool(outcome.repaired),
        "same result": lambda outcome: not outcome.problem,
    }
    lines = [f"| way | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for way in (*WAYS, "all"):
        selected = [outcome for outcome in outcomes if way in (outcome.way, "all")]
        counts = [str(sum(map(test, selected))) for test in columns.values()]
        lines.append(f"| {way} | {' | '.join(counts)} |")
    return "\n".join(lines)


def main() -> None:
    """Run as many trials as the command line says, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("count", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = trials(options.count, seed=options.seed, folder=Path(folder))
    print(f"\n{table(outcomes)}")
    if failed := sum(bool(outcome.problem) for outcome in outcomes):
        sys.exit(f"{failed} of {len(outcomes)} kills changed the result or were not recovered from")


if __name__ == "__main__":
    main()
