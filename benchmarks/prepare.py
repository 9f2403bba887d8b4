"""Compare `prepare` with bare decoding, resizing and encoding, both on all cores.

python benchmarks/prepare.py [--images 20000]
"""

import argparse
import shutil
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from common import Run, photos, rates, table
from competition import archive

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import machine
from podium.dataset import build

STORED = 256


def bare_prepare(path: Path, names: list[str]) -> int:
    """Decode, resize and encode one process's share of an archive, and nothing else."""
    cv2.setNumThreads(0)
    with zipfile.ZipFile(path) as archive_file:
        for name in names:
            data = np.frombuffer(archive_file.read(name), np.uint8)
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
            scale = STORED / min(pixels.shape[:2])
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return len(names)


def measure(count: int) -> None:
    """Measure with `count` photos, and print the rates."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "x.zip"
        ids = archive(path, photos(count, 500, 375))
        cores = machine.worker_count()

        def bare() -> Run:
            names = Archive(path).names[3:]
            parts = [names[core::cores] for core in range(cores)]

            def run() -> int:
                initializer = machine.keep_freed_memory
                with ProcessPoolExecutor(cores, get_context("spawn"), initializer) as pool:
                    return sum(pool.map(partial(bare_prepare, path), parts))

            return run

        def podium() -> Run:
            target = folder / "images"
            shutil.rmtree(target, ignore_errors=True)

            def run() -> int:
                layout = Prepare(max_size=STORED)
                build.store_images(
                    Archive(path), ids, folder=target, layout=layout, processes=cores
                )
                return count

            return run

        measured = rates({"bare": bare, "Podium": podium}, rounds=3)
        print(f"{count} photos of 500 x 375, {cores} processes")
        rows = [(name, f"{rate:.0f}", f"{ratio:.2f}") for name, (rate, ratio) in measured.items()]
        table(("prepare", "images/s", "relative to bare"), rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    measure(parser.parse_args().images)


if __name__ == "__main__":
    main()
