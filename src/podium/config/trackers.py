"""The list `trackers` of params.yaml."""

import importlib.util
import os
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from podium.core.errors import UserError, redacted
from podium.core.section import Unique

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Trackers = Annotated[list[TrackerName], Unique, Field(default_factory=list)]
WITHOUT_LOGIN = ("offline", "disabled", "dryrun")  # values of WANDB_MODE


def require(names: Sequence[str]) -> None:
    """Check the requirements of each tracker before anything is trained, without network access.

    Raises:
        UserError: if a package is not installed, or if Weights & Biases has no valid credentials.
    """
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        raise UserError(
            f"trackers: {', '.join(missing)} not installed. Run `make trackers`, or remove "
            f"{'it' if len(missing) == 1 else 'them'} from the list."
        )
    if "wandb" in names and os.environ.get("WANDB_MODE") not in WITHOUT_LOGIN:
        _require_login()


def _is_installed(package: str) -> bool:
    """Whether the package is installed; a folder wandb/ of runs is not one."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def _require_login() -> None:
    import wandb

    problem = "no API key found"
    try:
        if wandb.login(prompt=False, verify=False):
            return
    except Exception as error:  # wandb raises many kinds
        problem = redacted(error)
    raise UserError(
        f"trackers: wandb is not logged in ({problem}). Run `wandb login`, or set "
        "WANDB_MODE=offline."
    )
