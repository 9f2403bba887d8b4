"""This machine as a cluster: the node program in a process of its own."""

import asyncio
from pathlib import Path

import psutil
import pytest

from podium.cluster.local import LocalCluster
from podium.cluster.node_program import Event, Work
from podium.core import machine

pytestmark = pytest.mark.slow

STAGES = """stages:
  quick:
    cmd: echo $CUDA_VISIBLE_DEVICES > out
    deps: [source]
    outs: [out]
  reports:
    cmd:
    - mkdir -p .checkpoints/.status
    - echo $PODIUM_TRACKING_DIR > .checkpoints/.status/a.json
    - sleep 3 && touch end
    outs: [end]
  waits:
    cmd: "echo started && sleep 60 && touch late"
    outs: [late]
"""


def work(stage: str) -> Work:
    files = {"dvc.yaml": STAGES.encode(), "source": b""}
    return Work((stage,), files, (), (), {}, {}, ".checkpoints/a", {})


def test_tasks_have_gpus_of_their_own_and_end_when_they_are_closed(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, lambda name: tmp_path / name, ["g0", "g1"])
    (node,) = cluster.nodes().values()
    assert node.gpus == 2 and node.cpus == machine.cores()

    async def run() -> list[Event]:
        waiting = cluster.events(node, work("waits"), cpus=1, gpus=1)
        async for _, line, _ in waiting:
            if line == "started":
                break
        events = [event async for event in cluster.events(node, work("quick"), cpus=1, gpus=1)]
        await waiting.aclose()
        return events

    events = asyncio.run(run())
    assert [content for kind, _, content in events if kind == "object"] == [b"g1\n"]
    assert {kind for kind, *_ in events} == {"line", "object", "entry"}
    assert cluster.gpus == ["g1", "g0"]
    folders = [process.info["cwd"] or "" for process in psutil.process_iter(["cwd"])]
    assert not [folder for folder in folders if str(tmp_path) in folder]
    assert not [*(cluster.folder / "tasks").glob("*.lock")]


def test_a_task_sends_its_status_and_knows_where_files_of_trackers_are_kept(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, lambda name: tmp_path / name, [])
    (node,) = cluster.nodes().values()

    async def run() -> list[Event]:
        return [event async for event in cluster.events(node, work("reports"), cpus=1, gpus=0)]

    statuses = [event for event in asyncio.run(run()) if event[0] == "status"]
    assert statuses == [("status", "a.json", f"{tmp_path}\n".encode())]
