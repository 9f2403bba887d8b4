"""`make node`: what it starts and says, and that nothing of it is left when it ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from loopback import heed_hangup

pytest.importorskip("ray", reason="needs Ray: `make test-cluster`")
pytestmark = [pytest.mark.slow, pytest.mark.cluster]

READY = "Ctrl-C"
AUTO = """
import time
from podium.cluster import token

token.require(create=True)
from podium.cluster import ray_cluster

with ray_cluster.connect(None, lambda name: b"") as cluster:
    (node,) = cluster.nodes().values()
    print(cluster.address, node.cpus, flush=True)
    time.sleep(100)
"""
Start = Callable[..., "Node"]


def left(home: Path) -> list[str]:
    """The processes with this home that still run."""
    return [
        str(process.info["cmdline"])
        for process in psutil.process_iter(["environ", "cmdline", "status"])
        if (process.info["environ"] or {}).get("HOME") == str(home)
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


class Node:
    """`make node` with the Makefile, in a session of its own."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self.home, self.log = home, home / f"{time.monotonic_ns()}.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MAKE"))}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                ["make", "-o", ".venv/.cluster", "node", *arguments],
                cwd=home / "project",
                env={**inherited, "HOME": str(home), "PATH": programs, **environment},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_hangup,  # noqa: PLW1509
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def ready(self) -> "Node":
        deadline = time.monotonic() + 90
        while READY not in self.text:
            assert self.process.poll() is None and time.monotonic() < deadline, self.text
            time.sleep(0.1)
        return self

    def error(self) -> str:
        """Its message; it must end."""
        assert self.process.wait(timeout=90) == 2, self.text
        (message,) = re.findall("^error: (.*)$", self.text, re.MULTILINE)
        assert "Traceback" not in self.text
        return str(message)

    def left(self) -> list[str]:
        """The processes that it has started and that still run."""
        return left(self.home)

    def command(self) -> psutil.Process:
        """The Python process."""
        (child,) = psutil.Process(self.process.pid).children()
        return child


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a project; the name is short, for those of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="podium-"))
    (folder / "project").mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-cluster.txt"):
        shutil.copy(ROOT / name, folder / "project")
    (folder / "project/src").symlink_to(ROOT / "src")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    nodes = list[Node]()

    def started(*arguments: str, **environment: str) -> Node:
        nodes.append(Node(home, *arguments, **environment))
        return nodes[-1]

    yield started
    for node in nodes:
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get("HOME") == str(home):
                process.kill()
        node.process.wait()


@pytest.fixture
def port() -> int:
    with socket.socket() as server:
        server.bind(("", 0))
        return int(server.getsockname()[1])


def small(home: Path, port: int, ip: str) -> str:
    return (
        f"ARGS=--port={port} --object-store-memory=100000000 --num-cpus=1 --temp-dir={home}/r "
        f"--node-ip-address={ip}"
    )


@pytest.mark.long
def test_it_says_how_to_use_the_cluster_and_others_what_is_wrong(
    start: Start, home: Path, port: int
) -> None:
    head = start(small(home, port, "127.0.0.2")).ready()
    for line in (
        f"the cluster runs at 127.0.0.2:{port}; Ctrl-C ends it",
        f"the token is in {home}/.ray/auth_token: copy it to the other machines",
        f"on other machines:     make node HEAD=127.0.0.2:{port}\n",
        f"make train CLUSTER=127.0.0.2:{port}\n",
        "warning: other machines cannot reach 127.0.0.2.",
    ):
        assert line in head.text
    assert "ray start" not in head.text and "Next steps" not in head.text
    address = f"127.0.0.2:{port}"
    assert start(small(home, port, "127.0.0.3")).error() == (
        f"port {port} is taken: a head runs already. Join it with `make node HEAD={address}`, or "
        f"start another one with ARGS=--port={port + 1}."
    )
    other = start(f"HEAD={address}", RAY_AUTH_TOKEN="a").error()
    assert "has another token than this machine (the variable RAY_AUTH_TOKEN)" in other
    text = start(f"HEAD={address}", "ARGS=--no-such-option").error()
    assert text.startswith("Ray did not start: ") and "no-such-option" in text
    with socket.create_server(("127.0.0.1", 0)) as server:
        unknown = server.getsockname()[1]
        joining, starting = start(f"HEAD=127.0.0.1:{unknown}"), start(f"ARGS=--port={unknown}")
        assert "a program that is not a cluster's head listens there" in joining.error()
        assert starting.error().startswith(f"port {unknown} is taken by another program. ")
    options = "ARGS=--node-ip-address=127.0.0.3 --num-cpus=1"
    joined = start(f"HEAD={address}", options, RAY_gcs_rpc_server_reconnect_timeout_s="5").ready()
    assert f"joined the cluster at {address} as 127.0.0.3; Ctrl-C leaves it" in joined.text
    head.process.terminate()
    assert head.process.wait(timeout=30) and head.text.count("the node has stopped") == 1
    assert joined.error() == f"the head at {address} is gone. Start it again, then rerun."
    assert not joined.left()


@pytest.mark.parametrize(
    "name",
    ["TERM to make",
     *(pytest.param(name, marks=pytest.mark.long)
       for name in ("KILL to make", "INT", "HUP", "TERM", "KILL"))],
)  # fmt: skip
def test_a_signal_ends_all_that_it_has_started(
    start: Start, home: Path, port: int, name: str
) -> None:
    node = start(small(home, port, "127.0.0.2")).ready()
    assert len(node.left()) > 4  # make, Python, Ray's head and its processes
    number = getattr(signal, f"SIG{name.partition(' ')[0]}")
    (node.process if "make" in name else node.command()).send_signal(number)
    deadline = time.monotonic() + 30
    while left := node.left():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert ("the node has stopped" in node.text) == (name != "KILL")


def test_a_second_signal_ends_it_at_once(start: Start, home: Path, port: int) -> None:
    node = start(small(home, port, "127.0.0.2")).ready()
    command = node.command()
    below = command.children(recursive=True)
    for process in below:
        process.suspend()  # Ray does not react
    begin = time.monotonic()
    for _ in range(2):
        command.send_signal(signal.SIGINT)
        time.sleep(1)
    while left := node.left():
        assert time.monotonic() - begin < 15, left
        time.sleep(0.2)
    assert not psutil.wait_procs(below, timeout=5)[1]  # some have changed their environment


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_head_for_one_command_has_an_address_and_ends_with_it(home: Path, number: int) -> None:
    """CLUSTER=auto."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-c", AUTO]
    environment = {**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+:\d+ \d+\n", line), line
        assert len(left(home)) > 4
        process.send_signal(number)
    deadline = time.monotonic() + 30
    while names := left(home):
        assert time.monotonic() < deadline, names
        time.sleep(0.2)


@pytest.mark.parametrize("options", ["--port=a", "--port 70000", "--head", "--address=a:1", "'"])
def test_options_that_it_cannot_use_are_explained(start: Start, options: str) -> None:
    assert start(f"ARGS={options}").error().startswith("ARGS")
