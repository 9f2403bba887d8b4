"""The driver: gives each training run to a node, takes its results, and deals with failures.

It knows a cluster only as a `Cluster`; which process runs where is Ray's business.
"""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

from podium.cluster.facts import Facts
from podium.cluster.job import Job
from podium.cluster.nodes import (
    Cluster,
    Node,
    NodeError,
    NodeLostError,
    Request,
    differences,
    free_slots,
)
from podium.cluster.pipeline import Pipeline
from podium.cluster.view import View
from podium.core import signals
from podium.core.errors import Stopped, UserError, examples

POLL_SECONDS = 1.0
WAIT_SECONDS = 60.0  # between two lines that say that there are no nodes
MAX_NODE_FAILURES = 2  # in a row
MAX_ATTEMPTS = 5  # of one model and fold


class Driver:
    """Runs jobs on a cluster."""

    def __init__(
        self,
        cluster: Cluster,
        pipeline: Pipeline,
        request: Request,
        *,
        versions: dict[str, str],
        view: View,
    ) -> None:
        """`versions` are those that the nodes must have."""
        self.cluster, self.pipeline, self.request = cluster, pipeline, request
        self.versions, self.view, self.snapshot = versions, view, dict[str, bytes]()
        self.usable = dict[str, Node]()
        self.lost = set[str]()  # nodes that are dead, though the cluster may still list them
        self.rejected = dict[str, str]()  # nodes that are not used, and why
        self.pending, self.devices = list[Job](), set[str]()
        self.failures = Counter[str]()  # in a row, by node
        self.running = dict["asyncio.Task[tuple[str, str] | None]", tuple[Job, Node]]()
        self.checks = dict[str, "asyncio.Task[Facts]"]()
        self.stopped_by: str | None = None
        self.last_wait = time.monotonic()

    async def run(self, jobs: list[Job], snapshot: dict[str, bytes]) -> None:
        """Run all jobs on the `snapshot` of the tree.

        Raises:
            UserError: with the message of a stage, if it is a mistake of the user; if a job fails
                on several nodes; if no node can be used.
            Stopped: on a signal to stop.
        """
        loop = asyncio.get_running_loop()
        for number in signals.to_stop():
            loop.add_signal_handler(number, setattr, self, "stopped_by", number.name)
        self.pending, self.snapshot = [*jobs], snapshot
        for job in jobs:
            self.view.add(job.name, model=job.model, fold=job.fold)
        try:
            while self.pending or self.running:
                if self.stopped_by is not None:
                    raise Stopped(self.stopped_by)
                nodes = await asyncio.to_thread(self.cluster.nodes)
                self._admit(nodes)
                await self._drop_lost(nodes)
                self._start()
                self._check_nodes(nodes)
                await self._wait()
        finally:
            await _cancel([*self.running, *self.checks.values()])

    def _admit(self, nodes: dict[str, Node]) -> None:
        """Use new nodes that have the driver's versions."""
        for node in nodes.values():
            if node.id in self.lost.union(self.usable, self.rejected):
                continue
            check = self.checks.get(node.id)
            if check is None:
                self.checks[node.id] = asyncio.create_task(self.cluster.facts(node))
            elif check.done():
                del self.checks[node.id]
                if (error := check.exception()) is not None:
                    self._failed(node, str(error))
                elif problem := differences(check.result().versions, self.versions):
                    self._reject(node, problem)
                else:
                    self.usable[node.id] = node
                    self._note_device(node, check.result().device)

    def _note_device(self, node: Node, device: str) -> None:
        self.view.say(f"node {node.name}: {device}, {node.size}")
        self.devices.add(device)
        if len(self.devices) > 1:
            self.view.say(
                f"warning: devices differ ({', '.join(sorted(self.devices))}): results may differ "
                "in their last digits from those of one device"
            )

    def _reject(self, node: Node, reason: str) -> None:
        self.usable.pop(node.id, None)
        self.rejected[node.id] = f"{node.name}: {reason}"
        self.view.say(f"warning: not using node {node.name}: {reason}")

    async def _drop_lost(self, nodes: dict[str, Node]) -> None:
        """Give the jobs of nodes that are gone to others. Ray tells the owner of a task on a frozen
        node nothing; what such a node sends later is ignored.
        """
        for node in [node for node in self.usable.values() if node.id not in nodes]:
            self._lose(node)
        for node_id in [node_id for node_id in self.checks if node_id not in nodes]:
            await _cancel([self.checks.pop(node_id)])
        for task, (job, node) in list(self.running.items()):
            if node.id not in nodes and not task.done():
                del self.running[task]
                await _cancel([task])
                self._again(job, "its node was lost")

    def _lose(self, node: Node) -> None:
        if self.usable.pop(node.id, None) is not None:
            self.lost.add(node.id)
            self.view.say(f"warning: node {node.name} is lost")

    def _start(self) -> None:
        """Fill the free slots of all usable nodes; at first, when all that are there are known."""
        if self.checks and not self.running:
            return
        gpus = self.request.gpus
        if gpus is None:
            gpus = int(any(node.gpus for node in self.usable.values()))
        busy = Counter(node.id for _, node in self.running.values())
        free = free_slots([*self.usable.values()], busy, gpus, self.request.cpus)
        for node, slots in free[: len(self.pending)]:
            job = self.pending.pop(0)
            job.attempts += 1
            job.begin()
            cpus = self.request.cpus or max(1, node.cpus // slots)
            attempt = self._attempt(job, node, cpus=cpus, gpus=gpus, slots=slots)
            self.running[asyncio.create_task(attempt)] = (job, node)
            self.view.set(job.name, "starting", node=node.name)

    def _check_nodes(self, nodes: dict[str, Node]) -> None:
        """Say if nothing can run.

        Raises:
            UserError: if no node can be used for a reason other than that there are none yet.
        """
        if self.running or self.checks:
            return
        reasons = [reason for node, reason in self.rejected.items() if node in nodes]
        if not self.usable and reasons:
            raise UserError(f"No node can be used. {examples(reasons)}")
        if self.usable and self.pending:
            raise UserError("No node has the GPUs and cores of a task. Lower GPUS or CPUS.")
        if time.monotonic() - self.last_wait > WAIT_SECONDS:
            self.last_wait = time.monotonic()
            self.view.say("waiting for nodes: start them with `make node HEAD=host:port`")

    async def _wait(self) -> None:
        """Wait a moment, and deal with the attempts that have ended."""
        if not self.running:
            await asyncio.sleep(POLL_SECONDS)
            return
        done, _ = await asyncio.wait(
            self.running, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            job, node = self.running.pop(task)
            failure = task.result()
            if failure is None:
                self.failures[node.id] = 0
                self.view.set(job.name, "done", node=node.name)
                continue
            kind, message = failure
            if kind == "user":
                raise UserError(f"{job.name}: {message}")
            if kind == "lost":
                self._lose(node)
            else:
                self._failed(node, message)
            self._again(job, message)

    def _failed(self, node: Node, message: str) -> None:
        """Count a failure; exclude a node after two."""
        self.failures[node.id] += 1
        if self.failures[node.id] >= MAX_NODE_FAILURES:
            self._reject(node, f"it has failed twice, last with: {message}")

    def _again(self, job: Job, reason: str) -> None:
        """Give a job to another node, first of all, unless all of its results have arrived.

        Raises:
            UserError: if it has failed too often.
        """
        if job.complete:
            self.view.set(job.name, "done")
            return
        if job.attempts >= MAX_ATTEMPTS:
            raise UserError(f"{job.name} failed {job.attempts} times, last with: {reason}")
        self.view.say(f"warning: {job.name} runs again from its last checkpoint: {reason}")
        self.view.set(job.name, "waiting")
        self.pending.insert(0, job)

    async def _attempt(
        self, job: Job, node: Node, *, cpus: int, gpus: int, slots: int
    ) -> tuple[str, str] | None:
        """Run a job: None, or how it failed (user, system or lost; message)."""
        try:
            share = {"PODIUM_CORES": str(cpus), "PODIUM_TASKS": str(slots)}
            environment = {**self.request.environment, **share}
            work = await asyncio.to_thread(job.work, self.pipeline, self.snapshot, environment)
            events = self.cluster.events(node, work, cpus=cpus, gpus=gpus)
            async with contextlib.aclosing(events):
                async for kind, name, content in events:
                    if kind == "line":
                        self.view.line(job.name, name)
                        if job.read(name):
                            return None
                    elif kind == "status":
                        self.view.status(job.name, content)
                    elif kind == "failed":
                        message = content.decode()
                        excused = name == "user" and job.excuses(message)
                        return None if excused else (name, message)
                    else:
                        await job.store(self.pipeline, kind, name, content)
        except NodeLostError:
            return "lost", "its node was lost"
        except (NodeError, ValueError) as error:
            return "system", str(error)
        return None if job.complete else ("system", "not all results have arrived")


async def _cancel(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
