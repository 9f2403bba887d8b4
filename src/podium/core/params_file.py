"""Read params.yaml and validate the sections that a program needs."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
MESSAGES = {  # by pydantic's type of the error; all that the sections can cause
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a name or a mapping",  # a schedule
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have {max_length} or fewer items",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": (
        "must start with a letter or digit and contain only letters, digits, - and _"
    ),
    "union_tag_invalid": "name must be one of {expected_tags}",
    "union_tag_not_found": "name is missing",
}


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
        return None, explain(failure, raw, at=at)


def explain(failure: ValidationError, raw: Any, *, at: str) -> list[Problem]:
    """The problems of the value `raw` of the key `at`, in words instead of pydantic's."""
    texts: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for error in _relevant(failure):
        key, text, values[key] = _explain(raw, error, at)
        texts.setdefault(key, []).append(text)
    return [(key, _any_of(texts[key]) + value) for key, value in values.items()]


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
    return " or ".join([texts[0], *(text.removeprefix("must be ") for text in texts[1:])])


def _explain(raw: Any, problem: Any, at: str) -> tuple[str, str, str]:
    """The dotted key and the text of one pydantic error, and the value if the text lacks it."""
    loc, kind = problem["loc"], problem["type"]
    if kind in ("extra_forbidden", "missing"):
        key = f"{_locate(raw, loc[:-1], at)[0]}.{loc[-1]}".removeprefix(".")
        return key, "missing" if kind == "missing" else problem["input"].hint, ""
    key, value = _locate(raw, loc, at)
    if kind == "value_error":  # raised by a section: it contains the value where that helps
        return key, str(problem["ctx"]["error"]), ""
    text = problem["msg"].replace("Input should be", "must be")  # of an albumentations transform
    if kind in MESSAGES:
        text = MESSAGES[kind].format(**problem.get("ctx", {}))
    if loc[-1:] == ("[key]",):
        hint = "" if isinstance(loc[-2], str) else ". Quote it."
        return key, f"the key {text}", f", not {loc[-2]!r}{hint}"
    if isinstance(value, dict):
        return key, text, ""
    is_word = value is None or isinstance(value, bool)
    return key, text, f", not {json.dumps(value) if is_word else repr(value)}"


def _locate(raw: Any, loc: Iterable[int | str], at: str) -> tuple[str, Any]:
    """The dotted key and the value at pydantic's `loc`, which also names members of unions."""
    key = at
    for part in loc:
        try:
            value = raw[part]
        except (KeyError, IndexError, TypeError):
            continue
        key += f"[{part}]" if isinstance(raw, list) else f".{part}"
        raw = value
    return key.removeprefix("."), raw
