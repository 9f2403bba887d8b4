"""Several seeds of a model: models in params.yaml that differ from it in `seed` only."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from podium.core.errors import UserError
from podium.init import yaml_edit


class Edited(NamedTuple):
    """The text of a params file after an edit, and the names of the models that it changed."""

    text: str
    added: list[str]
    removed: list[str]


def same_but_seed(model: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two models have the same settings, apart from their seeds."""
    return {**model, "seed": None} == {**other, "seed": None}


def set_count(text: str, model: str, count: int) -> Edited:
    """Let the params file `text` have `model` with `count` seeds, its own included. Models are
    added at the end, with `model` merged, or the last ones are removed. They join the lists that
    name `model`: the ensemble's members and `folds.all`.

    Raises:
        UserError: if `model` is itself another seed of a model before it.
    """
    params = yaml_edit.load(text)
    models, base = params["models"], params["models"][model]
    own = _seed(base, params)
    seeds = {
        name: _seed(models[name], params)
        for name in models
        if name == model
        or (same_but_seed(models[name], base) and _seed(models[name], params) != own)
    }
    if (first := next(iter(seeds))) != model:
        raise UserError(f"models.{model} is {first} with another seed. Set MODEL={first}.")
    removed = list(seeds)[count:]
    for name in removed:
        yaml_edit.remove(models, name)
        for names in _lists(params):
            if name in names:
                yaml_edit.remove(names, names.index(name))
    added: list[str] = []
    seed = 0
    while len(seeds) + len(added) < count:
        seed += 1
        name = f"{model}-seed{seed}"
        if seed in seeds.values() or name in models or name in params["probes"]:
            continue
        if base.yaml_anchor() is None and not re.search(
            rf"&{re.escape(model)}(?![\w-])", text
        ):  # else ruamel names it
            base.yaml_set_anchor(model)
        models[name] = yaml_edit.merging(base, seed=seed)
        added.append(name)
        for names in _lists(params):
            if model in names:
                yaml_edit.append(names, name)
    return Edited(yaml_edit.dump(params), added, removed)


def _seed(model: CommentedMap, params: CommentedMap) -> int:
    seed: int | None = model.get("seed")
    return params["seed"] if seed is None else seed


def _lists(params: CommentedMap) -> Iterator[CommentedSeq]:
    """The lists that name models."""
    for section, key in (("ensemble", "members"), ("folds", "all")):
        if names := params[section].get(key):
            yield names
