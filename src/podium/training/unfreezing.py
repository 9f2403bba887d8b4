"""Gradual unfreezing: the short form in params.yaml, expanded into phases."""

from torch import nn

from podium.config.phases import Part, Phase
from podium.models import layers


def expand(phases: list[Phase], net: nn.Module) -> list[Phase]:
    """Expand each phase with `trainable: {gradual: n}` into phases of n epochs: first the head,
    then one more layer group of the backbone each, until everything trains or the epochs end. The
    last of them takes the remaining epochs, also where these are fewer than n.

    Source: https://arxiv.org/abs/1801.06146
    """
    expanded: list[Phase] = []
    for phase in phases:
        if not isinstance(phase.trainable, Part) or phase.trainable.gradual is None:
            expanded.append(phase)
            continue
        step = phase.trainable.gradual
        remaining, last, deepest = phase.epochs, 0, max(layers.depths(net).values())
        while remaining:
            epochs = remaining if last == deepest or remaining < 2 * step else step
            changes = {"trainable": Part(last=last), "epochs": epochs}
            expanded.append(phase.model_copy(update=changes))
            remaining, last = remaining - epochs, last + 1
    return expanded
