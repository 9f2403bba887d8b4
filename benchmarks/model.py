"""Compare training and inference with bare PyTorch loops on tensors already on the device.

    python benchmarks/model.py

Training includes all that the train stage does in three epochs: creating the model, data loading,
augmentation, metrics, validation and checkpoints. On a GPU:

    python benchmarks/model.py --architecture resnet50 --size 224 --batch 128 --images 20000
"""

import podium.core.machine  # noqa: F401, I001  sets libgomp's variables before torch loads it

import argparse
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd
import timm
import torch
import torch.nn.functional as F
from common import Run, photos, rates, table

from podium.config.models import Model
from podium.core import machine, seeding
from podium.images import codec, loading, ordered, store
from podium.images.augment import Augmentation
from podium.images.store import ImageStore
from podium.models import device, factory, inference
from podium.models.targets import TargetCodec
from podium.prediction import tta
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.training import build, fold
from podium.training.checkpoints import Checkpoints

EPOCHS = 3
VALID = 64
VIEWS = ["identity", "hflip", "crop_center"]
AUGMENT = [{"RandomResizedCrop": {}}, {"HorizontalFlip": {}}]


def training_data(folder: Path, size: int, count: int) -> build.TrainingData:
    """Photos as stored by `prepare` and split by `folds`, with `VALID` of them in fold 0."""
    folder.mkdir(exist_ok=True)
    files = photos(50, 500, 375)
    stored = [
        codec.reencode(f, max_size=round(1.15 * size), encode="jpeg", quality=95)[0] for f in files
    ]
    names = [f"{number:06d}" for number in range(VALID + count)]
    for begin in range(0, len(names), store.SHARD_SIZE):
        part = names[begin : begin + store.SHARD_SIZE]
        rows = ((name, stored[int(name) % len(stored)]) for name in part)
        store.write_shard(folder / f"{begin:06d}.arrow", rows, encode="jpeg")
    labels = [("x", "y")[number % 2] for number in range(len(names))]
    folds = pd.DataFrame({"id": names, "label": labels, "fold": 1})
    folds.loc[: VALID - 1, "fold"] = 0
    return build.TrainingData(folds, Task("multiclass", ["x", "y"]), ImageStore(folder), "", "")


def train(config: Model, data: build.TrainingData, folder: Path) -> Run:
    """The work of the train stage, from stored images to the weights of the best epoch."""

    def run() -> int:
        with Checkpoints(folder / "checkpoints") as checkpoints:
            fold.train_fold(
                config,
                data,
                fold=0,
                seed=1,
                metric=metrics.get("accuracy", "multiclass"),
                checkpoints=checkpoints,
            )
        return EPOCHS * (len(data.folds) - VALID)

    return run


def bare_train(config: Model, count: int) -> Run:
    """Forward, backward and optimizer step on the same batch, repeatedly."""
    accelerator = device.accelerator(config.precision)
    net = timm.create_model(config.architecture, num_classes=2)
    model = accelerator.prepare(net.to(memory_format=torch.channels_last))
    optimizer = accelerator.prepare(torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True))
    batch, targets = _batch(config, accelerator.device)

    def run() -> int:
        model.train()
        for _ in range(count // config.batch_size):
            with accelerator.autocast():
                loss = F.cross_entropy(model(batch), targets)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        loss.item()
        return count // config.batch_size * config.batch_size

    return run


def predict(config: Model, data: build.TrainingData) -> Run:
    """Inference as in the predict stage; a unit is one view of an image."""
    accelerator = device.accelerator(config.precision)
    model = accelerator.prepare(factory.create(config, outputs=2))
    plain = Augmentation("none", size=config.image_size, resize_mode="crop")
    names = data.folds["id"].tolist()[VALID:]
    images = loading.Images(data.store, names, None, transforms=[plain])
    loader = ordered.InOrder(images, config.batch_size, device=accelerator.device.type)
    codec = TargetCodec(config, data.task)

    def run() -> int:
        inference.infer(
            model,
            loader,
            codec,
            views=[tta.VIEWS[view] for view in VIEWS],
            accelerator=accelerator,
            batch_size=config.batch_size,
        )
        return len(VIEWS) * len(names)

    return run


def bare_predict(config: Model, count: int) -> Run:
    """Forward passes of the same batch, repeatedly."""
    accelerator = device.accelerator(config.precision)
    net = timm.create_model(config.architecture, num_classes=2)
    model = accelerator.prepare(net.to(memory_format=torch.channels_last)).eval()
    batch, _ = _batch(config, accelerator.device)

    def run() -> int:
        steps = len(VIEWS) * count // config.batch_size
        with torch.inference_mode(), accelerator.autocast():
            for _ in range(steps):
                logits = model(batch)
        logits.sum().item()
        return steps * config.batch_size

    return run


def _batch(config: Model, where: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (config.batch_size, 3, config.image_size, config.image_size)
    images = torch.randn(shape, device=where).contiguous(memory_format=torch.channels_last)
    return images, torch.zeros(config.batch_size, dtype=torch.int64, device=where)


def configuration(architecture: str, *, size: int, batch: int) -> Model:
    """The params of a model with `EPOCHS` epochs of training."""
    return Model.model_validate(
        {
            "architecture": architecture,
            "pretrained": False,
            "image_size": size,
            "augment": AUGMENT,
            "phases": [{"epochs": EPOCHS, "lr": 1e-4}],
            "batch_size": batch,
        }
    )


def main() -> None:
    """Measure, and print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="mobilenetv2_100")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine.keep_freed_memory()  # as all stages do
    seeding.set_deterministic(True)
    config = configuration(options.architecture, size=options.size, batch=options.batch)
    where = device.name(device.accelerator("auto").device)
    print(f"{options.architecture}, {options.size} px, batch {options.batch}, {where}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    with tempfile.TemporaryDirectory() as temporary:
        data = training_data(Path(temporary), options.size, options.images)
        rows = []
        for title, contestants in (
            ("training", (partial(bare_train, config, EPOCHS * options.images),
                          partial(train, config, data, Path(temporary)))),
            ("inference, per view", (partial(bare_predict, config, options.images),
                                   partial(predict, config, data))),
        ):  # fmt: skip
            measured = rates(dict(zip(("bare", "podium"), contestants, strict=True)),
                             rounds=options.rounds)  # fmt: skip
            (bare, _), (podium, ratio) = measured.values()
            rows.append((title, f"{bare:.0f}", f"{podium:.0f}", f"{ratio:.3f}"))
        table(("work", "bare, images/s", "Podium, images/s", "ratio"), rows)


if __name__ == "__main__":
    main()
