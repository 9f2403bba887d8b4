"""What a GPU waits for: training, inference and whole stages beside bare loops, in one table.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --rows train,folds

Needs neither DVC nor a network, but the other packages of requirements.in that training imports: a
machine without any gets them as wheels. On a CPU, only tiny numbers make sense:

    python benchmarks/gpu.py --architectures test_resnet --vit test_vit --size 32 --batch 8 \\
        --images 64 --photos 60

"bare" is a loop over one batch that is already on the device. The photos are synthetic. Rows:

    train      three epochs, beside the bare loop
    augment    the same, augmented on the device
    inference  three views, beside bare forward passes
    loaders    the same network behind the loaders of timm and torchvision
    compile    three epochs with and without torch.compile; also of the network --vit
    folds      a competition of the size of recipes/weather.yaml, one stage after another
    jobs       its folds as `make train` starts them: forks of one process, one or all at a time
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import timm
import torch
import torch.nn.functional as F
from common import photos, table
from competition import project
from model import (
    EPOCHS,
    VALID,
    VIEWS,
    bare_predict,
    bare_train,
    configuration,
    predict,
    training_data,
)
from torch import Tensor, nn

from podium.cluster import forks
from podium.config.models import Model
from podium.core import machine, seeding
from podium.models import device
from podium.scoring import metrics
from podium.training import build, fold
from podium.training.checkpoints import Checkpoints

ROWS = ("train", "augment", "inference", "loaders", "compile", "folds", "jobs")
WEATHER: dict[str, Any] = {  # as recipes/weather.yaml
    "architecture": "mobilenetv2_100",
    "pretrained": False,
    "image_size": 160,
    "resize_mode": "squash",
    "augment": [{"RandomResizedCrop": {"scale": [0.5, 1.0]}}, {"HorizontalFlip": {}}],
    "phases": [
        {"epochs": 4, "trainable": "head", "lr": 3e-3},
        {"epochs": 4, "trainable": "all", "lr": 5e-4, "backbone_lr": 1e-4, "warmup_epochs": 1},
    ],
    "batch_size": 16,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "dropout": 0.2,
}
FOLDS = 3
START = time.perf_counter()

rows: list[tuple[str, ...]] = []


def add(work: str, value: str, bare: str = "", ratio: float | None = None) -> None:
    """Add a row to the table, and show it at once on stderr."""
    rows.append((work, bare, value, "" if ratio is None else f"{ratio:.2f}"))
    print(f"{time.perf_counter() - START:6.1f} s  {' | '.join(rows[-1])}", file=sys.stderr)


def timed(run: Callable[[], object]) -> float:
    """The seconds that `run` takes, including the work that it leaves to the GPU."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def train(config: Model, data: build.TrainingData, folder: Path) -> tuple[float, fold.TrainedFold]:
    """The work of the train stage: its seconds and its result."""
    start = time.perf_counter()
    with Checkpoints(folder / "checkpoints") as checkpoints:
        trained = fold.train_fold(
            config,
            data,
            fold=0,
            seed=1,
            metric=metrics.get("accuracy", "multiclass"),
            checkpoints=checkpoints,
        )
    return time.perf_counter() - start, trained


def steady(trained: fold.TrainedFold) -> float:
    """Images per second in the epochs after the first."""
    return statistics.median(epoch.images_per_s for epoch in trained.curves[1:])


def bare_rate(config: Model, count: int) -> float:
    """Images per second of the bare training loop."""
    bare_train(config, 10 * config.batch_size)()  # cuDNN's choice of algorithms
    run = bare_train(config, max(count, config.batch_size))
    return run() / timed(run)


