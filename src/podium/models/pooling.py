"""Generalized-mean (GeM) pooling, which timm lacks."""

import torch
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool
from torch import Tensor, nn

EXPONENT = "gem_p"  # the name of the parameter
INITIAL_P = 3.0
EPS = 1e-6


class GeM(nn.Module):
    """The generalized mean over all positions: (mean x^p)^(1/p) of each channel.

    p is a parameter, at least 1, which is average pooling; the limit for large p is max pooling.
    Negative features count as 0.

    Source: Radenovic et al. 2018, https://arxiv.org/abs/1711.02512
    """

    def __init__(self, average: FastAdaptiveAvgPool) -> None:
        """Replace `average`: the same input and output shapes."""
        super().__init__()
        self.dim, self.flatten = average.dim, average.flatten
        self.gem_p = nn.Parameter(torch.full((1,), INITIAL_P))

    def forward(self, features: Tensor) -> Tensor:
        """Pool features [B, C, H, W] to [B, C], or [B, C, 1, 1] without `flatten`."""
        p, positive = self.gem_p.clamp(min=1), features.float().clamp(min=EPS)
        # Dividing by the maximum changes neither result nor gradient, but powers stay in range.
        largest = positive.detach().amax(self.dim, keepdim=True)
        powers = (positive / largest).pow(p)
        pooled = powers.mean(self.dim, keepdim=True).pow(1 / p) * largest
        return (pooled.flatten(1) if self.flatten else pooled).to(features.dtype)


def use_gem(net: nn.Module) -> bool:
    """Replace timm's average pooling before the head by GeM; whether the network has one."""
    pools = [(n, m) for n, m in net.named_modules() if isinstance(m, FastAdaptiveAvgPool)]
    for name, pool in pools:
        net.set_submodule(name, GeM(pool))
    return bool(pools)
