"""Read params.yaml and validate the sections that a program needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podium.core.errors import UserError, nearest
from podium.core.validation import Kind, check, error

PARAMS = Path("params.yaml")


def load(sections: Mapping[str, Kind], *, path: Path = PARAMS, **names: str) -> tuple[Any, ...]:
    """Load the values of `sections` (dotted keys and their types), in order.

    `names` fill placeholders: `load({"models.{model}": Model}, model="resnet")` loads that model.
    A key within a section is given as `{"folds.count": (Folds, "count")}`, so that the section's
    defaults apply. A key whose type has a default may be missing. Nothing else in the file is
    validated: the stage `check` does that.

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
            if (default := TypeAdapter(kind).get_default_value()) is not None:
                return default.value
            siblings = value if isinstance(value, dict) else ()
            raise UserError(f"{path} has no {key}{nearest(name, siblings) or '. Add it.'}")
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
        raise UserError(f"{path} is not valid YAML: {error}. Save it as UTF-8.") from None


def parse(text: str, *, source: str) -> dict[str, Any]:
    """Parse the text of a params file.

    Raises:
        UserError: if it is not valid YAML or not a mapping.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(text)  # names the line that is wrong
    except YAMLError as error:
        problem = str(error).partition("\n\nTo suppress")[0]  # how to allow duplicate keys
        problem = problem.replace('"<unicode string>"', source)
        raise UserError(f"{source} is not valid YAML. Fix this: {problem}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{source} must be a mapping of sections. Restore it.")
    return raw
