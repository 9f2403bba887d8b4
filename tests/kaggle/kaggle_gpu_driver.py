"""The driver of `make train ON=kaggle` in this process, against the loopback Kaggle, and notebooks
that end as a test says.
"""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import stub_project
from conftest import Project
from kaggle_notebooks import Notebooks, Session
from kaggle_server import Kaggle

from podium.competition import kaggle_api
from podium.core import params_file
from podium.kaggle_gpu.client import Client
from podium.kaggle_gpu.runner import MACHINES, Request, Runner
from podium.params import schema

OUTCOME: dict[str, Any] = {
    "status": "done", "kind": "system", "message": "", "progress": {}, "torch": "1", "files": {},
}  # fmt: skip


def archive(project: Project) -> bytes:
    """The competition's files, zipped."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in stub_project.competition(project).items():
            opened.writestr(name, content)
    return buffer.getvalue()


def uploaded(kaggle: Kaggle) -> Iterator[bytes]:
    """All that was uploaded; files in work.json as they are."""
    for versions in kaggle.service.datasets.values():
        for name, content in (item for version in versions for item in version.items()):
            yield content
            if name == "work.json":
                yield from map(base64.b64decode, json.loads(content)["files"].values())


def driver(*, hours: float = 8.5, models: tuple[str, ...] = (), predict: bool = False) -> Runner:
    """A new driver, as after a restart."""
    client = Client(kaggle_api.login())
    client.check_version()
    return Runner(client, Request(MACHINES["T4x2"], hours, models, predict))


def run(runner: Runner) -> bool:
    """Reattach, or run a notebook for what is missing."""
    if runner.state.notebook is not None:
        runner.resume()
    return runner.run(schema.load(), params_file.read(params_file.PARAMS))


class ScriptedNotebooks(Notebooks):
    """Notebooks that do not run: a function decides how each ends."""

    def __init__(self, folder: Path, script: Callable[[Session], None]) -> None:
        super().__init__(folder)
        self.script = script

    def start(
        self, body: dict[str, Any], inputs: dict[str, dict[str, bytes]],
        competitions: dict[str, bytes],
    ) -> Session:  # fmt: skip
        session = Session(self.folder / str(len(self.sessions)), body, self.max_output)
        (session.folder / "working").mkdir(parents=True)
        self.sessions.append(session)
        self.script(session)
        return session


def ends(state: str, failure: str = "", **outcome: Any) -> Callable[[Session], None]:
    """A script: the notebook ends at once."""

    def script(session: Session) -> None:
        text = json.dumps(OUTCOME | outcome)
        (session.folder / "working/podium.json").write_text(text)
        session.status, session.failure = state, failure

    return script
