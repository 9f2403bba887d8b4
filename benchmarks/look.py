"""Time and memory of the stage explore (`make look`) against embed with the same network.

    python benchmarks/look.py --weights mobilenetv2_100.safetensors [--images 1000 20000]

No photo is a copy of another.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from common import photo, table
from competition import measure_stage, project


def measure(folder: Path, count: int, size: tuple[int, int], network: dict) -> list[str]:
    """Measure `count` images: one row of the table."""
    rng = np.random.default_rng(0)
    files = [photo(rng, *size) for _ in range(count)]
    embedding = {**network, "views": ["identity"]}
    probes = {"probe": {"features": ["frozen"]}}
    members = {"members": ["probe"], "method": "mean"}
    project(
        folder, files, embeddings={"frozen": embedding}, probes=probes, models={}, ensemble=members
    )
    for stage in ("check", "fetch", "prepare", "folds"):
        measure_stage(folder, stage)
    embed, embed_memory = measure_stage(folder, "embed", "--embedding", "frozen")
    look, look_memory = measure_stage(folder, "explore")
    ratio = f"{look / embed:.2f}"
    return [f"{count:,}", f"{embed:.0f} s", f"{embed_memory:,.0f} MiB", f"{look:.0f} s",
            f"{look_memory:,.0f} MiB", ratio]  # fmt: skip


def main() -> None:
    """Measure each number of images and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", nargs="+", type=int, default=[1_000, 20_000])
    parser.add_argument("--size", nargs=2, type=int, default=[160, 120], help="width and height")
    parser.add_argument("--architecture", default="mobilenetv2_100")
    parser.add_argument("--weights", default=True, help="a file; else timm's own")
    parser.add_argument("--image-size", type=int, default=128)
    options = parser.parse_args()
    network = {
        "architecture": options.architecture,
        "pretrained": options.weights,
        "image_size": options.image_size,
    }
    rows = []
    for count in options.images:
        with tempfile.TemporaryDirectory() as temporary:
            rows.append(measure(Path(temporary), count, tuple(options.size), network))
    header = ("images", "embed", "embed, memory", "explore", "explore, memory", "explore / embed")
    table(header, rows)


if __name__ == "__main__":
    main()
