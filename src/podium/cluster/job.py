"""The missing stages of one model and fold: what a node gets for them, and what it sends."""

import asyncio
import re

from podium.cluster import node_program
from podium.cluster.node_program import Work
from podium.cluster.pipeline import Pipeline
from podium.core import files, paths
from podium.core.paths import Fold


class Job:
    """The missing stages of one model and fold."""

    def __init__(self, model: str, fold: Fold, stages: tuple[str, ...]) -> None:
        """Reproduce `stages`."""
        self.model, self.fold, self.stages = model, fold, stages
        self.name = f"{model}-{fold}"
        self.folder = paths.CHECKPOINTS / paths.fold_name(model, fold)  # on the node
        self.saved = self.folder  # here
        self.entries = dict[str, bytes]()  # of the run cache, that have arrived
        self.attempts = 0

    @property
    def complete(self) -> bool:
        """Whether all results have arrived."""
        return len(self.entries) >= len(self.stages)

    def begin(self) -> None:
        """A node has been found."""

    def read(self, line: str) -> bool:  # noqa: ARG002
        """Read a line of the stages; whether they may stop."""
        return False

    def excuses(self, message: str) -> bool:  # noqa: ARG002
        """Whether the run continues when a stage fails with this message, an error of the user."""
        return False

    def work(
        self, pipeline: Pipeline, snapshot: dict[str, bytes], environment: dict[str, str]
    ) -> Work:
        """What a node gets: also what an earlier attempt has sent."""
        inputs, objects = pipeline.inputs(self.stages)
        saved = pipeline.root / self.saved
        checkpoints = {
            (self.folder / file.relative_to(saved)).as_posix(): file.read_bytes()
            for file in sorted(saved.rglob("*.ckpt"))
        }
        arrived = {name for entry in self.entries.values() for name in node_program.outputs(entry)}
        results = [name for out in arrived for name in pipeline.with_contents(out)]
        return Work(
            stages=self.stages,
            files={**snapshot, **pipeline.uncached(self.stages)},
            inputs=tuple(inputs),
            objects=tuple(dict.fromkeys([*objects, *results])),
            entries={**self.entries},
            checkpoints=checkpoints,
            checkpoint_folder=self.folder.as_posix(),
            environment=environment,
        )

    async def store(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """`receive` in a thread, to its end even if the attempt is cancelled meanwhile: the driver
        must know then whether the job is complete.
        """
        receiving = asyncio.create_task(
            asyncio.to_thread(self.receive, pipeline, kind, name, content)
        )
        try:
            await asyncio.shield(receiving)
        finally:
            await receiving

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """Store what a node has sent."""
        folder = pipeline.root / self.saved
        if kind == "object":
            pipeline.add_object(name, content)
        elif kind == "entry":
            pipeline.add_entry(name, content)
            self.entries[name] = content
            files.remove(folder)  # as a training run does in the end
        elif kind == "checkpoint" and re.fullmatch(r"(fold\d+/)?\d\.ckpt", name):
            files.write_bytes(folder / name, content)
