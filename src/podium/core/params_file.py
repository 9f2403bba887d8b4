"""Read params.yaml and validate the sections that a program needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podium.core.errors import UserError, nearest

PARAMS = Path("params.yaml")

Kind = Any
"""The type of a value, or a section and the name of one of its fields."""
Problem = tuple[str, str]
"""A dotted key, and what is wrong with its value."""


def load(sections: Mapping[str, Kind], *, path: Path = PARAMS, **names: str) -> tuple[Any, ...]:
    """Load the values of `sections` (dotted keys and their types), in order.

    `names` fill placeholders: `load({"models.{model}": Model}, model="resnet")` loads that model.
    A key within a section is given as `{"folds.count": (Folds, "count")}`, so that the section's
    defaults apply. Nothing else in the file is validated: the stage `check` does that.

    Raises:
        UserError: listing every problem of the first invalid section.
    """
    raw = read(path)
    return tuple(_load(raw, key.format(**names), kind, path) for key, kind in sections.items())


def _load(raw: dict[str, Any], key: str, kind: Kind, path: Path) -> Any:
    if isinstance(kind, tuple):
        section, field = kind
        return getattr(_load(raw, key.rpartition(".")[0], section, path), field)
    value: Any = raw
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            known = value if isinstance(value, dict) else ()
            raise UserError(f"{path} has no {key}{nearest(name, known)}")
        value = value[name]
    value, problems = check(kind, value, at=key)
    if problems:
        raise error(problems, source=str(path))
    return value


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file the way DVC does: YAML 1.2, so `1e-3` is a number; merge keys work.

    Raises:
        UserError: if it is missing, is not valid YAML or is not a mapping.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError:
        raise UserError(f"{path} not found. Run this from the project's root folder.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None


def parse(text: str, *, source: str) -> dict[str, Any]:
    """Parse the text of a params file.

    Raises:
        UserError: if it is not valid YAML or not a mapping.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(text)  # names the line that is wrong
    except YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{source} must be a mapping of sections")
    return raw


def check(kind: Kind, raw: Any, *, at: str = "") -> tuple[Any, list[Problem]]:
    """Validate `raw`, the value of the dotted key `at`, as `kind`: the value, or None and each
    problem with its key, its value and what is allowed.
    """
    try:
        return TypeAdapter(kind).validate_python(raw, strict=True), []
    except ValidationError as failure:
        texts: dict[str, list[str]] = {}
        for problem in _relevant(failure):
            key, text = _explain(raw, problem)
            full = key if key.startswith("[") else ".".join(filter(None, (at, key)))
            texts.setdefault(full or "params", []).append(text)
        return None, [(key, _any_of(alternatives)) for key, alternatives in texts.items()]


def error(problems: Sequence[Problem], *, source: str) -> UserError:
    """One error for all problems."""
    lines = [f"  {key}: {text}" for key, text in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return UserError(f"{source} has {count}:\n" + "\n".join(lines))


def _relevant(failure: ValidationError) -> list[Any]:
    """The errors, without those of a union's literals if the value is a mapping or a list."""
    errors: list[Any] = failure.errors()
    others = [
        problem
        for problem in errors
        if problem["type"] != "literal_error" or not isinstance(problem["input"], dict | list)
    ]
    return others or errors


def _any_of(texts: list[str]) -> str:
    """One text for the problems that the members of a union have with the same value."""
    value = texts[-1].rpartition(", not ")[2]
    return " or ".join([*(text.removesuffix(f", not {value}") for text in texts[:-1]), texts[-1]])


def _explain(raw: Any, problem: Any) -> tuple[str, str]:
    """The dotted key and the text of one pydantic error."""
    path, value = _path_in(raw, problem["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    text = problem["msg"].replace("Input should be", "must be")
    match problem["type"]:
        case "extra_forbidden":
            return key, problem["input"].hint
        case "missing":
            return f"{key}.{problem['loc'][-1]}".removeprefix("."), "missing"
        case "value_error":  # raised by a section: it contains the value where that helps
            return key, text.removeprefix("Value error, ")
        case "model_type" | "model_attributes_type" | "dict_type":
            text = "must be a mapping"
        case "union_tag_invalid":
            text = f"name must be one of {problem['ctx']['expected_tags']}"
        case "union_tag_not_found":
            text = "name is missing"
        case "string_pattern_mismatch":
            text = "must start with a letter or digit and contain only letters, digits, - and _"
    return (key, text if isinstance(value, dict) else f"{text}, not {value!r}")


def _path_in(raw: Any, loc: tuple[int | str, ...]) -> tuple[list[int | str], Any]:
    """The part of `loc` that is a path in the file, and the value there. Pydantic inserts the names
    of union members.
    """
    path: list[int | str] = []
    for part in loc:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return path, raw
