"""Run tasks on a simulated cluster whose nodes fail at random: real Ray and DVC cache, no training.

Each node is a Ray node of this machine (a raylet) with one core. A task gets the snapshot and the
inputs, waits for some seconds instead of running DVC, and returns the result that DVC would have
stored. Afterwards `dvc repro`, whose commands would fail, must find all results in its cache.

python benchmarks/cluster.py [--nodes 50] [--tasks 250] [--seconds 3] [--failure-every 5]
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

sys.path.append(str(Path(__file__).resolve().parent.parent / "src"))
os.environ.setdefault("RAY_AUTH_TOKEN", os.urandom(32).hex())

from podium.cluster import token

token.require()

import ray.cluster_utils  # noqa: E402

from podium.cluster import address as addresses  # noqa: E402
from podium.cluster import node_program, ray_cluster, ray_node  # noqa: E402
from podium.cluster.driver import Driver  # noqa: E402
from podium.cluster.job import Job  # noqa: E402
from podium.cluster.node_program import Event, Work  # noqa: E402
from podium.cluster.nodes import Request  # noqa: E402
from podium.cluster.pipeline import Pipeline  # noqa: E402
from podium.cluster.view import View  # noqa: E402

FOLDS = 5
INPUT_BYTES, RESULT_BYTES = 4 * 2**20, 2**20
PIPELINE = """stages:
  prepare: {cmd: "false", outs: [data]}
  train:
    matrix: {model: "${models}", fold: "${folds}"}
    cmd: "false"
    deps: [data]
    outs: ["out/${item.model}-${item.fold}"]
