"""Shared by the benchmarks: synthetic photos, side-by-side timing, Markdown tables."""

import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import numpy as np
from PIL import Image

Run = Callable[[], int]  # does the timed work and returns the number of units, such as images


def photo(rng: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG file with detail at all scales, like a real photo: about 0.3 bytes per pixel."""
    pixels = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64, 256):
        noise = rng.normal(0, 40 / size**0.25, (size, size, 3)).clip(-127, 127) + 128
        layer = Image.fromarray(noise.astype(np.uint8)).resize((width, height), Image.BICUBIC)
        pixels += np.asarray(layer, np.float32) - 128
    buffer = io.BytesIO()
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def photos(count: int, width: int, height: int) -> list[bytes]:
    """`count` JPEG files, of which up to 50 are different."""
    rng = np.random.default_rng(0)
    different = [photo(rng, width, height) for _ in range(min(count, 50))]
    return [different[number % len(different)] for number in range(count)]


def rates(
    contestants: dict[str, Callable[[], Run]], *, rounds: int = 5
) -> dict[str, tuple[float, float]]:
    """Each contestant's units per second and ratio to the first one's: medians over `rounds`.

    A contestant is a function that does the untimed setup and returns the run to time. All take
    turns in each round, so that other load on the machine affects all of them. An additional first
    round is for warming up.
    """
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, set_up in contestants.items():
            run = set_up()
            start = time.perf_counter()
            units = run()
            measured[name].append(units / (time.perf_counter() - start))
    timed = {name: values[1:] for name, values in measured.items()}
    first = next(iter(timed.values()))
    return {
        name: (
            statistics.median(values),
            statistics.median(a / b for a, b in zip(values, first, strict=True)),
        )
        for name, values in timed.items()
    }


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
