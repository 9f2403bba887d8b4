"""The program of a notebook: installs wheels, prepares the data, trains until its time is over,
and writes results and checkpoints to the notebook's output.

Kaggle keeps the output of notebooks that succeed, so it does, whatever fails here: `podium.json`
says what. Imports no third-party package.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from podium.cluster import node_program, process
from podium.kaggle_gpu import layout, start
from podium.kaggle_gpu.results import Outputs, write_outcome

ERROR = "error: "


class FailedError(Exception):
    """The notebook cannot continue. `kind` says who can fix it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Session(NamedTuple):
    """A notebook's session."""

    work: dict[str, Any]  # work.json
    dataset: Path  # the folder that it is in
    project: Path
    deadline: float  # of the monotonic clock, which all processes of a machine share

    def run(self, *command: str, outputs: Outputs | None = None) -> str:
        """Run Python with a command, and print its lines. Why it was stopped, else "".

        Raises:
            FailedError: if it fails.
        """
        lines = list[str]()
        reason = ""
        arguments = (sys.executable, "-u", *command)
        with process.started(arguments, self.project, environment(self.project)) as (
            running,
            output,
        ):
            for line in output:
                if line is not None:
                    lines.append(line)
                    print(line, flush=True)
                if not reason and (reason := self._stop_reason(outputs)):
                    print(f"stopping: {reason}", flush=True)
                    running.terminate()
        if reason or running.returncode == 0:
            return reason
        errors = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
        if running.returncode == node_program.EXIT_USER_ERROR and errors:  # of our own program
            raise FailedError("user", "\n".join(lines[errors[-1] :]).removeprefix(ERROR))
        raise FailedError(*node_program.failure(lines, running.returncode))

    def _stop_reason(self, outputs: Outputs | None) -> str:
        if time.monotonic() > self.deadline:
            return "the time is over"
        if outputs is not None and (sizes := outputs.sizes()):
            # Each task that runs now will write a result, or its checkpoint grows.
            expected = sum(sizes) + max(sizes) * self.work["tasks"]
            if expected > self.work["output_bytes"]:
                return "the output is full"
        return ""


def environment(project: Path) -> dict[str, str]:
    """The environment of DVC and the stages."""
    paths = os.pathsep.join(map(str, (project / layout.WHEELS, project / "src")))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PYTHONPATH": paths, "PATH": programs}


def main() -> None:
    """Arguments: the folder of the work's data set, time of start, hours, folder of the output."""
    dataset, started, hours, output = sys.argv[1:]
    work = json.loads(Path(dataset, "work.json").read_bytes())
    deadline = float(started) + 3600 * float(hours)
    session = Session(work, Path(dataset), Path.cwd(), deadline)
    outcome: dict[str, Any] = {"status": "failed", "kind": "system", "message": ""}
    outputs = None
    try:
        check_machine(session)
        install_wheels(session)
        place_files(session)
        reason = session.run("-m", "dvc", "repro", "folds")
        if not reason:
            outputs = Outputs(session.project, work["checkpoint_folders"])
            reason = session.run("-m", "podium.kaggle_gpu.trainings", outputs=outputs)
        outcome |= {"status": "stopped" if reason else "done", "message": reason}
    except (FailedError, OSError, SystemExit) as error:  # the disk is full, no data set
        kind = error.kind if isinstance(error, FailedError) else "system"
        outcome |= {"kind": kind, "message": str(error).removeprefix(ERROR)}
        print(f"{ERROR}{outcome['message']}", flush=True)
    progress = session.project / layout.PROGRESS
    outcome["progress"] = json.loads(progress.read_bytes()) if progress.exists() else {}
    outcome["torch"] = importlib.metadata.version("torch")
    written = outputs.write(Path(output)) if outputs is not None else []
    write_outcome(Path(output), outcome, written)
    shutil.rmtree(session.project, ignore_errors=True)


def check_machine(session: Session) -> None:
    """Raises: FailedError: without a GPU, or without the competition's data."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    has_tool = shutil.which(command[0]) is not None
    done = subprocess.run(command if has_tool else ["false"], capture_output=True, check=False)
    names = done.stdout.decode().split("\n")[:-1] if done.returncode == 0 else []
    print(f"GPUs: {', '.join(names) or 'none'}", flush=True)
    if not names:
        raise FailedError("gpu", "the notebook has no GPU")
    slug = session.work["competition"]
    folders = (start.INPUT / "competitions" / slug, start.INPUT / slug)
    found = [folder for folder in folders if folder.is_dir()]
    if not found:
        raise FailedError("rules", f"the data of the competition {slug} is not attached")
    (session.project / layout.COMPETITION).symlink_to(found[0])


def install_wheels(session: Session) -> None:
    """Install those packages that are absent here or have other versions.

    Raises:
        FailedError: if there is no wheel for this Python.
    """
    if session.work["wheels"] is None:
        return
    folder = start.find_folder(*_places(session.work["wheels"]))
    locked = {_normalized(path.name.split("-")[0]): path.name.split("-")[1]
              for path in folder.glob("*.whl")}  # fmt: skip
    here = {_normalized(package.metadata["Name"]): package.version
            for package in importlib.metadata.distributions()}  # fmt: skip
    needed = [f"{name}=={text}" for name, text in sorted(locked.items()) if here.get(name) != text]
    print(f"installing {len(needed)} of {len(locked)} packages", flush=True)
    if not needed:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    target = ("--find-links", str(folder), "--target", str(session.project / layout.WHEELS))
    done = subprocess.run(
        [*command, *target, *needed], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise FailedError("system", f"could not install packages: {done.stderr.strip()}")


def _places(ref: str) -> tuple[str, str]:
    return f"datasets/{ref}", ref.partition("/")[2]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def place_files(session: Session) -> None:
    """Put the large files where they belong in the project, and configure DVC.

    Raises:
        FailedError: if one is damaged.
    """
    project, work = session.project, session.work
    for path, blob in work["blobs"].items():
        ref = blob["dataset"]
        folder = session.dataset if ref is None else start.find_folder(*_places(ref))
        data = folder / blob["name"]
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data, target)
        if hashlib.sha256(target.read_bytes()).hexdigest() != blob["sha256"]:
            raise FailedError("system", f"{data} is damaged")
        if ".dvc/cache" in path:
            target.chmod(0o444)  # as DVC's own: it does not hash them again
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc/config").write_text(node_program.CONFIG, encoding="utf-8")
    shutil.copyfile(session.dataset / "work.json", project / layout.WORK)
    shutil.copyfile(project / "params.yaml", project / layout.USER_PARAMS)
    shutil.copyfile(project / layout.NOTEBOOK_PARAMS, project / "params.yaml")


if __name__ == "__main__":
    main()
