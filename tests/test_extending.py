"""The examples of docs/extending.md, run.

A section's first Python block is added to the file that the text before it names, its YAML block
to params.yaml; its last Python block uses the extension.
"""

import copy
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import PARAMS, ROOT
from ruamel.yaml import YAML

from podium.core.errors import UserError
from podium.params import schema

MAX_LINES = 10
PARTS = re.split(r"^## ", (ROOT / "docs/extending.md").read_text(), flags=re.MULTILINE)[1:]
ADDED = re.compile(r"In\s+`(\S+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
SETTINGS = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
USED = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty project's folder, without the custom/ of projects that other tests have used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not (Path(p) / "custom").is_dir()])
    forget_custom_modules()
    yield
    forget_custom_modules()


def forget_custom_modules() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "custom"]:
        del sys.modules[name]


@contextmanager
def registries_kept(module: ModuleType) -> Iterator[None]:
    """Restore the module's registries afterwards."""
    registries = [v for k, v in vars(module).items() if k.isupper() and isinstance(v, dict)]
    before = [dict(registry) for registry in registries]
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)


def merged(params: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in changes.items():
        params[key] = merged(params.get(key, {}), value) if isinstance(value, Mapping) else value
    return params


@pytest.mark.parametrize("section", PARTS, ids=lambda part: part.partition("\n")[0])
def test_the_example_works(section: str) -> None:
    ((name, code),) = ADDED.findall(section)
    assert len([line for line in code.splitlines() if line]) <= MAX_LINES
    if name.startswith("src/"):
        parts = Path(name).with_suffix("").parts[1:]
        module = importlib.import_module(".".join(parts))
    else:
        Path(name).parent.mkdir()
        Path(name).write_text(code)
        module = ModuleType("none")
    with registries_kept(module):
        if name.startswith("src/"):
            exec(code, dict(vars(module)))
        for text in SETTINGS.findall(section):
            schema.validate(merged(copy.deepcopy(PARAMS), YAML(typ="safe").load(text)))
        exec(USED.findall(section)[-1], {})


def test_an_example_leaves_nothing_behind() -> None:
    for text in SETTINGS.findall("".join(PARTS[1:])):
        with pytest.raises(UserError, match="unknown"):
            schema.validate(merged(copy.deepcopy(PARAMS), YAML(typ="safe").load(text)))
