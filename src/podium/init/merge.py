"""One params file over another, with the comments of both."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

REPLACED = ("models",)  # whole: one experiment's models say nothing beside another's
EXACT = {"predict", "ensemble"}  # keys that the overlay does not have go back to their defaults
OF_COMPETITION = {"competition", "prepare"}  # likewise, of an overlay with a competition


def apply(base: str, over: str) -> str:
    """The params file `base` with the sections of `over`: `models` is replaced whole, `predict` and
    `ensemble` have the keys of `over` alone, of other sections only the keys that `over` has
    change; with a competition in `over`, `competition` and `prepare` have its keys alone too.
    Comments of `base` stay where their keys do; those within `models` come with it.
    """
    yaml = _yaml()
    params, changes = yaml.load(base), yaml.load(over)
    exact = EXACT | (OF_COMPETITION if "competition" in changes else set())
    for name, value in changes.items():
        if isinstance(value, CommentedMap) and name in params and name not in REPLACED:
            for key in [key for key in params[name] if name in exact and key not in value]:
                del params[name][key]
            for key, inner in value.items():
                _put(params[name], key, inner)
        else:
            _put(params, name, value)
    return _dump(yaml, params)


def set_model_key(base: str, model: str, key: str, value: int | float | str) -> str:
    """The params file `base` with a key of one model changed. Models that merge that model
    (`<<: *base`) keep the value that they had.
    """
    yaml = _yaml()
    params = yaml.load(base)
    models = params["models"]
    before = {name: models[name].get(key) for name in models}
    models[model][key] = value
    after = _yaml().load(_dump(yaml, params))["models"]
    for name, old in before.items():
        if name != model and after[name].get(key) != old:
            models[name][key] = old
    return _dump(yaml, params)


def _put(section: CommentedMap, key: str, value: Any) -> None:
    """Change a value; the comment beside its key stays. What ruamel keeps there of a list whose
    items stand below their key, not to the right of it, would swallow the next line's end.
    """
    section[key] = value
    comment = section.ca.items.get(key)
    if comment is not None and comment[3] == []:
        comment[3] = None


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
