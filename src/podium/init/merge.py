"""Merge one params file into another, with the comments of both."""

from typing import Any

from ruamel.yaml.comments import CommentedMap

from podium.init import seeds, yaml_edit

REPLACED = ("models", "embeddings", "probes")  # as a whole: those of one experiment
RESET = {"predict", "ensemble"}  # keys that the overlay lacks go back to their defaults
RESET_WITH_COMPETITION = {"competition", "prepare"}  # also these, if it has a competition


def apply(base: str, overlay: str) -> str:
    """Merge the sections of the params file `overlay` into `base`.

    `models`, `embeddings` and `probes` are replaced, if it has models. `predict` and `ensemble` get
    only the keys of `overlay`, as do `competition` and `prepare` if it has a competition. In other
    sections, keys that `overlay` lacks keep their values. Comments in `base` stay next to their
    keys.
    """
    params, changes = yaml_edit.load(base), yaml_edit.load(overlay)
    reset = RESET | (RESET_WITH_COMPETITION if "competition" in changes else set())
    if "models" in changes:
        for name in REPLACED:
            changes.setdefault(name, CommentedMap())
    for name, value in changes.items():
        if not isinstance(value, CommentedMap) or name not in params or name in REPLACED:
            yaml_edit.put(params, name, value)
            continue
        if name in reset:
            for key in [key for key in params[name] if key not in value]:
                del params[name][key]
        for key, inner in value.items():
            yaml_edit.put(params[name], key, inner)
    return yaml_edit.dump(params)


def set_key(
    base: str, section: str, model: str, key: str, value: Any, *, default: Any = None
) -> str:
    """Set a key of one model or embedding in the params file `base`. Others of the `section` that
    merge it (`<<: *base`) keep their values, or get the key's `default` if they have none. Only
    those that differ in their seed alone get the new value, too.
    """
    params = yaml_edit.load(base)
    models = params[section]
    before = {name: models[name].get(key) for name in models}
    absent = {name for name in models if key not in models[name]}
    follow = {name for name in models if seeds.same_but_seed(models[name], models[model])}
    if isinstance(value, dict):
        value = CommentedMap(value)
        value.fa.set_flow_style()
    models[model][key] = value
    after = yaml_edit.load(yaml_edit.dump(params))[section]
    for name, old in before.items():
        if name not in follow and after[name].get(key) != old:
            models[name][key] = default if name in absent else old
    return yaml_edit.dump(params)
