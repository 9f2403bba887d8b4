"""Pretrained weights: locate the file, which may be on the Hugging Face hub, and load it."""

import difflib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import requests
import timm
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError
from timm.models import PretrainedCfg, adapt_input_conv
from timm.models._registry import _deprecated_models  # the public functions warn or fail
from torch import nn

from podium.config.models import Model
from podium.core.errors import UserError, counted, examples, nearest
from podium.models import weights_file
from podium.models.layers import is_head
from podium.models.weights_file import State

HUB_TIMEOUT_SECONDS = 5
HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # timm's order
CONVERSION_ERRORS = (LookupError, RuntimeError, ValueError, AttributeError)  # timm's functions
USE_A_FILE = "Set pretrained to the path of a weights file (.safetensors or .pth), or to false."


class WeightsFile(NamedTuple):
    """A file of pretrained weights."""

    path: Path
    revision: str | None  # <repo>@<commit> on the hub; None for the user's own file


def timm_config(architecture: str) -> PretrainedCfg:
    """timm's description of an architecture's pretrained weights.

    Raises:
        UserError: if timm lacks the architecture, or the weights that its name's tag asks for.
    """
    if not timm.is_model(architecture):
        plain = architecture.rpartition("/")[2].lower()  # the hub's names start with timm/
        hint = nearest(plain, timm.list_models()) or ". See timm.list_models()."
        if timm.is_model(plain):
            hint = f": did you mean {plain}?"
        raise UserError(f"architecture: timm has no {architecture}{hint}")
    name = architecture.partition(".")[0]
    if name in _deprecated_models:
        new = _deprecated_models[name]
        if new is None:
            raise UserError(f"architecture: {name} was removed from timm. Choose another.")
        raise UserError(f"architecture: {name} is called {_closest(new)} now. Use that name.")
    try:
        cfg = timm.get_pretrained_cfg(architecture)
    except RuntimeError:
        names = timm.list_pretrained(f"{name}.*")
        hint = nearest(architecture, names) or f". Choose from {examples(names)}."
        raise UserError(f"architecture: timm has no weights {architecture}{hint}") from None
    if cfg is None or not cfg.classifier:
        raise no_classifier(architecture)
    return cfg


def no_classifier(architecture: str) -> UserError:
    return UserError(f"architecture: {architecture} has no classifier. Choose another.")


def _closest(name: str) -> str:
    """`name`, or if timm has renamed its tag since, the most similar one that it has."""
    names = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if name in names or "." not in name:
        return name
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.0)), name)


def locate(config: Model) -> WeightsFile | None:
    """Find the weights that `config.pretrained` asks for; download them if they are on the hub.

    A file in the hub's local cache is used as it is, even if the hub has a newer revision, so
    that folds trained on different days start from the same weights.

    Raises:
        UserError: if the file does not exist or cannot be downloaded.
    """
    source = source_of(config)
    if isinstance(source, str):
        cached = (try_to_load_from_cache(source, file) for file in HUB_FILES)
        files = (Path(file) for file in cached if isinstance(file, str))
        path = next(files, None) or _download(source)
        return WeightsFile(path, f"{source}@{path.parent.name}")  # .../snapshots/<commit>/<file>
    return None if source is None else WeightsFile(source, None)


def source_of(config: Model) -> Path | str | None:
    """What `config.pretrained` asks for: a file, a repository on the hub or nothing.

    Raises:
        UserError: if the file does not exist, or timm's weights are not on the hub.
    """
    if isinstance(config.pretrained, str):
        path = Path(config.pretrained).expanduser()
        if not path.is_file():
            raise UserError(f"pretrained: {path} not found. Fix the path.")
        return path
    if not config.pretrained:
        return None
    name, source = config.architecture, timm_config(config.architecture)
    if source.hf_hub_id is None:
        where = f" on the hub, only at {source.url}" if source.url else ""
        raise UserError(f"pretrained: timm has no weights of {name}{where}. {USE_A_FILE}")
    return str(source.hf_hub_id)