def measure_training(config: Model, data: build.TrainingData, folder: Path) -> None:
    """A training run of three epochs beside the bare loop."""
    images, name = len(data.folds) - VALID, config.architecture
    bare = bare_rate(config, EPOCHS * images)
    seconds, trained = train(config, data, folder)
    whole, curves = EPOCHS * images / seconds, trained.curves
    validation = statistics.median(e.seconds - images / e.images_per_s for e in curves[1:])
    unit = "images/s"
    add(f"{name}: steady training", f"{steady(trained):.0f} {unit}", f"{bare:.0f} {unit}",
        steady(trained) / bare)  # fmt: skip
    add(f"{name}: run of {EPOCHS} x {images} images", f"{whole:.0f} {unit}",
        f"{bare:.0f} {unit}", whole / bare)  # fmt: skip
    add(f"{name}: first epoch", f"{curves[0].images_per_s:.0f} {unit}")
    add(f"{name}: validation of {VALID} images, per epoch", f"{validation:.2f} s")


def measure_augmentation(config: Model, data: build.TrainingData, folder: Path) -> None:
    """The same training, with the images augmented on the GPU."""
    images, name = len(data.folds) - VALID, f"{config.architecture}, augment_on: gpu"
    bare = bare_rate(config, images)
    seconds, trained = train(config.model_copy(update={"augment_on": "gpu"}), data, folder)
    whole = EPOCHS * images / seconds
    add(f"{name}: steady training", f"{steady(trained):.0f} images/s", f"{bare:.0f} images/s",
        steady(trained) / bare)  # fmt: skip
    add(f"{name}: run of {EPOCHS} x {images} images", f"{whole:.0f} images/s",
        f"{bare:.0f} images/s", whole / bare)  # fmt: skip


def measure_inference(config: Model, data: build.TrainingData, images: int) -> None:
    """Inference with three views beside bare forward passes."""
    name = f"{config.architecture}: inference, {len(VIEWS)} views"
    bare_predict(config, config.batch_size)()
    bare_run = bare_predict(config, images)
    bare = bare_run() / timed(bare_run)
    run = predict(config, data)
    seconds = timed(run)
    rate = len(VIEWS) * images / seconds
    add(name, f"{rate:.0f} images/s", f"{bare:.0f} images/s", rate / bare)


