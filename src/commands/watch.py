"""Show all active training runs of this project in one table."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from podium.cluster import view
from podium.core import program
from podium.training import status

REFRESH_SECONDS = 1.0
WIDTH = 140  # characters, without a terminal


def main() -> None:
    """Show the table until Ctrl-C; without a terminal, print it once."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not sys.stdout.isatty():
        Console(width=WIDTH).print(table())
        return
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(table(), refresh_per_second=1 / REFRESH_SECONDS) as live,
    ):
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(table())


def table() -> Table:
    """One row per active training run."""
    running = sorted(status.running(Path.cwd()), key=lambda run: (run.node, run.model, run.fold))
    columns = view.COLUMNS if any(run.node for run in running) else view.COLUMNS[1:]
    rows = map(view.Row.of, running)
    return view.table(rows, columns=columns, caption=f"training runs: {len(running)}")


if __name__ == "__main__":
    program.run(main)
