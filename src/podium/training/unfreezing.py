"""Phases of training, with the short form for gradual unfreezing written out."""

from torch import nn

from podium.config.phases import Part, Phase
from podium.models import layers


def expand(phases: list[Phase], model: nn.Module) -> list[Phase]:
    """`phases`, those with `trainable: {gradual: e}` as phases of e epochs each: the head first,
    then one more of the backbone's layer groups at a time, until all train or the epochs are over.
    The last of them takes the epochs that are left, if they are fewer than e too.

    Source: https://arxiv.org/abs/1801.06146
    """
    expanded: list[Phase] = []
    for phase in phases:
        if not isinstance(phase.trainable, Part) or phase.trainable.gradual is None:
            expanded.append(phase)
            continue
        left, last, groups = phase.epochs, 0, max(layers.depths(model).values())
        while left:
            every = phase.trainable.gradual
            epochs = left if last == groups or left < 2 * every else every
            change = {"trainable": Part(last=last), "epochs": epochs}
            expanded.append(phase.model_copy(update=change))
            left, last = left - epochs, last + 1
    return expanded
