"""Kill the pipeline at random moments and run it again: the submission must come out the same.

    python tests/faults/kills.py 60

Each time a stage is chosen in turn, a way to kill in turn, and a moment of that stage at random.
The stages before it have run; `dvc repro` starts, is killed, and is started again.
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
from typing import NamedTuple

import psutil
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent.parent))
from conftest import Project

STAGES = ("fetch", "prepare", "folds", "train@a-0", "predict@a-0", "ensemble", "submission",
          "report")  # fmt: skip
EPOCHS, STEPS = 50, 2  # of the training, and of an epoch
SAME = ("submissions/shapes.csv", "data/predictions/a/fold0/test.parquet",
        "models/a/fold0/weights.safetensors")  # fmt: skip
WORKERS = ("0", "2")  # loader processes, in turn
LIMIT = 120.0  # seconds


class Reference(NamedTuple):
    """The project after a run that nothing disturbed."""

    project: Project
    sha256: str
    seconds: dict[str, float]  # that each stage took


class Outcome(NamedTuple):
    """What became of one kill."""

    stage: str
    way: str
    seconds: float  # after the stage began
    landed: bool  # whether the pipeline was still running
    resumed: int | None  # the step that the training went on from
    repaired: str  # the file of DVC's own that had to be removed first
    task: str  # "" where all was well


def to_group(number: signal.Signals) -> Callable[[int], bool]:
    """Send a signal to dvc and all that it started."""

    def kill(dvc: int) -> bool:
        os.killpg(dvc, number)
        return True

    return kill


def to_dvc(dvc: int) -> bool:
    """SIGKILL to dvc alone."""
    os.kill(dvc, signal.SIGKILL)
    return True


def to_stage(dvc: int) -> bool:
    """SIGKILL to the stage's process alone; False between stages."""
    for process in psutil.Process(dvc).children(recursive=True):
        if any(word.startswith("src/") for word in process.cmdline()):
            process.kill()
            return True
    return False


WAYS: dict[str, Callable[[int], bool]] = {
    "SIGKILL to the stage alone": to_stage,
    "SIGKILL to dvc alone": to_dvc,
    "SIGTERM to the group": to_group(signal.SIGTERM),
    "SIGKILL to the group": to_group(signal.SIGKILL),
    "SIGINT to the group": to_group(signal.SIGINT),
}


def reference(folder: Path) -> Reference:
    """Run a small competition from its archive to its submission."""
    folder.mkdir()
    project = Project(folder)

    def longer(params: dict[str, dict]) -> None:  # type: ignore[type-arg]
        params["folds"]["run"] = [0]
        params["models"]["a"]["phases"] = [{"epochs": EPOCHS, "lr": 0.005}]
        params["models"]["a"]["ema_decay"] = 0.9
        params["checkpoint"]["every_minutes"] = 0.001

    project.edit(longer)
    project.run("git", "init", "--quiet")
    begun, end, _ = run(project, None)
    ends = [*begun.values(), end][1:]
    seconds = {stage: end - begun[stage] for stage, end in zip(begun, ends, strict=True)}
    assert set(seconds) == set(STAGES), seconds
    return Reference(project, sha256(project), seconds)


def sha256(project: Project) -> str:
    """Of the submission, and of the logits and weights behind it: its few labels could agree."""
    return hashlib.sha256(b"".join(project.read(name) for name in SAME)).hexdigest()


def before(made: Reference, folder: Path, stage: str) -> Project:
    """A copy of the project as it was when `stage` was about to begin."""
    project = made.project.copy(folder)
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)  # DVC would not run it again
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


def run(
    project: Project,
    kill: tuple[str, float, Callable[[int], bool]] | None,
    **environment: str,
) -> tuple[dict[str, float], float, str]:
    """`dvc repro`, killed some seconds after a stage began: when each stage began, when it was
    killed or ended, and the output.
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
    begun: dict[str, float] = {}
    start = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        for line in log.read_text().splitlines():
            if line.startswith("Running stage '"):
                begun.setdefault(line.split("'")[1], now)
        if kill is not None and kill[0] in begun and now - begun[kill[0]] >= kill[1]:
            try:
                if kill[2](process.pid):
                    break
            except (ProcessLookupError, psutil.NoSuchProcess):
                break
        if now - start > LIMIT:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"it hangs:\n{log.read_text()}")
        time.sleep(0.005)
    end = time.monotonic()
    process.wait(timeout=LIMIT)
    return begun, end, log.read_text()


def left_running(project: Project) -> list[str]:
    """The processes whose folder is the project's."""
    found, folder = [], str(project.folder.resolve())
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        info = process.info
        if info["cwd"] == folder and info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(info["cmdline"] or []))
    return found


