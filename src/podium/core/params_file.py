"""Read params.yaml and validate the sections that a program needs."""

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podium.core.errors import UserError, nearest
from podium.core.section import Section

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
        UserError: listing every problem of these sections.
    """
    raw = read(path)
    values = []
    for template, kind in sections.items():
        key = template.format(**names)
        if isinstance(kind, tuple):
            section, field = kind
            parent = key.rpartition(".")[0]
            values.append(getattr(_load_one(raw, parent, section, path), field))
        else:
            values.append(_load_one(raw, key, kind, path))
    return tuple(values)


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


def validate(kind: Kind, raw: Any, *, source: str = str(PARAMS), at: str = "") -> Any:
    """Validate `raw`, the value of the dotted key `at`, as `kind`. Pure: no files, no network.

    Raises:
        UserError: listing each problem with its key, its value and what is allowed.
    """
    value, problems = check(kind, raw, at=at)
    if problems:
        raise error(problems, source=source)
    return value


def check(kind: Kind, raw: Any, *, at: str = "") -> tuple[Any, list[Problem]]:
    """Validate as `validate` does: the value, or None and the problems."""
    try:
        return TypeAdapter(kind).validate_python(raw, strict=True), []
    except ValidationError as failure:
        texts: dict[str, list[str]] = {}
        for problem in _relevant(failure):
            key, text = _explain(kind, raw, problem)
            full = key if key.startswith("[") else ".".join(filter(None, (at, key)))
            texts.setdefault(full or "params", []).append(text)
        return None, [(key, _any_of(alternatives)) for key, alternatives in texts.items()]


def error(problems: Sequence[Problem], *, source: str) -> UserError:
    """One error for all problems."""
    lines = [f"  {key}: {text}" for key, text in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return UserError(f"{source} has {count}:\n" + "\n".join(lines))


def _relevant(failure: ValidationError) -> list[Any]:
    """The errors without those of a union's names where a mapping is given, if there are others."""
    errors: list[Any] = failure.errors()
    names = [e for e in errors if e["type"] == "literal_error" and isinstance(e["input"], dict)]
    return [e for e in errors if e not in names] or errors


def _any_of(texts: list[str]) -> str:
    """One text for the problems that the members of a union have with the same value."""
    value = texts[-1].rpartition(", not ")[2]
    return " or ".join([*(text.removesuffix(f", not {value}") for text in texts[:-1]), texts[-1]])


def _load_one(raw: dict[str, Any], key: str, kind: Kind, path: Path) -> Any:
    value: Any = raw
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            known = value if isinstance(value, dict) else ()
            raise UserError(f"{path} has no {key}{nearest(name, known)}")
        value = value[name]
    return validate(kind, value, source=str(path), at=key)


def _explain(kind: Kind, raw: Any, problem: Any) -> tuple[str, str]:
    """The dotted key and the text of one pydantic error."""
    path, value = _path_in(raw, problem["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    text = problem["msg"].replace("Input should be", "must be")
    match problem["type"]:
        case "extra_forbidden":
            return key, _unknown_key(str(path[-1]), _sections_at(kind, problem["loc"][:-1]))
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


def _unknown_key(name: str, sections: list[type[Section]]) -> str:
    for section in sections:
        if name in section.RENAMED:
            return f"renamed: use {section.RENAMED[name]}"
    names = list(dict.fromkeys(field for section in sections for field in section.model_fields))
    hint = nearest(name, names) or f". Choose from {', '.join(names)}."
    return f"unknown key{hint}"


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


def _sections_at(kind: Kind, loc: tuple[int | str, ...]) -> list[type[Section]]:
    """The sections at `loc` in the schema: several for a union."""
    for part in loc:
        kind = _inside(kind, part)
    return _sections(kind)


def _inside(kind: Any, part: int | str) -> Any:
    """The type of the key or item `part` of `kind`; for a union, the member that pydantic calls
    `part`.
    """
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    sections = _sections(kind)
    for section in sections:
        name = section.model_fields.get("name")
        if name is not None and name.default == part:
            return section
        if part in section.model_fields:
            return section.model_fields[str(part)].annotation
    return kind if sections and isinstance(part, str) else typing.get_args(kind)[-1]


def _sections(kind: Any) -> list[type[Section]]:
    """The sections in `kind`: itself, or the members of a union."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return [kind]
    if typing.get_origin(kind) in (dict, list):
        return []
    return [section for inner in typing.get_args(kind) for section in _sections(inner)]
