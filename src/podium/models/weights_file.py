"""Read a file of weights that the user has, from any framework around PyTorch."""

import argparse
import pickle
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy._core.multiarray import scalar  # as pickles name it
from safetensors import SafetensorError
from torch import Tensor

from podium.core.errors import UserError

State = dict[str, Tensor]
# What training scripts nest their weights in; averaged ones are better.
NESTED = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
)
WRAPPERS = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile and Lightning
COUNTER = "num_batches_tracked"  # of a batch norm; only one without momentum uses it
# What training scripts write beside the weights: timm its arguments, others NumPy's scalars. None
# of it can run code.
HARMLESS: list[Any] = [
    argparse.Namespace,
    *((scalar, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
    *(np.dtype, *(type(np.dtype(code)) for code in ("float32", "float64", "int64"))),
]
# Of torch's reader of pickles, for bytes that are none.
UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, SafetensorError),
    *(LookupError, AttributeError, TypeError, struct.error),
)


def read(path: Path) -> State:
    """The tensors in a file: safetensors, or torch's format without pickled code.

    Raises:
        UserError: if it is neither, or damaged.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"pretrained: {path} is a git-lfs pointer. Run git lfs pull.")
    if start.lstrip().startswith(b"<"):
        raise UserError(f"pretrained: {path} is a web page, not weights. Download the file again.")
    if not start:
        raise UserError(f"pretrained: {path} is empty. Download the file again.")
    try:
        if start[8:9] == b"{":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(HARMLESS):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        objects = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        reason = (
            f": it contains {objects[1]}, not only tensors, and could run harmful code. Save only "
            "model.state_dict()."
            if objects
            else ", or is damaged. Download the file again."
        )
        raise UserError(f"pretrained: {path} is not a weights file{reason}") from None
    except UNREADABLE as error:
        first = re.split(r"\.?(?:\s*\n|\. |$)", str(error).strip(), maxsplit=1)[0]
        reason = first or type(error).__name__
        if "TorchScript" in reason:
            raise UserError(
                f"pretrained: {path} is a TorchScript archive. Save model.state_dict() instead."
            ) from None
        raise UserError(
            f"pretrained: {path} is not a weights file, or is truncated or damaged: {reason}. "
            "Download the file again."
        ) from None
    if not (state := _tensors(content)):
        raise UserError(f"pretrained: {path} contains no weights. Save model.state_dict().")
    return state


def _tensors(content: Any) -> State:
    """The tensors of a state dict, which other entries may surround: where they have no usual name,
    the largest of the entries, since optimizers have states, too.
    """
    if not isinstance(content, Mapping):
        return {}
    for key in NESTED:
        if state := _tensors(content.get(key)):
            return state
    own = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return max((own, *map(_tensors, content.values())), key=len)


def unwrap(state: State, names: Iterable[str]) -> State:
    """Remove what wrappers put before the `names` of a network's tensors, and drop the tensors
    of other networks: of several prefixes that with the most names counts.
    """
    expected = set(names)
    while state and (same := next((w for w in WRAPPERS if _all_start(state, w)), None)):
        if len(expected & state.keys()) * 2 > len(expected):
            break
        state = {name.removeprefix(same): tensor for name, tensor in state.items()}
    if len(expected & state.keys()) * 2 > len(expected):
        return state
    prefixes: dict[str, int] = {}
    for name in state:
        parts = name.split(".")
        for index in range(1, len(parts)):
            if ".".join(parts[index:]) in expected:
                prefix = ".".join(parts[:index]) + "."
                prefixes[prefix] = prefixes.get(prefix, 0) + 1
    best = max(prefixes, key=prefixes.__getitem__, default="")
    if prefixes.get(best, 0) * 2 <= len(expected):
        return state
    return {name.removeprefix(best): t for name, t in state.items() if name.startswith(best)}


def _all_start(state: State, prefix: str) -> bool:
    return all(name.startswith(prefix) for name in state)
