"""Initialize the head by a linear probe: a linear model fitted to the backbone's features."""

import numpy as np
import torch
from torch import nn

from podium.core import console
from podium.features import fitting
from podium.features.fitting import Blocks
from podium.features.linear import head_for
from podium.images import ordered
from podium.models import layers
from podium.models.inference import infer_features
from podium.training.build import Components, TrainingData


def init_head(run: Components, data: TrainingData, *, seed: int) -> None:
    """Fit a linear model to the features of the training images, and make it the network's head.

    Fine-tuning then starts with a head that fits the pretrained features, so that it changes them
    less than it would from a random head.

    Args:
        run: its backbone computes the features, without augmentation.
        data: has the folds: the regularization strength is chosen by cross-validation over those
            of the training images. Pseudo-labels are not used.
        seed: of the cross-validation if there is only one fold.

    Raises:
        UserError: if the head is not linear.

    Source: Kumar et al. 2022, https://arxiv.org/abs/2202.10054
    """
    head, codec = layers.linear_head(run.net), run.codec
    rows = data.folds.set_index("id")
    ids = [image for image in run.loaders.train.dataset.ids if image in rows.index]
    folds = rows.loc[ids, "fold"].to_numpy()
    targets = codec.task.targets(rows.loc[ids, "label"].tolist())
    task, targets = codec.loss.linear_probe(codec.standardize(targets), codec.task)
    features = _features(run, head, ids)
    fitted = fitting.fit(
        head_for(task),
        features[:, None],
        targets,
        blocks=Blocks([features.shape[1]]),
        task=task,
        folds=folds,
        seed=seed,
    )
    weight, bias = fitting.linear_layer(fitted.arrays)
    if codec.outputs == 1 and len(weight) == 2:  # of two logits, only the difference matters
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    console.say(
        f"head initialized by a linear probe: strength {fitted.strength:g}, loss {fitted.loss:.4f} "
        "in cross-validation among the training folds"
    )


def _features(run: Components, head: nn.Linear, ids: list[str]) -> np.ndarray:
    """What the head receives for each of the images `ids`: float32 [N, D]."""
    config, where = run.config, run.accelerator.device
    loader = ordered.for_inference(
        run.loaders.train.dataset.store,
        ids,
        size=config.image_size,
        resize_mode=config.resize_mode,
        batch_size=config.batch_size,
        device=where.type,
    )
    _, features = infer_features(
        run.net,
        head,
        loader,
        run.codec,
        accelerator=run.accelerator,
        batch_size=loader.batch_sampler.batch_size,
        split_on_oom=config.on_oom == "accumulate",
    )
    result: np.ndarray = features[:, 0].numpy()
    return result
