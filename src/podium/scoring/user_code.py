"""User-defined metrics: `metric: custom/my_metric.py:score` (see custom/README.md)."""

import hashlib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from podium.core.errors import UserError, nearest
from podium.scoring import class_weights, import_closure

FOLDER = "custom"
FORM = f"{FOLDER}/<file>.py:<function>"
NAME = re.compile(rf"{FOLDER}/([A-Za-z_]\w*/)*[A-Za-z_]\w*\.py:[A-Za-z_]\w*")
MODULE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # the form of earlier versions


class Options(NamedTuple):
    """The attributes of a user's function."""

    inputs: Literal["labels", "probabilities"] = "probabilities"
    greater_is_better: bool = True
    tune_thresholds: bool = False


def is_user_defined(name: str) -> bool:
    """Whether `name` looks like `custom/<file>.py:<function>`."""
    is_weighted = class_weights.WRITTEN.fullmatch(name) is not None
    return not is_weighted and (":" in name or "/" in name or name.endswith(".py"))


def check_name(name: str) -> None:
    """Check the form of a user-defined metric's name. Nothing is imported.

    Raises:
        ValueError: if it is not `custom/<file>.py:<function>`.
    """
    if MODULE.fullmatch(name) and not name.partition(":")[0].endswith(".py"):
        function = name.partition(":")[2]
        raise ValueError(
            f"module:function is no longer supported. Move {function} to {FOLDER}/<file>.py and "
            f"use {FOLDER}/<file>.py:{function}."
        )
    if not NAME.fullmatch(name):
        raise ValueError(f"a user-defined metric is not {name}. Write it as {FORM}.")


def load(name: str) -> tuple[Callable[..., float], Options, str]:
    """Import the function `name`: the function, its attributes, and the SHA-256 of its code.

    The project's folder is put on the import path, so files in custom/ can import each other, as
    `from custom.helpers import area`.

    Raises:
        UserError: if it cannot be imported or an attribute is wrong. The function returned raises
            one for whatever the user's code raises.
    """
    path, _, attribute = name.rpartition(":")
    if (root := str(Path.cwd())) not in sys.path:
        sys.path.append(root)
    try:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    except (Exception, SystemExit) as error:  # the user's module may raise anything on import
        raise UserError(
            f"metric: cannot import {name}: {_describe(error)}. Fix the code."
        ) from None
    if not callable(function := getattr(module, attribute, None)):
        others = [other for other, value in vars(module).items() if callable(value)]
        hint = nearest(attribute, others) or ". Define it."
        raise UserError(f"metric: {path} has no function {attribute}{hint}")
    file = Path(str(module.__file__))
    files = source_files(file, file.parents[path.count("/")])
    sha256 = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return _reporting(name, function), _options(name, function), sha256.hexdigest()


def _options(name: str, function: Callable[..., Any]) -> Options:
    if hasattr(function, "takes"):
        raise UserError(f"metric: {name}: the attribute takes was renamed. Use inputs.")
    if inspect.isfunction(function):  # other objects may have attributes of their own
        attributes = Options._fields
        for key in vars(function):
            if not key.startswith("_") and key not in attributes:
                hint = nearest(key, attributes) or f". Choose from {', '.join(attributes)}."
                raise UserError(f"metric: {name} has the unknown attribute {key}{hint}")
    given = {key: getattr(function, key) for key in Options._fields if hasattr(function, key)}
    options = Options(**given)
    for key in ("greater_is_better", "tune_thresholds"):
        if not isinstance(value := getattr(options, key), bool):
            raise UserError(f"metric: {name}.{key} must be True or False, not {value!r}. Fix it.")
    if options.inputs not in ("labels", "probabilities"):
        raise UserError(
            f"metric: {name}.inputs must be 'labels' or 'probabilities', not {options.inputs!r}. "
            "Fix it."
        )
    if options.tune_thresholds and options.inputs != "labels":
        raise UserError(f"metric: {name}.tune_thresholds requires inputs = 'labels'. Remove one.")
    return options


def _reporting(name: str, function: Callable[..., Any]) -> Callable[..., float]:
    """Wrap `function` so that its exceptions are reported as the user's. It gets copies, which it
    may change.
    """

    @wraps(function)
    def score(targets: np.ndarray, predictions: np.ndarray, **weights: np.ndarray) -> float:
        copies = {key: weight.copy() for key, weight in weights.items()}
        try:
            return float(function(targets.copy(), predictions.copy(), **copies))
        except (Exception, SystemExit) as error:  # the user's function may raise anything
            shapes = f"targets {list(targets.shape)} and predictions {list(predictions.shape)}"
            problem = f"{name} fails for {shapes}: {_describe(error)}"
            raise UserError(f"metric: {problem}. Fix the code.") from None

    return score


def _describe(error: BaseException) -> str:
    """An exception with its place in the user's code: "ValueError in my_metric.py, line 3: …"."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if FOLDER in Path(frame.filename).parts]
    place = f" in {Path(users[-1].filename).name}, line {users[-1].lineno}" if users else ""
    return f"{type(error).__name__}{place}: {error}"


def source_files(path: Path, root: Path) -> list[Path]:
    """The user's file at `path` and the files in custom/ that it imports."""
    files = import_closure.closure(path, root)
    return [file for file in files if file.is_relative_to(root / FOLDER)]
