"""Reading params.yaml: all of it is checked, and a stage gets the sections it declares."""

import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podium.errors import UserError, nearest
from podium.schema import Params

PARAMS = Path("params.yaml")


def load(*sections: str, path: Path = PARAMS, **names: str) -> tuple[Any, ...]:
    """The values of `sections` (dotted keys), in their order, and nothing else of the file.

    `names` fill placeholders: `load("models.{model}", model="resnet")` gives that model.
    The whole file is checked, so that a mistake in a late section does not wait for its stage.

    Raises:
        UserError: with every problem of the file.
    """
    params = validate(read(path), source=str(path))
    return tuple(_find(params, section.format(**names)) for section in sections)


def read(path: Path) -> dict[str, Any]:
    """The YAML file as DVC reads it: YAML 1.2, so `1e-3` is a number; merge keys work."""
    try:
        return parse(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's folder") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None


def parse(text: str, *, source: str) -> dict[str, Any]:
    """The sections of a params file's text.

    Raises:
        UserError: if it is no YAML, or holds no sections.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(text)  # names the line that is wrong
    except YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{source} holds no sections")
    return raw


def validate(raw: dict[str, Any], *, source: str = str(PARAMS)) -> Params:
    """Check a whole params file. Pure: reads, downloads and writes nothing.

    Raises:
        UserError: naming for each problem the key, its value, and what is allowed.
    """
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for problem in error.errors():
            key, text = _explain(raw, problem)
            problems.setdefault(key, []).append(text)
        lines = [f"  {key}: {' or: '.join(texts)}" for key, texts in problems.items()]
        count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise UserError(f"{source} has {count}:\n" + "\n".join(lines)) from None


def _find(params: Params, section: str) -> Any:
    value: Any = params
    for name in section.split("."):
        children = value if isinstance(value, dict) else dict(value)
        if name not in children:
            raise UserError(f"{PARAMS} has no {section}{nearest(name, children)}")
        value = children[name]
    return value


def _explain(raw: dict[str, Any], problem: Any) -> tuple[str, str]:
    """The key path and the text of one of pydantic's errors."""
    path, value = _path_in(raw, problem["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    if problem["type"] == "extra_forbidden":
        known = _keys(problem["loc"][:-1])
        hint = nearest(str(path[-1]), known) or f": known are {', '.join(known)}"
        return key, f"unknown key{hint}"
    if problem["type"] == "missing":
        return ".".join(map(str, problem["loc"])), "is missing"
    text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] == "model_type":
        text = "must be a mapping of keys to values"
    if problem["type"] == "union_tag_invalid":
        text = f"name must be one of {problem['ctx']['expected_tags']}"
    if problem["type"] == "union_tag_not_found":
        text = "needs a name"
    if problem["type"] == "string_pattern_mismatch":
        text = "may hold letters, digits, - and _ only, and starts with a letter or digit"
    return (key or "params", text if isinstance(value, dict) else f"{text}, not {value!r}")


def _path_in(raw: Any, loc: tuple[int | str, ...]) -> tuple[list[int | str], Any]:
    """The part of `loc` that is a path in the file: pydantic appends union members to it."""
    path: list[int | str] = []
    for part in loc:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return path, raw


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema knows at `loc`."""
    kind: Any = Params
    for part in loc:
        kind = _inside(kind, part)
    return list(dict.fromkeys(key for model in _sections(kind) for key in model.model_fields))


def _inside(kind: Any, part: int | str) -> Any:
    """The type of a key, or of an item, of `kind`; of a union also the member that pydantic names
    `part`.
    """
    sections = _sections(kind)
    for section in sections:
        name = section.model_fields.get("name")
        if name is not None and name.default == part:
            return section
        if part in section.model_fields:
            return section.model_fields[str(part)].annotation
    return kind if sections and isinstance(part, str) else typing.get_args(kind)[-1]


def _sections(kind: Any) -> list[type[BaseModel]]:
    """The sections that `kind` is, or has among its alternatives."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    if typing.get_origin(kind) in (dict, list):
        return []
    return [section for inner in typing.get_args(kind) for section in _sections(inner)]
