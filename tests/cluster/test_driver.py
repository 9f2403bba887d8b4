"""The driver's decisions, on a cluster of fakes: nodes that fail, freeze, differ."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from podium.cluster import driver as driver_module
from podium.cluster.driver import Driver
from podium.cluster.facts import Facts
from podium.cluster.job import Job
from podium.cluster.node_program import Event, Work
from podium.cluster.nodes import Node, NodeError, Request
from podium.cluster.view import View
from podium.core.errors import Stopped, UserError
from podium.training.status import Status, running

VERSIONS = {"python": "3.11.1", "torch": "2.11.0"}
ENTRY = f"00/{64 * '0'}/{64 * '0'}"


class FakePipeline:
    """Keeps what arrives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.arrived = list[bytes]()

    def inputs(self, stages: tuple[str, ...]) -> tuple[list[str], list[str]]:
        return [], []

    def uncached(self, stages: tuple[str, ...]) -> dict[str, bytes]:
        return {}

    def with_contents(self, name: str) -> list[str]:
        return [name]

    def add_object(self, name: str, content: bytes) -> None:
        pass

    def add_entry(self, name: str, content: bytes) -> None:
        self.arrived.append(content)


class FakeCluster:
    """Each node runs `behaviors[node]` for a job; by default it succeeds."""

    def __init__(self, count: int, **behaviors: Callable[[Work], Any]) -> None:
        self.alive = {f"n{i}": Node(f"n{i}", f"n{i}", cpus=1, gpus=0) for i in range(count)}
        self.behaviors = behaviors
        self.versions = dict[str, dict[str, str]]()
        self.devices = dict[str, str]()
        self.attempts = list[tuple[str, str]]()

    def nodes(self) -> dict[str, Node]:
        return {**self.alive}

    async def facts(self, node: Node) -> Facts:
        return Facts(self.versions.get(node.id, VERSIONS), self.devices.get(node.id, "cpu"))

    async def events(
        self, node: Node, work: Work, *, cpus: int, gpus: int
    ) -> AsyncGenerator[Event, None]:
        self.attempts.append((node.id, work.stages[0]))
        await asyncio.sleep(0.01)
        if node.id in self.behaviors:
            async for event in self.behaviors[node.id](work):
                yield event
        else:
            yield "entry", ENTRY, work.stages[0].encode()


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[FakeCluster, int], FakePipeline]:
    monkeypatch.setattr(driver_module, "POLL_SECONDS", 0.02)

    def run(cluster: FakeCluster, count: int) -> FakePipeline:
        pipeline: Any = FakePipeline(tmp_path)
        jobs = [Job("m", fold, (f"train@m-{fold}",)) for fold in range(count)]
        request = Request(None, None, {})
        driver = Driver(cluster, pipeline, request, versions=VERSIONS, view=View())
        asyncio.run(driver.run(jobs, {}))
        return pipeline

    return run


def expected(count: int) -> list[bytes]:
    return [f"train@m-{fold}".encode() for fold in range(count)]


async def breaks(work: Work) -> AsyncGenerator[Event, None]:
    yield "line", "hello", b""
    raise NodeError("the worker died")


async def mistake(work: Work) -> AsyncGenerator[Event, None]:
    yield "failed", "user", b"batch_size: 512 does not fit"


