"""The missing stages of one model and fold: what a node gets for them, and what it sends."""

import re

from podium.cluster import node_program
from podium.cluster.node_program import Work
from podium.cluster.pipeline import Pipeline
from podium.core import files, paths


class Job:
    """The missing stages of one model and fold."""

    def __init__(self, model: str, fold: int, stages: tuple[str, ...]) -> None:
        """Reproduce `stages`."""
        self.model, self.fold, self.stages = model, fold, stages
        self.name = f"{model}-{fold}"
        self.folder = paths.CHECKPOINTS / paths.fold_name(model, fold)
        self.entries = dict[str, bytes]()  # of the run cache, that have arrived
        self.attempts = 0

    @property
    def complete(self) -> bool:
        """Whether all results have arrived."""
        return len(self.entries) >= len(self.stages)

    def work(
        self, pipeline: Pipeline, snapshot: dict[str, bytes], environment: dict[str, str]
    ) -> Work:
        """What a node gets: also what an earlier attempt has sent."""
        inputs, objects = pipeline.inputs(self.stages)
        saved = sorted((pipeline.root / self.folder).glob("*.ckpt"))
        arrived = {name for entry in self.entries.values() for name in node_program.outputs(entry)}
        results = [name for out in arrived for name in pipeline.with_contents(out)]
        return Work(
            stages=self.stages,
            files=snapshot,
            inputs=tuple(inputs),
            objects=tuple(dict.fromkeys([*objects, *results])),
            entries={**self.entries},
            checkpoints={(self.folder / file.name).as_posix(): file.read_bytes() for file in saved},
            checkpoint_folder=self.folder.as_posix(),
            environment=environment,
        )

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """Store what a node has sent."""
        folder = pipeline.root / self.folder
        if kind == "object":
            pipeline.add_object(name, content)
        elif kind == "entry":
            pipeline.add_entry(name, content)
            self.entries[name] = content
            files.remove(folder)  # as a training run does in the end
        elif kind == "checkpoint" and re.fullmatch(r"\d\.ckpt", name):
            files.write_bytes(folder / name, content)
