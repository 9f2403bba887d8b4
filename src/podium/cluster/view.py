"""What the driver prints: a live table on a terminal, else the lines of all training runs.

`make watch` shows the same table for all training runs of a project.
"""

import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from podium.core import console
from podium.core.paths import Fold
from podium.training.status import Status, StatusFile

EPOCH = re.compile(
    rf"epoch +(?P<epoch>\d+)  .*  (?P<score>\S+ {console.NUMBER})\*? +lr .* (?:images|features)/s"
    r"(?:  (?P<left>\d[^(]*) left(?! in total))?"
)
STAGE = re.compile(r"Running stage '(\w+)@")


COLUMNS = ("node", "model", "fold", "stage", "epoch", "score", "best", "time left", "device",
           "updated")  # fmt: skip
MAX_UNWRAPPED = 40  # characters


@dataclass
class Row:
    """The state of one model and fold."""

    model: str
    fold: Fold | str
    node: str = ""
    state: str = "waiting"  # or the stage that runs, or done
    epoch: str = ""
    score: str = ""
    best: str = ""
    left: str = ""
    device: str = ""
    updated: str = ""

    @classmethod
    def of(cls, status: Status) -> "Row":
        """The row of an active training run."""
        epoch = f"{status.epoch} of {status.epochs} ({status.share:.0%})" if status.epoch else ""
        if status.phases > 1:
            epoch += f", phase {status.phase} of {status.phases}"
        last, best = (
            "" if value is None else console.score(value) for value in (status.score, status.best)
        )
        score = f"{status.metric} {last}".strip() if last else ""
        left = status.seconds_left
        return cls(
            status.model,
            status.fold,
            status.node,
            "train" if status.epoch else "starting",
            epoch,
            score,
            best,
            "" if left is None else console.duration(left),
            status.device,
            f"{console.duration(status.age)} ago",
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of all columns."""
        return (self.node, self.model, str(self.fold), self.state, self.epoch, self.score,
                self.best, self.left, self.device, self.updated)  # fmt: skip

    def update(self, line: str) -> None:
        """Read a line that the stage has printed."""
        if match := STAGE.match(line):
            self.state, self.left = match[1], ""
        elif match := EPOCH.match(line):
            self.epoch, self.score, self.left = match["epoch"], match["score"], match["left"] or ""


def table(rows: Iterable[Row], *, columns: Sequence[str] = COLUMNS, caption: str) -> Table:
    """The rows as a table."""
    cells = [dict(zip(COLUMNS, row.cells, strict=True)) for row in rows]
    shown = Table(caption=caption)
    for column in columns:  # only the epoch, and very long names, wrap on a narrow terminal
        longest = max((len(row[column]) for row in cells), default=0)
        keeps = column != "epoch" and longest <= MAX_UNWRAPPED
        shown.add_column(column, no_wrap=keeps, overflow="fold")
    for row in cells:
        shown.add_row(*(Text(row[column]) for column in columns))
    return shown


class View:
    """Prints; as a context manager, it shows the table while the block runs."""

    def __init__(self) -> None:
        """Print to stdout."""
        self.rows = dict[str, Row]()
        self._files = dict[str, StatusFile]()  # of active training runs, for `make watch`
        self._live: Live | None = None
        if sys.stdout.isatty():
            self._live = Live(get_renderable=self.table, console=Console(), refresh_per_second=2)

    def __enter__(self) -> "View":
        """Show the table."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave its last state on the terminal."""
        for file in self._files.values():
            file.close()
        if self._live is not None:
            self._live.stop()

    def add(self, name: str, *, model: str, fold: Fold) -> None:
        """Add a row for a model and fold."""
        self.rows[name] = Row(model, fold)

    def set(self, name: str, state: str, *, node: str = "") -> None:
        """Change a row's state."""
        self.rows[name].state, self.rows[name].node = state, node
        if name in self._files:
            self._files.pop(name).close()

    def status(self, name: str, content: bytes) -> None:
        """Forward the status of a training run that its node sent."""
        row, sent = self.rows[name], Status.read(content)
        if sent is None:
            return
        if name not in self._files:
            self._files[name] = StatusFile(Path.cwd(), name)
        is_trial = name != f"{row.model}-{row.fold}"
        model = f"{sent.model} ({name})" if is_trial else sent.model
        received = time.monotonic()
        self._files[name].write(replace(sent, model=model, node=row.node, updated=received))

    def line(self, name: str, text: str) -> None:
        """Show a line that a stage has printed."""
        self.rows[name].update(text)
        if self._live is None or text.startswith("warning: "):
            self.say(f"{name} | {text}")

    def say(self, text: str) -> None:
        """Print a line, above the table if there is one."""
        if self._live is None:
            console.say(text)
        else:
            self._live.console.print(Text(text))

    def table(self) -> Table:
        """Those that run, the last that ended, and how many wait."""
        rows = self.rows.values()
        done = [row for row in rows if row.state == "done"]
        waiting = [row for row in rows if row.state == "waiting"]
        active = [row for row in rows if row.state not in ("done", "waiting")]
        caption = f"{len(done)} of {len(rows)} done, {len(waiting)} waiting"
        columns = ("node", "model", "fold", "stage", "epoch", "score", "time left")
        return table([*done[-5:], *active], columns=columns, caption=caption)
