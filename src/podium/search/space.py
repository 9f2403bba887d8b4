"""What is searched: keys of a model and the ranges of their values, as SET gives them."""

import copy
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from podium.config.models import Model
from podium.core import params_file
from podium.core.errors import UserError
from podium.init import merge, yaml_edit

DIGITS = 3  # significant digits of numbers, so that params.yaml has the value that was trained with
SYNTAX = "key=log:1e-4:3e-2, key=float:0:1, key=int:3:12 or key=choice:a,b, separated by spaces"
INSET = 1e-3  # of a range: how far from its ends values are tried

Value = float | int | str | bool | None


class Dimension(NamedTuple):
    """A key below `models.<name>`, and its range or choices."""

    key: str
    kind: str  # log, float, int or choice
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Value, ...] = ()

    def rounded(self, value: Value) -> Value:
        """The value that is trained with: of a number, the first digits."""
        if self.kind not in ("log", "float") or not isinstance(value, float | int):
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def contains(self, value: object) -> bool:
        """Whether the search could try this value."""
        if self.kind == "choice":
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, float | int):
            return False
        is_possible = isinstance(value, int) if self.kind == "int" else self.rounded(value) == value
        return self.low <= value <= self.high and is_possible

    def samples(self) -> list[Value]:
        """Values that must be valid: near both ends, or all choices."""
        if self.kind == "choice":
            return [*self.choices]
        if self.kind == "int":
            return [int(self.low), int(self.high)]
        low, high = self.low, self.high
        if self.kind == "log":
            low, high = math.log(low), math.log(high)
        ends = [low + INSET * (high - low), high - INSET * (high - low)]
        return [self.rounded(math.exp(end) if self.kind == "log" else end) for end in ends]


def parse(text: str) -> list[Dimension]:
    """The dimensions that SET gives.

    Raises:
        UserError: naming the part that is wrong.
    """
    parts = text.split()
    if not parts:
        raise UserError(f"SET is empty. Give {SYNTAX}.")
    dimensions = [_dimension(part) for part in parts]
    keys = [dimension.key for dimension in dimensions]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise UserError(f"SET has {twice[0]} twice. Remove one.")
    return dimensions


def _dimension(part: str) -> Dimension:
    match = re.fullmatch(r"([\w.]+)=(log|float|int|choice):(.+)", part)
    if match is None:
        raise UserError(f"SET: {part!r} is not a range. Give {SYNTAX}.")
    key, kind, range_text = match.groups()
    if kind == "choice":
        choices = tuple(yaml_edit.parse(choice) for choice in range_text.split(","))
        if any(isinstance(choice, dict | list) for choice in choices):
            raise UserError(f"SET: {part!r}: choices must be words, numbers, true, false or null.")
        return Dimension(key, kind, choices=tuple(map(_plain, choices)))
    try:
        low, high = map(float, range_text.split(":"))
    except ValueError:
        raise UserError(f"SET: {part!r} must be {key}={kind}:lowest:highest.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"SET: {part!r}: the first number must be less than the second.")
    if kind == "log" and low <= 0:
        raise UserError(f"SET: {part!r}: a log range must start above 0.")
    if kind == "int" and not (low.is_integer() and high.is_integer()):
        raise UserError(f"SET: {part!r}: an int range has whole numbers.")
    return Dimension(key, kind, low, high)


def _plain(value: Any) -> Value:
    """A value without ruamel's types, which remember how it was written."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def current(model: Mapping[str, Any], dimensions: list[Dimension]) -> dict[str, Any]:
    """The values of a model with all its defaults, if the search could try them; else {}."""
    values = {}
    for dimension in dimensions:
        value: Any = model
        for name in dimension.key.split("."):
            try:
                value = value[int(name) if isinstance(value, list) else name]
            except (KeyError, IndexError, ValueError, TypeError):
                return {}
        if not dimension.contains(value):
            return {}
        values[dimension.key] = value
    return values


def apply(text: str, model: str, values: Mapping[str, Value]) -> str:
    """Set values of a model in the text of a params file. Others keep theirs, even if they merge
    this one (`<<: *base`).

    Raises:
        UserError: if a key is in no mapping or list.
    """
    for key, value in values.items():
        section = yaml_edit.load(text)["models"][model]
        top, *inner = key.split(".")
        field = Model.model_fields.get(top)
        default = None if field is None or field.is_required() else field.get_default()
        if not inner:
            quoted = yaml_edit.quoted(value)
            text = merge.set_key(text, "models", model, top, quoted, default=default)
            continue
        changed = copy.deepcopy(section.get(top))
        changed = {} if changed is None else changed
        target = changed
        for name in inner[:-1]:
            target = _inside(target, name, key)
        _put(target, inner[-1], value, key)
        text = merge.set_key(text, "models", model, top, changed, default=default)
    return text


def _inside(container: Any, name: str, key: str) -> Any:
    if isinstance(container, dict):
        if container.get(name) is None:
            container[name] = {}
        return container[name]
    return container[_index(container, name, key)]


def _put(container: Any, name: str, value: Value, key: str) -> None:
    if isinstance(container, dict):
        container[name] = yaml_edit.quoted(value)
    else:
        container[_index(container, name, key)] = yaml_edit.quoted(value)


def _index(container: Any, name: str, key: str) -> int:
    if not isinstance(container, list) or not name.isdigit() or int(name) >= len(container):
        raise UserError(f"SET: {key}: {name} is not in params.yaml. Fix the key.")
    return int(name)


def parsed(text: str) -> dict[str, Any]:
    """The params in the text of a params file."""
    return params_file.parse(text, source="params.yaml")