def measure_loaders(config: Model, count: int, folder: Path) -> None:
    """The same network, trained by a loop around timm's and torchvision's loaders."""
    for number, data in enumerate(photos(count, 500, 375)):
        path = folder / f"class{number % 2}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, loader in (("timm", timm_loader), ("torchvision", torchvision_loader)):
        accelerator = device.accelerator(config.precision)
        batches = loader(folder, config, accelerator.device)
        net = timm.create_model(config.architecture, num_classes=2)
        model = accelerator.prepare(net.to(memory_format=torch.channels_last)).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

        def epoch(
            batches: Any = batches, model: nn.Module = model, optimizer: Any = optimizer,
            accelerator: Any = accelerator,
        ) -> None:  # fmt: skip
            for images, targets in batches:
                with accelerator.autocast():
                    loss = F.cross_entropy(model(images), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()

        best = min(timed(epoch) for _ in range(2))
        used = len(batches) * config.batch_size
        add(
            f"{config.architecture}: {name}'s loader, better of two epochs",
            f"{used / best:.0f} images/s",
        )


def timm_loader(folder: Path, config: Model, where: torch.device) -> Any:
    """timm's create_loader with the crop and flip of the other contestants."""
    from timm.data import ImageDataset, create_loader

    return create_loader(
        ImageDataset(str(folder)),
        (3, config.image_size, config.image_size),
        config.batch_size,
        is_training=True,
        use_prefetcher=where.type == "cuda",
        num_workers=machine.loader_workers(where.type),
        device=where,
        color_jitter=None,
    )


class Moved:
    """torchvision's loader, its batches on the device."""

    def __init__(self, loader: Any, where: torch.device) -> None:
        self.loader, self.where = loader, where

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, targets in self.loader:
            moved = images.to(self.where, non_blocking=True)
            yield (
                moved.contiguous(memory_format=torch.channels_last),
                targets.to(self.where, non_blocking=True),
            )


def torchvision_loader(folder: Path, config: Model, where: torch.device) -> Moved:
    """ImageFolder with the transforms of torchvision's own examples."""
    from torchvision import datasets, transforms

    steps = [
        transforms.RandomResizedCrop(config.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    workers = machine.loader_workers(where.type)
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(str(folder), transforms.Compose(steps)),
        config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=where.type == "cuda",
    )
    return Moved(loader, where)


def measure_compile(config: Model, data: build.TrainingData, folder: Path) -> None:
    """The same training with and without torch.compile."""
    images, name = len(data.folds) - VALID, config.architecture
    _, eager = train(config, data, folder)
    seconds, compiled = train(config.model_copy(update={"compile": True}), data, folder)
    gain = steady(compiled) / steady(eager)
    start_up = seconds - EPOCHS * images / steady(compiled)
    add(f"{name}: compile: true, steady; ratio to false", f"{steady(compiled):.0f} images/s",
        "", gain)  # fmt: skip
    add(f"{name}: compile: true, start-up of a run", f"{start_up:.0f} s")


def stage(folder: Path, name: str, *arguments: str, python: str = sys.executable) -> float:
    """Run a stage in a process of its own; return its seconds."""
    start = time.perf_counter()
    command = [python, f"src/{name}.py", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - start


def weather(folder: Path, options: argparse.Namespace) -> None:
    """A competition of the size of recipes/weather.yaml, up to its folds."""
    model = dict(WEATHER)
    if options.size < model["image_size"]:  # for a try on a CPU
        model |= {"architecture": options.architectures[0], "image_size": options.size}
    competition = {"source": "x.zip", "slug": "x"}
    if options.source is not None:
        competition["source"] = str(Path(options.source).resolve())
    if options.weights is not None:
        model["pretrained"] = str(Path(options.weights).resolve())
    count = 1 if options.source is not None else options.photos
    project(
        folder,
        photos(count, 256, 192),
        folds={
            "count": FOLDS,
            "run": [*range(FOLDS)],
            "all": [],
            "subsample": {},
        },
        prepare={"max_size": 192},
        competition=competition,
        models={"a": model},
        predict={"views": ["identity", "hflip"], "batch_size": 32},
    )
    for name in ("fetch", "prepare", "folds"):
        stage(folder, name)


def fold_arguments(number: int) -> tuple[str, ...]:
    """The command-line arguments of `train` and `predict` for one fold."""
    return "--model", "a", "--fold", str(number)


def measure_folds(folder: Path) -> None:
    """All folds one after another, and all that follows up to the report."""
    start = time.perf_counter()
    training = [stage(folder, "train", *fold_arguments(n)) for n in range(FOLDS)]
    prediction = [stage(folder, "predict", *fold_arguments(n)) for n in range(FOLDS)]
    for name in ("ensemble", "submission", "report"):
        stage(folder, name)
    seconds = time.perf_counter() - start
    add("weather: one fold, process start to exit, the first time", f"{training[0]:.1f} s")
    add("weather: the others, whose libraries are in the page cache",
        ", ".join(f"{each:.1f}" for each in training[1:]) + " s")  # fmt: skip
    curves = pd.read_csv(folder / "models/a/fold0/curves.csv")
    first = curves.groupby("phase").first()
    later = curves[~curves["epoch"].isin(first["epoch"])]
    add("weather: a fold's eight epochs with validation", f"{curves['seconds'].sum():.1f} s")
    add("weather: first epoch of each phase",
        ", ".join(f"{rate:.0f}" for rate in first["images_per_s"]) + " images/s")  # fmt: skip
    add("weather: later epochs", f"{later['images_per_s'].median():.0f} images/s")
    add("weather: all folds to the report, one stage at a time", f"{seconds:.1f} s")
    add("weather: of it training / predicting", f"{sum(training):.1f} / {sum(prediction):.1f} s")


def measure_jobs(folder: Path) -> None:
    """All folds as `make train` and `make train JOBS=3` train them: forks of one process."""
    first = Path(sys.executable).parent
    os.environ["PATH"] = f"{first}{os.pathsep}{os.environ['PATH']}"
    for jobs in (1, FOLDS):
        cores = str(max(1, machine.cores() // jobs))
        os.environ |= {machine.CORES_VARIABLE: cores, "OMP_NUM_THREADS": cores}
        start = time.perf_counter()
        with forks.started() as is_possible, ThreadPoolExecutor(jobs) as pool:
            train_fold = partial(fork, folder) if is_possible else partial(fresh, folder)
            seconds = list(pool.map(train_fold, range(FOLDS)))
        how = "forked" if is_possible else "not forked, which is not possible here"
        add(f"weather: {FOLDS} folds, {jobs} at a time, {how}",
            f"{time.perf_counter() - start:.1f} s: "
            + ", ".join(f"{each:.1f}" for each in seconds))  # fmt: skip


def fork(folder: Path, number: int) -> float:
    """Train a fold in a fork, see `podium.cluster.forks`."""
    return stage(folder, "train", *fold_arguments(number), python="python")


def fresh(folder: Path, number: int) -> float:
    """Train a fold in a process that imports everything itself."""
    return stage(folder, "train", *fold_arguments(number))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=row_names, default=ROWS, help="comma-separated (default: all)"
    )
    parser.add_argument("--architectures", nargs="+", default=["resnet50", "resnet18"])
    parser.add_argument("--vit", default="vit_small_patch16_224", help="default: %(default)s")
    parser.add_argument(
        "--size", type=int, default=224, help="of the images, in pixels (default: 224)"
    )
    parser.add_argument("--batch", type=int, default=128, help="images per batch (default: 128)")
    parser.add_argument(
        "--images",
        type=int,
        default=6000,
        help="default: 6000; twice as many for the second network",
    )
    parser.add_argument(
        "--photos", type=int, default=1048, help="of the weather-like competition (default: 1048)"
    )
    parser.add_argument("--source", help="archive of recipes/weather.yaml, instead of photos")
    parser.add_argument("--weights", help="weights of its backbone")
    return parser.parse_args()


def row_names(text: str) -> list[str]:
    """The rows that an option names.

    Raises:
        argparse.ArgumentTypeError: for one that there is not.
    """
    names = text.split(",")
    if wrong := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(ROWS)}")
    return names


def main() -> None:
    """Measure, and print the table."""
    options = arguments()
    wanted = options.rows
    machine.keep_freed_memory()  # as all stages do
    seeding.set_deterministic(True)
    where, cores = device.accelerator("auto").device, machine.cores()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, architecture in enumerate(options.architectures):
            images = (number + 1) * options.images
            config = configuration(architecture, size=options.size, batch=options.batch)
            data = training_data(folder / architecture, options.size, images)
            if "train" in wanted:
                measure_training(config, data, folder)
            if "augment" in wanted:
                measure_augmentation(config, data, folder)
            if "inference" in wanted:
                measure_inference(config, data, images)
        if "loaders" in wanted:
            measure_loaders(config, options.images, folder / "files")
        if "compile" in wanted:
            for architecture in (options.architectures[0], options.vit):
                config = configuration(architecture, size=options.size, batch=options.batch)
                data = training_data(
                    folder / f"compile-{architecture}", options.size, options.images
                )
                measure_compile(config, data, folder)
        if {"folds", "jobs"} & {*wanted}:
            (folder / "weather").mkdir()
            weather(folder / "weather", options)
        for name, measure in (("folds", measure_folds), ("jobs", measure_jobs)):
            if name in wanted:
                measure(folder / "weather")
    print(f"{device.name(where)}, {cores} cores, torch {torch.__version__}, ", end="")
    print(f"{options.size} px, batch {options.batch}; {time.perf_counter() - START:.0f} s\n")
    table(("work", "bare", "Podium", "ratio"), rows)


if __name__ == "__main__":
    main()
