"""Show all active training runs of this project in one table."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from podium.cluster import view
from podium.core import program
from podium.training import status

REFRESH_SECONDS = 1.0
WIDTH = 140  # characters, without a terminal
EPOCH = 16  # characters at least of the column of epochs, which wraps
LESS_IMPORTANT = ("updated", "device", "stage", "best")  # columns, the least important one first


def main() -> None:
    """Show the table until Ctrl-C; without a terminal, print it once."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not sys.stdout.isatty():
        console = Console(width=WIDTH)
        console.print(table(console))
        return
    console = Console()
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(table(console), console=console, refresh_per_second=1 / REFRESH_SECONDS) as live,
    ):
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(table(console))


def table(console: Console) -> Table | Text:
    """One row per active training run, or a sentence if there is none. If the console is narrow,
    less important columns are left out.
    """
    running = sorted(status.running(Path.cwd()), key=lambda run: (run.node, run.model, run.fold))
    if not running:
        return Text("No training is running in this project.")
    columns = [*view.COLUMNS] if any(run.node for run in running) else [*view.COLUMNS[1:]]
    rows, caption = [*map(view.Row.of, running)], f"training runs: {len(running)}"
    unlimited = console.options.update(width=10 * WIDTH)
    for column in LESS_IMPORTANT:
        rest = [name for name in columns if name != "epoch"]
        needed = view.table(rows, columns=rest, caption="")
        if Measurement.get(console, unlimited, needed).maximum + EPOCH <= console.width:
            break
        columns.remove(column)
    return view.table(rows, columns=columns, caption=caption)


if __name__ == "__main__":
    program.run(main)
