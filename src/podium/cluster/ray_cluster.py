"""The cluster that Ray runs: its nodes, and the node program as a task on one of them."""

import asyncio
import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from podium.cluster import facts, head, node_program, process, ray_node
from podium.cluster.address import Address
from podium.cluster.facts import Facts
from podium.cluster.node_program import Event, Work
from podium.cluster.nodes import Node, NodeError, NodeLostError
from podium.core.errors import UserError

HEAD_SECONDS = 10.0  # without an answer, after which it is gone


@contextlib.contextmanager
def connect(given: Address | None, read: Callable[[str], bytes]) -> "Iterator[RayCluster]":
    """Connect to the head at `given`, or start one here if that is None. `read` gets the content of
    a DVC cache object.

    Raises:
        UserError: if Ray does not start.
    """
    with tempfile.TemporaryDirectory(prefix="podium-", ignore_cleanup_errors=True) as folder:
        # Ray's drivers need a node beside them.
        beside = ("--num-cpus=0", "--num-gpus=0")
        options = (f"--port={_free_port()}",) if given is None else beside
        command = ray_node.start_command(given, *options, f"--temp-dir={folder}")
        with ray_node.started(command, lambda _: None) as node:
            address = given or node.address
            ray.init(str(address), _temp_dir=folder, log_to_driver=False, logging_level="ERROR")
            try:
                yield RayCluster(address, read)
            finally:
                ray.shutdown()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("", 0))
        return server.getsockname()[1]


def _run(work: Work, objects: dict[str, "ray.ObjectRef[bytes]"]) -> Iterator[Event]:
    yield from node_program.run(work, lambda name: ray.get(objects[name]))


class RayCluster:
    """See `driver.Cluster`."""

    def __init__(self, address: Address, read: Callable[[str], bytes]) -> None:
        """Use the cluster that this process is connected to."""
        self.address, self.read = address, read
        self.known, self.seen = dict[str, Node](), time.monotonic()  # of the head
        self.objects = dict[str, "ray.ObjectRef[bytes]"]()
        self._putting = asyncio.Lock()
        # Nodes get this code by value: they have none of ours, or that of another version.
        for module in (facts, node_program, process, sys.modules[__name__]):
            ray.cloudpickle.register_pickle_by_value(module)
        self._run = ray.remote(_run)
        self._facts = ray.remote(facts.facts)

    def nodes(self) -> dict[str, Node]:
        """The nodes that are alive and have cores, by id.

        Raises:
            UserError: if the head is gone. Ray would end this process after a minute.
        """
        if not head.answers(self.address):
            if time.monotonic() - self.seen > HEAD_SECONDS:
                raise UserError(
                    f"the head at {self.address} is gone. Start it again with `make node` and "
                    "rerun: what has arrived is kept, and the rest resumes."
                )
            return self.known
        nodes, self.seen = {}, time.monotonic()
        for node in ray.nodes():
            resources = node["Resources"]
            if node["Alive"] and resources.get("CPU"):
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                cpus, gpus = int(resources["CPU"]), int(resources.get("GPU", 0))
                nodes[node["NodeID"]] = Node(node["NodeID"], name, cpus, gpus)
        self.known = nodes
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
