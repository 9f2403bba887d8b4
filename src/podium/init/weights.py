"""The file of pretrained weights that `make init` is given."""

from pathlib import Path
from typing import NamedTuple

from podium.core.errors import UserError


class Weights(NamedTuple):
    """Pretrained weights to use instead of timm's."""

    path: str
    architecture: str | None  # if it is known


def check_weights(path: str | None) -> None:
    """Check that a file of pretrained weights exists.

    Raises:
        UserError: if not.
    """
    if path is not None and not Path(path).expanduser().is_file():
        raise UserError(f"--pretrained: file {path} not found. Fix the path.")


def read(path: str | None) -> Weights | None:
    """The weights at `path`, None if there is none."""
    return None if path is None else Weights(path, architecture_of(path))


def architecture_of(weights: str) -> str | None:
    """The timm architecture that a file of weights is named after, if any."""
    import timm  # takes seconds

    name = Path(weights).name
    architectures = [a for a in timm.list_models() if name.startswith(a)]
    return max(architectures, key=len, default=None)