def repair(project: Project, output: str) -> str:
    """Remove what DVC cannot read any more, where it was killed while it wrote it."""
    for name, sign in (
        ("dvc.lock", "dvc.lock' "),
        (".dvc/tmp/rwlock", "Unable to read RWLock-file"),
    ):
        if sign in output:
            (project.folder / name).unlink()
            return name
    return ""


def trial(made: Reference, folder: Path, *, stage: str, way: str, rng: random.Random) -> Outcome:
    """One kill, and the run after it."""
    project, seconds = before(made, folder, stage), rng.uniform(0, made.seconds[stage])
    workers = {"PODIUM_WORKERS": rng.choice(WORKERS)}
    _, _, output = run(project, (stage, seconds, WAYS[way]), **workers)
    landed = not (project.folder / "reports/report.md").exists() or "ERROR" in output
    problems, repaired = [], ""
    deadline = time.monotonic() + 10
    while (left := left_running(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        problems.append(f"still running: {left}")
    again = project.run("dvc", "repro", check=False, **workers)
    if again.returncode != 0 and (repaired := repair(project, again.stdout)):
        again = project.run("dvc", "repro", check=False, **workers)
    if again.returncode != 0:
        problems.append(f"the second run failed: {again.stdout[-2000:]}")
    elif sha256(project) != made.sha256:
        problems.append("another submission")
    if left_over := [*project.folder.rglob("*.tmp"), *project.folder.rglob("*.ckpt")]:
        problems.append(f"left over: {left_over}")
    lines = [line for line in again.stdout.splitlines() if "resuming from checkpoint" in line]
    resumed = int(lines[0].split()[-1]) if lines else None
    told = [int(line.split()[1]) for line in output.splitlines() if line.startswith("epoch ")]
    if told and max(told) < EPOCHS and (resumed or 0) < STEPS * max(told):
        problems.append(f"{max(told)} epochs were told, and it went on from step {resumed}")
    return Outcome(stage, way, seconds, landed, resumed, repaired, "; ".join(problems))


def trials(count: int, *, seed: int, folder: Path) -> list[Outcome]:
    """`count` kills, in turn over stages and ways; each is printed."""
    made, rng, outcomes = reference(folder / "reference"), random.Random(seed), list[Outcome]()
    print(f"undisturbed: {sum(made.seconds.values()):.0f} seconds, {made.sha256[:12]}", flush=True)
    for number in range(count):
        stage, way = STAGES[number % len(STAGES)], list(WAYS)[number % len(WAYS)]
        place = folder / f"{number:03d}"
        found = trial(made, place, stage=stage, way=way, rng=rng)
        outcomes.append(found)
        notes = [found.task or "same submission"]
        notes += [f"went on from step {found.resumed}"] * (found.resumed is not None)
        notes += [f"{found.repaired} was cut"] * bool(found.repaired)
        notes += ["it was done by then"] * (not found.landed)
        when = f"{stage:12} {way:27} {found.seconds:5.2f} s"
        print(f"{number + 1:3d}  {when}  {', '.join(notes)}", flush=True)
        if not found.task:
            shutil.rmtree(place)
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """What came of them, by the way to kill, in Markdown."""
    columns: dict[str, Callable[[Outcome], bool]] = {
        "kills": lambda _: True,
        "while it ran": lambda o: o.landed,
        "went on within the training": lambda o: o.resumed is not None,
        "DVC's own file cut": lambda o: bool(o.repaired),
        "same submission": lambda o: not o.task,
    }
    lines = [f"| way | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for way in (*WAYS, "all"):
        found = [outcome for outcome in outcomes if way in (outcome.way, "all")]
        counts = [str(sum(map(test, found))) for test in columns.values()]
        lines.append(f"| {way} | {' | '.join(counts)} |")
    return "\n".join(lines)


def main() -> None:
    """Kill as often as the command line says, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("count", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = trials(chosen.count, seed=chosen.seed, folder=Path(folder))
    print(f"\n{table(outcomes)}")
    if any(outcome.task for outcome in outcomes):
        sys.exit("some kills changed the result, or were not recovered from")


if __name__ == "__main__":
    main()
