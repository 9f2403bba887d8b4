"""One params file over another, with the comments of both."""

import io
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

REPLACED = ("models",)  # whole: one experiment's models say nothing beside another's
EXACT = ("predict", "ensemble")  # keys that the overlay does not have go back to their defaults


def apply(base: str, over: str) -> str:
    """The params file `base` with the sections of `over`: `models` is replaced whole, `predict` and
    `ensemble` have the keys of `over` alone, of other sections only the keys that `over` has
    change. Comments stay; those of `over` come with its keys.
    """
    yaml = _yaml()
    params, changes = yaml.load(base), yaml.load(over)
    for name, value in changes.items():
        if isinstance(value, CommentedMap) and name in params and name not in REPLACED:
            for key in [key for key in params[name] if name in EXACT and key not in value]:
                del params[name][key]
            for key, inner in value.items():
                params[name][key] = inner
        else:
            params[name] = value
    return _dump(yaml, params)


def set_key(base: str, keys: Sequence[str], value: int | float | str) -> str:
    """The params file `base` with the value at the path `keys` changed, or added."""
    yaml = _yaml()
    params = yaml.load(base)
    section = params
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    return _dump(yaml, params)


def _yaml() -> YAML:
    """A parser that keeps comments, quotes and order, and writes lists as params.yaml has them."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)
    return yaml


def _dump(yaml: YAML, params: CommentedMap) -> str:
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
