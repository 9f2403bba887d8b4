"""The real driver and Ray with trainings that only wait: stub_run.py ADDRESS JOBS SECONDS.

Prints the lines of the driver and, at last, how often each result has arrived.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from podium.cluster import token

token.require()

from podium.cluster import address as addresses  # noqa: E402
from podium.cluster import node_program, ray_cluster  # noqa: E402
from podium.cluster.driver import Driver  # noqa: E402
from podium.cluster.job import Job  # noqa: E402
from podium.cluster.node_program import Event, Work  # noqa: E402
from podium.cluster.nodes import Request  # noqa: E402
from podium.cluster.view import View  # noqa: E402
from podium.core.errors import Stopped  # noqa: E402

OBJECT = bytes(10**6)


class Pipeline:
    """Counts the results."""

    def __init__(self, root: Path) -> None:
        self.root, self.arrived = root, Counter[str]()

    def inputs(self, _: object) -> tuple[list[str], list[str]]:
        return [], ["0" * 32]

    def uncached(self, _: object) -> dict[str, bytes]:
        return {}

    def with_contents(self, name: str) -> list[str]:
        return [name]

    def add_object(self, name: str, content: bytes) -> None:
        assert content == OBJECT, name

    def add_entry(self, _: str, content: bytes) -> None:
        self.arrived[content.decode()] += 1


def stub(work: Work, fetch: Callable[[str], bytes]) -> Iterator[Event]:
    content = fetch(work.objects[0])
    for step in range(10):
        yield "line", f"step {step}", b""
        time.sleep(float(work.environment["SECONDS"]) / 10)
    yield "object", "1" * 32, content
    yield "entry", "0", work.stages[0].encode()


def main() -> None:
    text, jobs, seconds = sys.argv[1:]
    address = addresses.parse(text, setting="CLUSTER")
    node_program.run = stub
    pipeline: Any = Pipeline(Path(tempfile.mkdtemp()))
    request = Request(None, None, {"SECONDS": seconds})
    try:
        with ray_cluster.connect(address, lambda _: OBJECT) as cluster:
            driver = Driver(cluster, pipeline, request, versions={}, view=View())
            runs = [Job("m", fold, (f"m-{fold}",)) for fold in range(int(jobs))]
            asyncio.run(driver.run(runs, {}))
    except Stopped as stopped:
        print("stopped by", stopped)
    print("arrived", *sorted(f"{name}:{count}" for name, count in pipeline.arrived.items()))


if __name__ == "__main__":
    main()
