"""What the driver prints: a live table on a terminal, else the lines of all training runs."""

import re
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from podium.core import console
from podium.core.paths import Fold

EPOCH = re.compile(
    r"epoch +(?P<epoch>\d+)  .*  (?P<score>\S+ -?[\d.]+)\*? +lr .* images/s(?:  (?P<left>.+) left)?"
)
STAGE = re.compile(r"Running stage '(\w+)@")


@dataclass
class Row:
    """The state of one model and fold."""

    model: str
    fold: Fold
    node: str = ""
    state: str = "waiting"  # or the stage that runs, or done
    epoch: str = ""
    score: str = ""
    left: str = ""

    def update(self, line: str) -> None:
        """Read a line that the stage has printed."""
        if match := STAGE.match(line):
            self.state, self.left = match[1], ""
        elif match := EPOCH.match(line):
            self.epoch, self.score, self.left = match["epoch"], match["score"], match["left"] or ""


class View:
    """Prints; as a context manager, it shows the table while the block runs."""

    def __init__(self) -> None:
        """Print to stdout."""
        self.rows = dict[str, Row]()
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
        if self._live is not None:
            self._live.stop()

    def add(self, name: str, *, model: str, fold: Fold) -> None:
        """Add a row for a model and fold."""
        self.rows[name] = Row(model, fold)

    def set(self, name: str, state: str, *, node: str = "") -> None:
        """Change a row's state."""
        self.rows[name].state, self.rows[name].node = state, node

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
        table = Table("node", "model", "fold", "stage", "epoch", "score", "time left",
                      caption=caption)  # fmt: skip
        for row in [*done[-5:], *active]:
            cells = (row.node, row.model, str(row.fold), row.state, row.epoch, row.score, row.left)
            table.add_row(*map(Text, cells))
        return table
