"""Contestant of benchmarks/score.py: logistic regression on a frozen backbone's pooled features.

The images and their mirror images are both training data, and a test image's probabilities are the
mean of both. How images are made square (cropped, squashed or padded) and scikit-learn's C are
chosen by the log loss in a 5-fold cross-validation: first the former with C = 0.3 on up to 500 of
the training images, then C on all of them, from small to large until the loss rises.
"""

from collections.abc import Iterable

import numpy as np
import torch
from contestant import Job, backbone, read, write
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from timm.data import resolve_data_config
from torch import nn

RESIZE = {
    "squash": lambda image, size: image.resize((size, size), Image.Resampling.BICUBIC),
    "crop": lambda image, size: ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC),
    "pad": lambda image, size: ImageOps.pad(image, (size, size), Image.Resampling.BICUBIC),
}
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # values of C
FIRST = 0.3
FOLDS = 5
FEW = 500  # images, by which to choose the resize mode
BATCH = 32


@torch.inference_mode()
def features(job: Job, net: nn.Module, paths: Iterable[str], mode: str) -> np.ndarray:
    """The features of the images and of their mirror images: [N, 2, D]."""
    config = resolve_data_config({}, model=net)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    paths, results = list(paths), []
    for begin in range(0, len(paths), BATCH):
        pixels = []
        for path in paths[begin : begin + BATCH]:
            with Image.open(path) as image:
                square = RESIZE[mode](image.convert("RGB"), job.size)
            pixels.append(torch.from_numpy(np.array(square)).permute(2, 0, 1) / 255)
        images = (torch.stack(pixels) - mean) / std
        results.append(torch.stack([net(images), net(images.flip(3))], dim=1))
    return torch.cat(results).numpy()


def fit(x: np.ndarray, y: np.ndarray, strength: float) -> LogisticRegression:
    """Fit to both views [N, 2, D] of the images."""
    return LogisticRegression(C=strength, max_iter=1000).fit(np.concatenate([*x.swapaxes(0, 1)]),
                                                             np.concatenate([y, y]))  # fmt: skip


def predict(model: LogisticRegression, x: np.ndarray, classes: int) -> np.ndarray:
    """Mean probabilities of both views: [N, C]."""
    probabilities = np.zeros((len(x), classes))
    views = [model.predict_proba(view) for view in x.swapaxes(0, 1)]
    probabilities[:, model.classes_] = np.mean(views, axis=0)
    return probabilities


def cross_validated(job: Job, x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """The log loss of the training images, each predicted by a model that was not fitted to it."""
    kind = StratifiedKFold if np.bincount(y).max() >= FOLDS else KFold
    folds = kind(FOLDS, shuffle=True, random_state=job.seed)
    predicted = np.zeros((len(y), job.classes))
    for rest, held_out in folds.split(x, y):
        predicted[held_out] = predict(fit(x[rest], y[rest], strength), x[held_out], job.classes)
    return float(log_loss(y, predicted, labels=np.arange(job.classes)))


def best_strength(job: Job, x: np.ndarray, y: np.ndarray) -> float:
    """The C whose log loss is the lowest; larger ones after it take ever longer to fit."""
    best, lowest = FIRST, np.inf
    for strength in STRENGTHS:
        if (loss := cross_validated(job, x, y, strength)) > lowest:
            break
        best, lowest = strength, loss
    return best


def main() -> None:
    """Choose, fit to all training images, and predict the test images."""
    job = read()
    torch.manual_seed(job.seed)
    net, y = backbone(job).eval(), job.train["label"].to_numpy()
    paths = job.train["path"].to_numpy()
    some = np.random.default_rng(job.seed).permutation(len(paths))[:FEW]
    few = {mode: features(job, net, paths[some], mode) for mode in RESIZE}
    mode = min(RESIZE, key=lambda name: cross_validated(job, few[name], y[some], FIRST))
    train = features(job, net, paths, mode)
    strength = best_strength(job, train, y)
    print(f"note: {mode}, C = {strength}")
    test = features(job, net, job.test["path"], mode)
    write(job, predict(fit(train, y, strength), test, job.classes))


if __name__ == "__main__":
    main()