def load(model: nn.Module, path: Path) -> None:
    """Load the backbone's weights from the file at `path`. The head keeps its random weights, since
    the file's head has other classes.

    Raises:
        UserError: see `read`.
    """
    model.load_state_dict(read(model, path), strict=False)


def read(model: nn.Module, path: Path) -> State:
    """Read the weights of the model's backbone from the file at `path`: safetensors, or torch's
    format without pickled code. The model may be on the meta device.

    Raises:
        UserError: if the file is not readable, does not fit the architecture or is not finite.
    """
    own = {k: v for k, v in model.state_dict().items() if not is_head(model, k)}
    state = weights_file.unwrap(weights_file.read(path), own)
    # Some architectures convert other publishers' names, and position embeddings to the image size.
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            state = convert(state, model)
        except CONVERSION_ERRORS as error:
            raise UserError(
                f"pretrained: {path} does not fit the architecture ({type(error).__name__}: "
                f"{error}). Set architecture to that of the file."
            ) from None
    state = {name: tensor for name, tensor in state.items() if not is_head(model, name)}
    state = _adapt_first_convolution(model, own, state)
    counters = {name for name in own.keys() ^ state.keys() if name.endswith(weights_file.COUNTER)}
    state = {name: t for name, t in state.items() if name not in counters}
    state |= {name: own[name] for name in counters & own.keys()}
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    reshaped = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or unexpected or reshaped:
        raise UserError(
            f"pretrained: {path} does not fit the architecture: "
            f"{counted(len(missing), 'tensor')} missing, "
            f"{len(unexpected)} unexpected, {len(reshaped)} of another shape "
            f"({examples([*missing, *unexpected, *reshaped], 3)}). Set architecture to that of the "
            "file."
        )
    check_finite(model, state, path)
    return state


def _adapt_first_convolution(model: nn.Module, own: State, state: State) -> State:
    """Adapt weights for RGB to the channels of the model, as timm does it with its own."""
    first: Any = getattr(model, "pretrained_cfg", {}).get("first_conv") or ()
    names = [f"{name}.weight" for name in ([first] if isinstance(first, str) else first)]
    adapted = dict(state)
    for name in names:
        if name in own and name in state and own[name].ndim == state[name].ndim == 4:
            channels = own[name].shape[1]
            if channels != 3 and state[name].shape[1] == 3:
                adapted[name] = adapt_input_conv(channels, state[name])
    return adapted


def check_finite(model: nn.Module, state: State, path: Path) -> None:
    """Raises: UserError: if weights or statistics in `state`, from `path`, are not finite."""
    weights = {name for name, _ in model.named_parameters()}  # other buffers may be infinite: masks
    loaded = {k: t for k, t in state.items() if k in weights or ".running_" in f".{k}"}
    if bad := [name for name, tensor in loaded.items() if not tensor.isfinite().all()]:
        raise UserError(
            f"pretrained: {path} contains NaN or infinite values ("
            f"{counted(len(bad), 'tensor')}: {examples(bad, 3)}). "
            "Use other weights."
        )


def _download(repo: str) -> Path:
    """Raises: UserError: if the hub cannot be reached or does not have the file."""
    try:
        if not constants.HF_HUB_OFFLINE:  # else the hub's client would retry for half a minute
            requests.head(constants.ENDPOINT, timeout=HUB_TIMEOUT_SECONDS)
        try:
            return Path(hf_hub_download(repo, HUB_FILES[0]))
        except EntryNotFoundError:
            return Path(hf_hub_download(repo, HUB_FILES[1]))
    except (OSError, EntryNotFoundError) as error:  # requests' and the hub's are OSErrors
        raise UserError(
            f"pretrained: cannot download {repo} from {constants.ENDPOINT} "
            f"({type(error).__name__}). {USE_A_FILE}"
        ) from None
