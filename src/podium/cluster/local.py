"""This machine as a cluster of one node: each task is a process that runs the node program."""

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

from podium.cluster import facts, node_program
from podium.cluster.facts import Facts
from podium.cluster.node_program import FOLDER_VARIABLE, Event, Work
from podium.cluster.nodes import Node, NodeError
from podium.core import files, machine, signals

LENGTH = struct.Struct("<Q")
STOP_SECONDS = 30.0


class LocalCluster:
    """See `nodes.Cluster`."""

    def __init__(self, root: Path, object_path: Callable[[str], Path], gpus: list[str]) -> None:
        """Run tasks of the project at `root` in its .dvc/tmp, where files can be links to DVC's
        cache. `object_path` returns the path of an object in the cache.
        """
        self.root, self.folder = root, root / ".dvc" / "tmp" / "podium"
        self.object_path, self.gpus = object_path, [*gpus]
        self.node = Node("local", socket.gethostname(), machine.cores(), len(gpus))

    def nodes(self) -> dict[str, Node]:
        """This machine."""
        return {self.node.id: self.node}

    async def facts(self, node: Node) -> Facts:  # noqa: ARG002
        """Run `facts.facts`."""
        return await asyncio.to_thread(facts.facts)

    async def events(
        self,
        node: Node,  # noqa: ARG002
        work: Work,
        *,
        cpus: int,  # noqa: ARG002
        gpus: int,
    ) -> AsyncGenerator[Event, None]:
        """Run `node_program.run` in a process."""
        taken = [self.gpus.pop(0) for _ in range(gpus)]
        visible = {machine.VISIBLE: ",".join(taken)} if self.node.gpus else {}
        tracking = {node_program.TRACKING_VARIABLE: str(self.root)}
        work = work._replace(environment={**work.environment, **visible, **tracking})
        objects = {name: str(self.object_path(name)) for name in work.objects}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "podium.cluster.local"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, FOLDER_VARIABLE: str(self.folder)},
            preexec_fn=signals.die_with_parent,
            start_new_session=True,  # Ctrl-C is for the driver
        )
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(pickle.dumps((work, objects)))
            process.stdin.close()
            while frame := await process.stdout.read(1):
                frame += await process.stdout.readexactly(LENGTH.size - 1)
                (length,) = LENGTH.unpack(frame)
                yield pickle.loads(await process.stdout.readexactly(length))
            if status := await process.wait():
                raise NodeError(f"the task's process exited with {status}")
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            raise NodeError("the task's process was killed") from None
        finally:
            await _end(process)
            self.gpus += taken


async def _end(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)


@contextlib.contextmanager
def connect(root: Path, object_path: Callable[[str], Path]) -> Iterator[LocalCluster]:
    """This machine, for the project at `root`."""
    cluster = LocalCluster(root, object_path, machine.gpus())
    try:
        yield cluster
    finally:
        files.remove(cluster.folder)


def main() -> None:
    """Read work from stdin and write events to stdout."""
    signal.signal(signal.SIGTERM, _exit)
    work, objects = pickle.load(sys.stdin.buffer)
    store = Path(os.environ[FOLDER_VARIABLE]) / "objects"
    store.mkdir(parents=True, exist_ok=True)
    for name, path in objects.items():
        with contextlib.suppress(OSError):  # it is there, or on another file system
            (store / name).hardlink_to(path)
    for event in node_program.run(work, lambda name: Path(objects[name]).read_bytes()):
        frame = pickle.dumps(event)
        sys.stdout.buffer.write(LENGTH.pack(len(frame)) + frame)
        sys.stdout.buffer.flush()


def _exit(*_: object) -> NoReturn:
    sys.exit(1)


if __name__ == "__main__":
    main()
