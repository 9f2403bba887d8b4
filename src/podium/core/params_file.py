"""Read params.yaml and validate the sections that a program asks for."""

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podium.core.errors import UserError, nearest
from podium.core.section import Section

PARAMS = Path("params.yaml")

Kind = Any
"""What a key holds: a type, or a section and the name of one of its fields."""


def load(sections: Mapping[str, Kind], *, path: Path = PARAMS, **names: str) -> tuple[Any, ...]:
    """Load the values of `sections` (dotted keys with their types), in order.

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
        raise UserError(f"{path} not found: run this from the project's root folder") from None
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
    """Validate `raw`, found at the dotted key `at`, as `kind`. Pure: no files, no network.

    Raises:
        UserError: naming for each problem the key, its value, and what is allowed.
    """
    try:
        return TypeAdapter(kind).validate_python(raw, strict=True)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for problem in error.errors():
            key, text = _explain(kind, raw, problem)
            full = key if key.startswith("[") else ".".join(filter(None, (at, key)))
            problems.setdefault(full or "params", []).append(text)
        lines = [f"  {key}: {' or: '.join(texts)}" for key, texts in problems.items()]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise UserError(f"{source} has {count}:\n" + "\n".join(lines)) from None


def _load_one(raw: dict[str, Any], key: str, kind: Kind, path: Path) -> Any:
    value: Any = raw
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            known = value if isinstance(value, dict) else ()
            raise UserError(f"{path} has no {key}{nearest(name, known)}")
        value = value[name]
    return validate(kind, value, source=str(path), at=key)


def _explain(kind: Kind, raw: Any, problem: Any) -> tuple[str, str]:
    """The key path and the text of one pydantic error."""
    path, value = _path_in(raw, problem["loc"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    if problem["type"] == "extra_forbidden":
        sections = _sections_at(kind, problem["loc"][:-1])
        for section in sections:
            if path[-1] in section.RENAMED:
                return key, f"renamed: use {section.RENAMED[str(path[-1])]}"
        known = list(dict.fromkeys(name for section in sections for name in section.model_fields))
        hint = nearest(str(path[-1]), known) or f"; known keys: {', '.join(known)}"
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
    return (key, text if isinstance(value, dict) else f"{text}, not {value!r}")


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


def _sections_at(kind: Kind, loc: tuple[int | str, ...]) -> list[type[Section]]:
    """The sections that the schema has at `loc`: more than one where they are alternatives."""
    for part in loc:
        kind = _inside(kind, part)
    return _sections(kind)


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


def _sections(kind: Any) -> list[type[Section]]:
    """The sections that `kind` is, or has among its alternatives."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return [kind]
    if typing.get_origin(kind) in (dict, list):
        return []
    return [section for inner in typing.get_args(kind) for section in _sections(inner)]
