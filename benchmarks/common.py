"""What the benchmarks share: photos to read, rates that are compared fairly, tables."""

import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import numpy as np
from PIL import Image

Run = Callable[[], int]  # does its work, and says how many units it was


def photo(rng: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG file with detail at all scales, as photos have: about 0.3 bytes a pixel."""
    pixels = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64, 256):
        noise = rng.normal(0, 40 / size**0.25, (size, size, 3)).clip(-127, 127) + 128
        layer = Image.fromarray(noise.astype(np.uint8)).resize((width, height), Image.BICUBIC)
        pixels += np.asarray(layer, np.float32) - 128
    buffer = io.BytesIO()
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def photos(count: int, width: int, height: int) -> list[bytes]:
    """`count` files, of which each 50 differ."""
    rng = np.random.default_rng(0)
    different = [photo(rng, width, height) for _ in range(min(count, 50))]
    return [different[number % len(different)] for number in range(count)]


def rates(
    contestants: dict[str, Callable[[], Run]], *, rounds: int = 5
) -> dict[str, tuple[float, float]]:
    """The units a second of each contestant, and the ratio to the first's: medians of `rounds`.

    Each contestant is a function that makes ready, untimed, what is then timed. In each round all
    run in turn, so that a busy moment of the machine hits all alike; the first warms up.
    """
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, make in contestants.items():
            run = make()
            start = time.perf_counter()
            units = run()
            measured[name].append(units / (time.perf_counter() - start))
    timed = {name: found[1:] for name, found in measured.items()}
    first = next(iter(timed.values()))
    return {
        name: (
            statistics.median(found),
            statistics.median(a / b for a, b in zip(found, first, strict=True)),
        )
        for name, found in timed.items()
    }


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
