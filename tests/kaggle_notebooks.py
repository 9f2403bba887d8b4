"""Notebooks of the loopback Kaggle: each really runs, in a process with Kaggle's folders, read-only
input, without network, without the driver's files and environment.

It needs Linux's namespaces (`unshare`); `available()` tells whether this machine allows them.
"""

import functools
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GPUS = {"NvidiaTeslaT4": ("Tesla T4", 2), "NvidiaTeslaP100": ("Tesla P100", 1)}
UNSHARE = ("unshare", "--mount", "--net", "--propagation", "private", "--kill-child", "--fork")
# A root folder with all of this machine's, but Kaggle's /kaggle and an empty /tmp.
ENTER = r"""
set -e
session=$1 root=$1/root python=$2
mount -t tmpfs none "$root"
for entry in /*; do
    name=$(basename "$entry")
    test "$name" = tmp -o "$name" = kaggle && continue
    if test -L "$entry"; then cp -P "$entry" "$root/"
    elif test -d "$entry"; then mkdir "$root/$name"; mount --rbind "$entry" "$root/$name"; fi
done
mkdir "$root/tmp" "$root/kaggle" "$root/machine"
mount --bind "$session/tmp" "$root/tmp"
mount --bind "$session/machine" "$root/machine"
for name in input working src; do
    mkdir "$root/kaggle/$name"
    mount --bind "$session/$name" "$root/kaggle/$name"
done
mount -o remount,ro,bind "$root/kaggle/input"
ip link set lo up 2>/dev/null || true
exec chroot "$root" /usr/bin/env -i HOME=/tmp PATH="/machine:/usr/local/bin:/usr/bin:/bin" \
    KAGGLE_KERNEL_RUN_TYPE=Batch \
    sh -c 'cd /kaggle/working && exec "$0" /kaggle/src/script.py' "$python"
"""
NVIDIA_SMI = """#!/bin/sh
case "$1" in *uuid*) what=GPU ;; *) what="{name}" ;; esac
for number in {numbers}; do
    case "$what" in GPU) echo "GPU-$number" ;; *) echo "$what" ;; esac
done
"""


@functools.cache
def available() -> bool:
    """Whether this user may create the namespaces."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    command = [*_unshare(), "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [*UNSHARE, *as_root]


@dataclass
class Session:
    """One run of a notebook."""

    folder: Path
    body: dict[str, Any]  # of SaveKernel
    max_output: int
    status: str = "QUEUED"
    failure: str = ""
    events: list[dict[str, str]] = field(default_factory=list)  # of the log
    seconds: float = 0.0
    _process: "subprocess.Popen[str] | None" = None

    def start(
        self, inputs: dict[str, dict[str, bytes]], competitions: dict[str, bytes], gpus: bool
    ) -> None:
        """Run it with data sets `inputs` (files by name) and the archives of `competitions`."""
        for name in ("input", "working", "src", "tmp", "machine", "root"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "src/script.py").write_text(self.body["text"])
        for ref, files in inputs.items():
            place = self.folder / "input/datasets" / ref
            place.mkdir(parents=True)
            for name, content in files.items():
                (place / name).write_bytes(content)
        for slug, archive in competitions.items():
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                opened.extractall(self.folder / "input/competitions" / slug)
        if gpus:
            name, count = GPUS[self.body["machineShape"]]
            tool = self.folder / "machine/nvidia-smi"
            numbers = " ".join(map(str, range(count)))
            tool.write_text(NVIDIA_SMI.format(name=name, numbers=numbers))
            tool.chmod(0o755)
        command = [*_unshare(), "sh", "-c", ENTER, "sh", str(self.folder), sys.executable]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.status = "RUNNING"
        threading.Thread(target=self._follow, args=(time.monotonic(),), daemon=True).start()

    def _follow(self, started: float) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        limit = self.body.get("sessionTimeoutSeconds", 0)
        timer = threading.Timer(limit, self.stop) if limit else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        for line in process.stdout:
            at = f"{time.monotonic() - started:.3f}"
            self.events.append({"stream_name": "stdout", "time": at, "data": line})
        returncode = process.wait()
        if timer is not None:
            timer.cancel()
        self.seconds = time.monotonic() - started
        size = sum(path.stat().st_size for path in self.outputs())
        if returncode != 0:
            self.failure, self.status = f"exit code {returncode}", "ERROR"
        elif size > self.max_output:
            self.failure, self.status = "Output size exceeded the limit", "ERROR"
        else:
            self.status = "COMPLETE"
        if self.status == "ERROR":  # Kaggle keeps the output of notebooks that succeed
            shutil.rmtree(self.folder / "working")
            (self.folder / "working").mkdir()

    @property
    def log(self) -> str:
        return "".join(event["data"] for event in self.events)

    @property
    def is_over(self) -> bool:
        return self.status not in ("QUEUED", "RUNNING")

    def outputs(self) -> list[Path]:
        return sorted(path for path in (self.folder / "working").rglob("*") if path.is_file())

    def stop(self) -> None:
        """End its processes, which are in namespaces of their own."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Notebooks:
    """The machines of the loopback Kaggle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: list[Session] = []  # in order of their start
        self.gives_gpus = True  # as to users with a verified phone number
        self.max_output = 20 * 10**9

    def start(
        self,
        body: dict[str, Any],
        inputs: dict[str, dict[str, bytes]],
        competitions: dict[str, bytes],
    ) -> Session:
        session = Session(self.folder / str(len(self.sessions)), body, self.max_output)
        self.sessions.append(session)
        session.start(inputs, competitions, self.gives_gpus)
        return session

    def stop(self) -> None:
        for session in self.sessions:
            session.stop()
