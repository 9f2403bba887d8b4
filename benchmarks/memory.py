"""What it is worth on a CPU to keep freed memory: a bare PyTorch loop with it and without, in
processes of their own that take turns, since the C library remembers what was freed before.

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
    """Measure, and print the rates and their ratios; with an argument, one of them."""
    if len(sys.argv) > 1:
        if sys.argv[1] == "kept":
            machine.keep_freed_memory()
        config = configuration("mobilenetv2_100", size=128, batch=32)
        for make in (bare_train, bare_predict):
            make(config, 3 * config.batch_size)()
            run, start = make(config, 20 * config.batch_size), time.perf_counter()
            print(run() / (time.perf_counter() - start))
        return
    rates: dict[str, list[list[float]]] = {"handed back": [], "kept": []}
    for _ in range(ROUNDS):
        for how, found in rates.items():
            command = [sys.executable, str(Path(__file__)), how]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append([float(line) for line in done.stdout.splitlines()])
    rows = []
    for number, what in enumerate(("training", "inference")):
        back, kept = ([found[number] for found in rates[how]] for how in rates)
        ratio = statistics.median(k / b for k, b in zip(kept, back, strict=True))
        rows.append((what, *(f"{statistics.median(r):.0f}" for r in (back, kept)), f"{ratio:.2f}"))
    table(("what", "handed back, images/s", "kept, images/s", "ratio"), rows)


if __name__ == "__main__":
    main()
