"""A cluster as the driver knows it: its nodes, and what they must have in common."""

import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from podium.cluster.facts import Facts, facts
from podium.cluster.node_program import Event, Work
from podium.core import files
from podium.core.errors import counted, examples


class NodeError(Exception):
    """A node, or the way to it, has failed."""


class NodeLostError(NodeError):
    """A node is gone for good."""


class Node(NamedTuple):
    """A machine of the cluster."""

    id: str
    name: str
    cpus: int
    gpus: int

    @property
    def size(self) -> str:
        """Its cores and GPUs in words."""
        return f"{counted(self.cpus, 'core')}, {counted(self.gpus, 'GPU')}"


class Request(NamedTuple):
    """What a task gets."""

    gpus: int | None  # None: 1 if the cluster has any
    cpus: int | None  # None: an equal share of its node
    environment: dict[str, str]


class Cluster(Protocol):
    """Machines that run the node program."""

    def nodes(self) -> dict[str, Node]:
        """The nodes that are alive, by id."""

    async def facts(self, node: Node) -> Facts:
        """Run `facts.facts` on a node."""

    def events(
        self, node: Node, work: Work, *, cpus: int, gpus: int
    ) -> AsyncGenerator[Event, None]:
        """Run `node_program.run` on a node. Raises NodeError if that fails. Closing it stops the
        program.
        """


def differences(versions: dict[str, str], expected: dict[str, str]) -> str:
    """Name the packages that a node lacks or has in other versions; "" if there are none."""
    return examples(
        [
            f"{name} {versions.get(name, 'is missing')} instead of {version}"
            for name, version in sorted(expected.items())
            if versions.get(name) != version
        ]
    )


def slots_of(node: Node, gpus: int, cpus: int | None) -> int:
    """The number of tasks that a node runs at a time."""
    limits = [node.gpus // gpus] if gpus else []
    limits += [node.cpus // cpus] if cpus else []
    return min(limits, default=1)


def free_slots(
    nodes: list[Node], busy: Mapping[str, int], gpus: int, cpus: int | None
) -> list[tuple[Node, int]]:
    """A node and its number of tasks at a time for each task that can start now, those first whose
    nodes have the least to do. `busy` are the tasks that run on a node, by id.
    """
    free = []
    for node in nodes:
        slots = slots_of(node, gpus, cpus)
        free += [(used, node, slots) for used in range(busy[node.id], slots)]
    return [(node, slots) for _, node, slots in sorted(free, key=lambda slot: slot[0])]


def locked_versions(requirements: Path) -> dict[str, str]:
    """The versions on this machine of Python and of the packages in the lock."""
    text = files.read(requirements).decode()
    names = {"python", "ray", *re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)}
    return {name: text for name, text in facts().versions.items() if name in names}
