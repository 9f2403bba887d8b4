"""Validate values with pydantic, and say what is wrong in words of params.yaml."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from podium.core.errors import UserError, counted

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
    return UserError(f"{source} has {counted(len(lines), 'problem')}:\n" + "\n".join(lines))


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
    text = problem["msg"].replace("Input should be", "must be")  # from albumentations
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
