"""The cluster that Ray runs: its nodes, and the node program as a task on one of them."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from podium.cluster import facts, node_program, process
from podium.cluster.facts import Facts
from podium.cluster.node_program import Event, Work
from podium.cluster.nodes import Node, NodeError, NodeLostError
from podium.core import signals
from podium.core.errors import UserError

START_SECONDS = 60.0
READY = "This command will now block forever"
# A node that does not answer is dead after about ten seconds; Ray's own settings take 65. Tasks run
# with the priority of other processes, which Ray lowers.
SETTINGS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_worker_niceness": "0",
}
OPTIONS = ("--block", "--disable-usage-stats", "--include-log-monitor=false")


def start_command(head: str | None, *options: str) -> list[str]:
    """The command that starts a node, as a process that ends with it: a head if `head` is None."""
    role = ["--head", "--include-dashboard=false"] if head is None else [f"--address={head}"]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *OPTIONS, *options]


def environment() -> dict[str, str]:
    """The environment of a node. It must not import this project's code, but the driver's."""
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return {**SETTINGS, **inherited}


@contextlib.contextmanager
def connect(address: str, read: Callable[[str], bytes]) -> "Iterator[RayCluster]":
    """Connect to the head at `address` (host:port), or start one here (`auto`). `read` gets the
    content of a DVC cache object.

    Raises:
        UserError: if there is no cluster, or if it does not ask for the token.
    """
    with tempfile.TemporaryDirectory(prefix="podium-", ignore_cleanup_errors=True) as folder:
        if address == "auto":
            command = start_command(None, f"--port={_free_port()}", f"--temp-dir={folder}")
        else:
            _require_authentication(address)
            resources = ("--num-cpus=0", "--num-gpus=0")  # Ray's drivers need a node beside them
            command = start_command(address, *resources, f"--temp-dir={folder}")
        with _started(command, Path(folder, "start.log")) as output:
            if address == "auto":
                address = re.findall(r"--address='(\S+?)'", output)[0]
            ray.init(address, _temp_dir=folder, log_to_driver=False, logging_level="ERROR")
            try:
                yield RayCluster(address, read)
            finally:
                ray.shutdown()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("", 0))
        return server.getsockname()[1]


def _require_authentication(address: str) -> None:
    """Raises: UserError: if the head is absent, or answers a client without the token."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"CLUSTER={address}: {error}. Give host:port of a head (`make node` without HEAD), or "
            "auto."
        ) from None
    code = "import sys, ray._raylet as r; r.GcsClient(sys.argv[1]).get_all_node_info(10)"
    without = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code, address],
        env={**without, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        raise UserError(
            f"The cluster at {address} runs what anyone sends it. Start its head with `make node`."
        )


@contextlib.contextmanager
def _started(command: list[str], log: Path) -> Iterator[str]:
    """Run a node beside the driver; its first output."""
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=signals.die_with_parent,  # noqa: PLW1509
            start_new_session=True,  # Ctrl-C is for the driver
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while READY not in (output := log.read_text()):
                if process.poll() is not None or time.monotonic() > deadline:
                    last = output.strip().splitlines()[-3:]
                    raise UserError(f"Ray did not start: {' '.join(last)}")
                time.sleep(0.1)
            yield output
        finally:
            process.terminate()


def _run(work: Work, objects: dict[str, "ray.ObjectRef[bytes]"]) -> Iterator[Event]:
    yield from node_program.run(work, lambda name: ray.get(objects[name]))


class RayCluster:
    """See `driver.Cluster`."""

    def __init__(self, address: str, read: Callable[[str], bytes]) -> None:
        """Use the cluster that this process is connected to."""
        self.address, self.read = address, read
        self.objects = dict[str, "ray.ObjectRef[bytes]"]()
        self._putting = asyncio.Lock()
        # Nodes get this code by value: they have none of ours, or that of another version.
        for module in (facts, node_program, process, sys.modules[__name__]):
            ray.cloudpickle.register_pickle_by_value(module)
        self._run = ray.remote(_run)
        self._facts = ray.remote(facts.facts)

    def nodes(self) -> dict[str, Node]:
        """The nodes that are alive and have cores, by id."""
        nodes = {}
        for node in ray.nodes():
            resources = node["Resources"]
            if node["Alive"] and resources.get("CPU"):
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                cpus, gpus = int(resources["CPU"]), int(resources.get("GPU", 0))
                nodes[node["NodeID"]] = Node(node["NodeID"], name, cpus, gpus)
        return nodes

    async def facts(self, node: Node) -> Facts:
        """Run `facts.facts` on a node."""
        with _node_errors():
            return await self._facts.options(num_cpus=0, **_only_on(node)).remote()

    def _put(self, name: str) -> "ray.ObjectRef[bytes]":
        return ray.put(self.read(name))

    async def events(
        self, node: Node, work: Work, *, cpus: int, gpus: int
    ) -> AsyncGenerator[Event, None]:
        """Run `node_program.run` on a node."""
        async with self._putting:
            for name in work.objects:
                if name not in self.objects:
                    self.objects[name] = await asyncio.to_thread(self._put, name)
        objects = {name: self.objects[name] for name in work.objects}
        task = self._run.options(
            num_cpus=cpus, num_gpus=gpus, num_returns="streaming", **_only_on(node)
        )
        events = task.remote(work, objects)
        try:
            with _node_errors():
                async for event in events:
                    yield await event
        finally:
            with contextlib.suppress(exceptions.RayError):
                ray.cancel(events)


def _only_on(node: Node) -> dict[str, Any]:
    """Options of a task. Failures are for the driver to deal with."""
    strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
    return {"scheduling_strategy": strategy, "max_retries": 0}


@contextlib.contextmanager
def _node_errors() -> Iterator[None]:
    try:
        yield
    except (exceptions.NodeDiedError, exceptions.TaskUnschedulableError):
        raise NodeLostError from None
    except exceptions.RayError as error:
        raise NodeError(str(error).strip().splitlines()[-1]) from None
