"""Compare the data loader with a bare OpenCV loop and with the loaders of other libraries.

    python benchmarks/loader.py [--images 1000]

One worker each; random resized crop to 224 pixels and horizontal flip. Podium and the bare loop
read images as `prepare` stores them (shorter side 256 pixels), the others read the original files.
"""

import argparse
import importlib.metadata
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from common import Run, photos, rates, table
from torch.utils.data import DataLoader

from podium.core import machine
from podium.images import codec, loading, store
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
from podium.training.cache import Cache

SIZE, BATCH, STORED = 224, 64, 256
AUGMENT = [{"RandomResizedCrop": {}}, {"HorizontalFlip": {}}]


def bare(stored: list[bytes]) -> Run:
    """Decode, crop, resize and flip with OpenCV, and copy into the batch, on one core."""

    def run() -> int:
        rng = np.random.default_rng(0)
        for begin in range(0, len(stored), BATCH):
            part = stored[begin : begin + BATCH]
            batch = np.empty((len(part), SIZE, SIZE, 3), np.uint8)
            for slot, data in enumerate(part):
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
                height, width = pixels.shape[:2]
                side = int((height * width * rng.uniform(0.08, 1.0)) ** 0.5)
                side = min(side, height, width)
                top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
                crop = pixels[top : top + side, left : left + side]
                crop = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
                batch[slot] = cv2.flip(crop, 1) if rng.random() < 0.5 else crop
        return len(stored)

    return run


def podium_loader(folder: Path, count: int, *, budget: int) -> Run:
    """The loader of `train`, with a cache of `budget` bytes for decoded images."""
    names = [f"{number:06d}" for number in range(count)]
    augmentation = Augmentation(AUGMENT, size=SIZE, resize_mode="crop")
    cache = Cache(ImageStore(folder))
    cache.fill(names, budget=budget)
    images = loading.Images(
        cache,
        names,
        np.zeros(count, int),
        transforms=[augmentation],
        seed=1,
    )
    return drain(loading.shuffled(images, BATCH, workers=1))


def torchvision_folder(folder: Path) -> Run:
    """ImageFolder with the transforms of torchvision's own examples."""
    from torchvision import datasets, transforms

    steps = [
        transforms.RandomResizedCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    dataset = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    return drain(DataLoader(dataset, BATCH, shuffle=True, num_workers=1, persistent_workers=True))


def timm_loader(folder: Path) -> Run:
    """timm's create_loader with the same crop and flip."""
    from timm.data import ImageDataset, create_loader

    return drain(
        create_loader(
            ImageDataset(str(folder)),
            (3, SIZE, SIZE),
            BATCH,
            is_training=True,
            use_prefetcher=False,
            num_workers=1,
            device=torch.device("cpu"),
            color_jitter=None,
        )
    )


def fastai_loader(folder: Path) -> Run:
    """fastai's ImageDataLoaders with the same crop and flip."""
    from fastai.vision.all import Flip, ImageDataLoaders, RandomResizedCrop

    loaders = ImageDataLoaders.from_folder(
        folder,
        valid_pct=0.02,
        item_tfms=RandomResizedCrop(SIZE),
        batch_tfms=[Flip()],
        bs=BATCH,
        num_workers=1,
        device=torch.device("cpu"),
    )
    return drain(loaders.train)


def drain(loader: "DataLoader[object]") -> Run:
    """Return a run that reads an epoch and counts its images."""
    return lambda: sum(len(batch[1]) for batch in loader)  # type: ignore[index]


def main() -> None:
    """Compare the loaders on small and on large photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    count = parser.parse_args().images
    machine.keep_freed_memory()  # as all stages do
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    for width, height in ((500, 375), (2000, 1500)):
        with tempfile.TemporaryDirectory() as temporary:
            number = count if width == 500 else max(BATCH, count // 2)
            compare(Path(temporary), photos(number, width, height), f"{width} x {height}")


def compare(folder: Path, originals: list[bytes], title: str) -> None:
    """Measure all loaders on the same photos, and print the table."""
    stored = [
        codec.reencode(data, max_size=STORED, encode="jpeg", quality=95)[0] for data in originals
    ]
    (folder / "store").mkdir()
    for shard in range(0, len(stored), store.SHARD_SIZE):
        rows = (
            (f"{shard + i:06d}", d) for i, d in enumerate(stored[shard : shard + store.SHARD_SIZE])
        )
        path = folder / "store" / f"{shard // store.SHARD_SIZE:05d}.arrow"
        store.write_shard(path, rows, encode="jpeg")
    for number, data in enumerate(originals):
        path = folder / "files" / f"class{number % 2}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    runs = {
        "bare loop, one core": bare(stored),
        "Podium": podium_loader(folder / "store", len(stored), budget=0),
        "Podium, decoded in memory": podium_loader(folder / "store", len(stored), budget=2**30),
        "torchvision": torchvision_folder(folder / "files"),
        "timm": timm_loader(folder / "files"),
    }
    try:
        runs["fastai"] = fastai_loader(folder / "files")
    except ImportError:
        print('Skipping fastai, which is not installed: see "Data loader" in docs/performance.md')
    measured = rates({name: partial(lambda ready: ready, run) for name, run in runs.items()})
    own = measured["Podium"][1]
    versions = {name: importlib.metadata.version(name) for name in ("torchvision", "timm", "fastai")
                if name in measured}  # fmt: skip
    print(f"\n{len(originals)} photos of {title}, one worker")
    table(
        ("loader", "images/s", "relative to the bare loop", "Podium's speedup"),
        (
            (f"{name} {versions.get(name, '')}".strip(), f"{rate:.0f}", f"{ratio:.2f}",
             "" if name not in versions else f"{own / ratio:.1f} x")
            for name, (rate, ratio) in measured.items()
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
