"""A Ray cluster on this machine: a head without cores, and nodes with addresses of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from conftest import ROOT, Project

COMMAND = ("-m", "commands.node")
READY = "Ctrl-C"  # in the last line about the start
MEMORY = "--object-store-memory=100000000"


def heed_hangup() -> None:
    """As in a terminal: tests may run with `nohup`, which makes all programs ignore SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Loopback:
    """Processes of this test alone; each node is a session of its own."""

    def __init__(self, **environment: str) -> None:
        """Start a head. `environment` is also that of all nodes and drivers."""
        self.folder = Path(tempfile.mkdtemp(prefix="podium-"))  # short, for names of sockets
        with socket.socket() as server:
            server.bind(("", 0))
            self.address = f"127.0.0.2:{server.getsockname()[1]}"
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("RAY_")},
            "HOME": str(self.folder),  # the token is there
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **environment,
        }
        self.processes = dict[str, subprocess.Popen[bytes]]()
        port = self.address.partition(":")[2]
        self._start("head", f"127.0.0.2 --port={port} --num-cpus=0 --temp-dir={self.folder}/r")

    def add(self, name: str, ip: str) -> None:
        """Start a node with one core."""
        self._start(name, f"{ip} --num-cpus=1", self.address)

    def _start(self, name: str, options: str, *head: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("w") as file:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *COMMAND, *head],
                cwd=ROOT,
                env={
                    **self.environment,
                    "PODIUM_NODE_ARGS": f"{MEMORY} --node-ip-address={options}",
                    "PODIUM_NODE_DIR": str(self.folder / name),
                },
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while READY not in log.read_text():
            assert self.processes[name].poll() is None and time.monotonic() < deadline, (
                log.read_text()
            )
            time.sleep(0.1)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to all processes of a node."""
        node = psutil.Process(self.processes[name].pid)
        for process in [node, *node.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def remove(self, name: str) -> None:
        """End a node."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for number in (signal.SIGCONT, signal.SIGKILL):
                self.signal(name, number)
        self.processes.pop(name).wait()

    def train(self, project: Project, log: Path) -> "subprocess.Popen[bytes]":
        """Start `make train CLUSTER=…`, but for make."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "commands.cluster", self.address],
                cwd=project.folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def token(self) -> str:
        """The token."""
        return (self.folder / ".ray/auth_token").read_text()

    def close(self) -> None:
        """End what has been started."""
        for name in reversed([*self.processes]):
            self.remove(name)
        shutil.rmtree(self.folder, ignore_errors=True)