def test_what_a_nodes_training_says_of_itself_is_shown_by_make_watch(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = list[list[Status]]()

    async def reports(work: Work) -> AsyncGenerator[Event, None]:
        sent = Status("m", work.stages[0][-1], epoch=3, epochs=8, score=0.5, left=60.0, updated=1e9)
        yield "status", "m-0.json", json.dumps(asdict(sent)).encode()
        yield "status", "m-0.json", b"of another version"
        seen.append(running(tmp_path))
        yield "entry", ENTRY, b""

    run(FakeCluster(1, n0=reports), 2)
    shown = [[(s.node, s.fold, s.epoch, s.score, s.age < 60) for s in runs] for runs in seen]
    assert shown == [[("n0", "0", 3, 0.5, True)], [("n0", "1", 3, 0.5, True)]]
    assert running(tmp_path) == []


def test_each_job_runs_once(run: Any) -> None:
    cluster = FakeCluster(3)
    assert sorted(run(cluster, 10).arrived) == expected(10)
    assert len(cluster.attempts) == 10 and {node for node, _ in cluster.attempts} == {
        *cluster.alive
    }


def test_the_size_of_a_node_in_words() -> None:
    sizes = [Node("n", "n", cpus, gpus).size for cpus, gpus in ((1, 0), (8, 1), (2, 2))]
    assert sizes == ["1 core, 0 GPUs", "8 cores, 1 GPU", "2 cores, 2 GPUs"]


def test_a_node_that_fails_twice_is_excluded(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = FakeCluster(2, n0=breaks)
    assert sorted(run(cluster, 10).arrived) == expected(10)
    assert [node for node, _ in cluster.attempts].count("n0") == 2
    assert "not using node n0: it has failed twice, last with: the worker died" in (
        capsys.readouterr().out
    )


def test_if_all_nodes_fail_the_reason_is_given(run: Any) -> None:
    with pytest.raises(UserError, match=r"No node can be used\. n0: .* the worker died"):
        run(FakeCluster(1, n0=breaks), 2)


def test_a_users_error_is_not_retried(run: Any) -> None:
    cluster = FakeCluster(1, n0=mistake)
    with pytest.raises(UserError, match="m-0: batch_size: 512 does not fit"):
        run(cluster, 3)
    assert len(cluster.attempts) == 1


def test_the_job_of_a_frozen_node_runs_again_and_its_late_result_is_ignored(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def freeze(work: Work) -> AsyncGenerator[Event, None]:
        del cluster.alive["n0"]  # as Ray says; its task says nothing
        await asyncio.sleep(0.3)
        yield "entry", ENTRY, b"late"

    async def slow(work: Work) -> AsyncGenerator[Event, None]:
        await asyncio.sleep(0.2)
        yield "entry", ENTRY, work.stages[0].encode()

    cluster = FakeCluster(2, n0=freeze, n1=slow)
    assert sorted(run(cluster, 3).arrived) == expected(3)
    assert "node n0 is lost" in capsys.readouterr().out


def test_a_result_that_arrives_while_its_node_is_lost_counts(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, add_entry = FakeCluster(2), FakePipeline.add_entry

    def slow(self: FakePipeline, name: str, content: bytes) -> None:
        cluster.alive.pop("n0", None)
        time.sleep(0.2)
        add_entry(self, name, content)

    monkeypatch.setattr(FakePipeline, "add_entry", slow)
    assert sorted(run(cluster, 4).arrived) == expected(4)
    assert len(cluster.attempts) == 4


def test_a_node_with_other_versions_is_rejected(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = FakeCluster(2)
    cluster.versions["n0"] = {"python": "3.12.1"}
    assert sorted(run(cluster, 3).arrived) == expected(3)
    assert {node for node, _ in cluster.attempts} == {"n1"}
    assert (
        "not using node n0: python 3.12.1 instead of 3.11.1, torch is missing instead of 2.11.0"
        in capsys.readouterr().out
    )


def test_mixed_devices_are_reported(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = FakeCluster(2)
    cluster.devices["n1"] = "H100"
    run(cluster, 4)
    assert "warning: devices differ (H100, cpu)" in capsys.readouterr().out


def test_a_job_that_fails_everywhere_ends_the_run(run: Any) -> None:
    async def fails(work: Work) -> AsyncGenerator[Event, None]:
        yield "failed", "system", b"exited with -9"

    with pytest.raises(UserError, match="m-0 failed 5 times, last with: exited with -9"):
        run(FakeCluster(9, **{f"n{i}": fails for i in range(9)}), 1)


def test_ctrl_c_stops_the_tasks_and_keeps_what_they_have_sent(run: Any, tmp_path: Path) -> None:
    stopped = []

    async def interrupted(work: Work) -> AsyncGenerator[Event, None]:
        yield "checkpoint", "1.ckpt", b"state"
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(work.stages[0])

    with pytest.raises(Stopped, match="SIGINT"):
        run(FakeCluster(1, n0=interrupted), 1)
    assert stopped == ["train@m-0"]
    assert (tmp_path / ".checkpoints/m/fold0/1.ckpt").read_bytes() == b"state"


def test_each_of_250_results_arrives_once_from_50_nodes_that_fail_at_random(run: Any) -> None:
    random, cluster = Random(0), FakeCluster(50)

    async def unreliable(work: Work) -> AsyncGenerator[Event, None]:
        await asyncio.sleep(random.random() / 10)
        fate = random.random()
        if fate < 0.05:
            raise NodeError("the worker died")
        if fate < 0.1:  # a node leaves, and another one joins
            lost = random.choice([*cluster.alive])
            del cluster.alive[lost]
            name = f"n{len(cluster.attempts)}-{lost}"
            cluster.alive[name] = Node(name, name, cpus=1, gpus=0)
            cluster.behaviors[name] = unreliable
        yield "entry", ENTRY, work.stages[0].encode()

    cluster.behaviors = dict.fromkeys(cluster.alive, unreliable)
    assert sorted(run(cluster, 250).arrived) == sorted(expected(250))
    assert len(cluster.attempts) > 250