"""


def result(stage: str) -> bytes:
    """What the stage would have written."""
    return random.Random(stage).randbytes(RESULT_BYTES)


def project(folder: Path, tasks: int) -> None:
    """A DVC project whose inputs exist and whose trainings are missing."""
    (folder / "dvc.yaml").write_text(PIPELINE)
    models = [f"m{number}" for number in range(-(-tasks // FOLDS))]
    params = {"models": models, "folds": [*range(FOLDS)]}
    (folder / "params.yaml").write_text(json.dumps(params))
    (folder / "data").mkdir()
    for number in range(4):
        (folder / f"data/{number}").write_bytes(random.Random(number).randbytes(INPUT_BYTES))
    for command in (("git", "init"), ("dvc", "init"), ("dvc", "commit", "--force", "prepare")):
        subprocess.run([*command, "--quiet"], cwd=folder, check=True)


def entry(pipeline: Pipeline, stage_name: str) -> tuple[str, bytes]:
    """The entry of DVC's run cache for the stage's result: its name and content."""
    from dvc.stage.cache import _get_cache_hash
    from dvc.stage.serialize import to_single_stage_lockfile
    from dvc.utils.serialize import dumps_yaml

    with pipeline._repo() as repo:
        (stage,) = repo.stage.collect(stage_name)
        stage.save_deps()
        (out,) = stage.outs
        locked = to_single_stage_lockfile(stage)
    md5 = hashlib.md5(result(stage_name)).hexdigest()
    locked["outs"] = [{"path": out.def_path, "hash": "md5", "md5": md5, "size": RESULT_BYTES}]
    key = _get_cache_hash({**locked}, key=True)
    name = f"{key[:2]}/{key}/{_get_cache_hash({**locked})}"
    return name, dumps_yaml(locked).encode()


def waits(work: Work, folder: Path) -> Iterator[Event]:
    """Instead of `node_program._run_stages`."""
    data = [node_program.cached(folder / ".dvc/cache", name) for name in work.objects]
    assert sum(path.stat().st_size for path in data) > 4 * INPUT_BYTES
    for second in range(int(work.environment["SECONDS"])):
        yield "line", f"second {second}", b""
        time.sleep(1)
    (stage,) = work.stages
    content = result(stage)
    name, text = json.loads(work.environment[stage])
    yield "object", hashlib.md5(content).hexdigest(), content
    yield "entry", name, text.encode()


class Counted(Job):
    """Counts entries, and measures the time from a free node to the result."""

    arrived: ClassVar = Counter[str]()
    seconds: ClassVar = list[float]()

    def begin(self) -> None:
        """Start the clock."""
        self.start = time.monotonic()

    def receive(self, pipeline: Pipeline, kind: str, name: str, content: bytes) -> None:
        """As `Job.receive`."""
        super().receive(pipeline, kind, name, content)
        if kind == "entry":
            self.arrived[self.name] += 1
            self.seconds.append(time.monotonic() - self.start)

    def work(
        self, pipeline: Pipeline, snapshot: dict[str, bytes], environment: dict[str, str]
    ) -> Work:
        """As `Job.work`, with the entry."""
        (stage,) = self.stages
        name, content = entry(pipeline, stage)
        extra = {stage: json.dumps([name, content.decode()])}
        return super().work(pipeline, snapshot, {**environment, **extra})


def drive(address: str, folder: Path, seconds: int) -> None:
    """Be the driver, and print what was measured."""
    os.chdir(folder)
    pipeline = Pipeline(folder)
    node_program._run_stages = waits
    params = json.loads((folder / "params.yaml").read_text())
    jobs = [
        Counted(model, fold, (f"train@{model}-{fold}",))
        for model in params["models"]
        for fold in params["folds"]
    ]
    snapshot = {f"src/{number}.py": random.Random(number).randbytes(10**4) for number in range(90)}
    snapshot |= {name: (folder / name).read_bytes() for name in ("dvc.yaml", "params.yaml")}
    request = Request(0, 1, {"SECONDS": str(seconds)})
    before, start = os.times(), time.monotonic()
    read = lambda name: pipeline.object_path(name).read_bytes()  # noqa: E731
    head = addresses.parse(address, setting="--drive")
    with ray_cluster.connect(head, read) as cluster:
        driver = Driver(cluster, pipeline, request, versions={}, view=View())
        asyncio.run(driver.run(jobs, snapshot))
        wall = time.monotonic() - start
    used = os.times()
    assert {*Counted.arrived.values()} == {1} and len(Counted.arrived) == len(jobs)
    assert len(pipeline.restore([job.stages[0] for job in jobs])) == len(jobs)
    subprocess.run(["dvc", "repro", "--quiet", "train"], check=True)  # its commands would fail
    print(f"{len(jobs)} tasks, {sum(job.attempts for job in jobs)} attempts, each result once")
    mean = sum(Counted.seconds) / len(jobs)
    print(f"{wall:.0f} s in all; {mean:.1f} s per task, of which it waits {seconds} s")
    cpu = (used.user + used.system - before.user - before.system) / len(jobs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"driver: {peak:.0f} MiB at most, {1000 * cpu:.0f} ms of CPU per task")


def main() -> None:
    """Start the nodes and a driver, and kill nodes until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=250)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--failure-every", type=float, default=5.0, help="seconds, on average")
    parser.add_argument("--drive", nargs=2)
    options = parser.parse_args()
    if options.drive is not None:
        drive(options.drive[0], Path(options.drive[1]), options.seconds)
        return
    os.environ |= ray_node.environment()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["RAY_TMPDIR"] = temporary
        os.environ[node_program.FOLDER_VARIABLE] = f"{temporary}/node"  # one disk for all nodes
        folder = Path(temporary) / "project"
        folder.mkdir()
        project(folder, options.tasks)
        driver = None
        size = {"object_store_memory": 100 * 2**20}
        cluster = ray.cluster_utils.Cluster(True, head_node_args={"num_cpus": 0, **size})
        try:
            start = time.monotonic()
            nodes = [cluster.add_node(num_cpus=1, wait=False, **size) for _ in range(options.nodes)]
            cluster.wait_for_nodes(300)
            print(f"{len(nodes)} nodes in {time.monotonic() - start:.0f} s", flush=True)
            command = [sys.executable, __file__, "--seconds", str(options.seconds), "--drive"]
            driver = subprocess.Popen([*command, cluster.address, str(folder)])
            killed = added = 0
            while driver.poll() is None:
                time.sleep(random.expovariate(1 / options.failure_every))
                cluster.remove_node(nodes.pop(random.randrange(len(nodes))), allow_graceful=False)
                killed += 1
                with contextlib.suppress(Exception):  # Ray gives up after 30 s on a busy machine
                    nodes.append(cluster.add_node(num_cpus=1, wait=False, **size))
                    added += 1
            print(f"{killed} nodes killed, {added} added")
            sys.exit(driver.returncode)
        finally:
            if driver is not None:
                driver.kill()
            cluster.shutdown()


if __name__ == "__main__":
    main()
