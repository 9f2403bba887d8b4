"""Measure on a CPU how much faster a bare PyTorch loop is when glibc keeps freed memory.

With and without it, the loop runs in separate processes that take turns, since the allocator's
state would carry over within a process.

    python benchmarks/memory.py
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import table
from model import bare_predict, bare_train, configuration

from podium.core import machine

ROUNDS = 3


def main() -> None:
    """Run the loops in subprocesses and print the table; with a mode as argument, run them here."""
    if len(sys.argv) > 1:
        if sys.argv[1] == "kept":
            machine.keep_freed_memory()
        config = configuration("mobilenetv2_100", size=128, batch=32)
        for set_up in (bare_train, bare_predict):
            set_up(config, 3 * config.batch_size)()  # warm up
            run, start = set_up(config, 20 * config.batch_size), time.perf_counter()
            print(run() / (time.perf_counter() - start))
        return
    rates: dict[str, list[list[float]]] = {"default": [], "kept": []}
    for _ in range(ROUNDS):
        for mode, results in rates.items():
            command = [sys.executable, str(Path(__file__)), mode]
            finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append([float(line) for line in finished.stdout.splitlines()])
    rows = []
    for number, loop in enumerate(("training", "inference")):
        default, kept = ([result[number] for result in results] for results in rates.values())
        ratio = statistics.median(k / d for k, d in zip(kept, default, strict=True))
        medians = (f"{statistics.median(values):.0f}" for values in (default, kept))
        rows.append((loop, *medians, f"{ratio:.2f}"))
    table(("loop", "default, images/s", "memory kept, images/s", "ratio"), rows)


if __name__ == "__main__":
    main()
