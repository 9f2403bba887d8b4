"""Contestant of benchmarks/score.py: fastai's `fine_tune` with test-time augmentation.

As fastai's documentation recommends: presizing, `aug_transforms`, one epoch of the head, then all
layers with discriminative learning rates, and `tta`. It trains on all training images, for as many
epochs as fit into the time, at most 20.
"""

import time

import torch
from contestant import Job, load, read, write
from fastai.callback.schedule import Learner  # this module adds fine_tune to it
from fastai.callback.training import ShortEpochCallback
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import ColReader, IndexSplitter
from fastai.learner import set_seed  # and this one tta
from fastai.vision.augment import Normalize, Resize, aug_transforms
from fastai.vision.data import ImageBlock
from fastai.vision.learner import vision_learner
from timm import create_model

BATCH = 32
MAX_EPOCHS = 20
TRIAL_BATCHES = 6
VIEWS = 5  # of `tta`
FORWARD = 0.4  # the time to predict an image, of that to train on it
SHARE = 0.85  # of the time, to plan with: estimates are not exact


def learner(job: Job) -> Learner:
    """A new learner with the pretrained backbone."""
    set_seed(job.seed, reproducible=True)
    config = create_model(job.architecture).default_cfg
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=list(range(job.classes)))),
        get_x=ColReader("path"),
        get_y=ColReader("label"),
        splitter=IndexSplitter([]),  # all images are for training
        item_tfms=Resize(round(1.5 * job.size)),
        batch_tfms=[
            *aug_transforms(size=job.size, min_scale=0.75),
            Normalize.from_stats(config["mean"], config["std"]),
        ],
    )
    batch = max(2, min(BATCH, len(job.train) // 2))
    loaders = block.dataloaders(job.train, bs=batch, num_workers=0, device="cpu")
    learn = vision_learner(loaders, job.architecture, pretrained=False, path=job.folder)
    load(job, learn.model[0].model)
    return learn


def seconds_per_image(job: Job) -> float:
    """CPU time to train on an image, all layers."""
    trial = learner(job)
    batches = len(trial.dls.train)
    part = ShortEpochCallback(min(1.0, (TRIAL_BATCHES - 1) / batches))
    with trial.no_logging(), trial.no_bar():
        start = time.process_time()
        trial.fit(1, cbs=part)
    return (time.process_time() - start) / (min(TRIAL_BATCHES, batches) * trial.dls.train.bs)


def main() -> None:
    """Train as long as allowed, and predict the test images."""
    job = read()
    each = seconds_per_image(job)
    predicting = VIEWS * FORWARD * len(job.test) * each
    left = SHARE * job.seconds - time.process_time() - predicting
    epochs = int(left / (len(job.train) * each) - 0.5)  # the head's epoch takes about a half
    epochs = max(1, min(MAX_EPOCHS, epochs))
    print(f"note: {each:.3f} s per image, {epochs} epochs", flush=True)
    learn = learner(job)
    with learn.no_bar():
        learn.fine_tune(epochs)
        probabilities, _ = learn.tta(dl=learn.dls.test_dl(job.test), n=VIEWS - 1)
    write(job, probabilities.to(torch.float64).numpy())


if __name__ == "__main__":
    main()
