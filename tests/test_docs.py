"""The documents against the code."""

import json
import re
import typing
from pathlib import Path
from typing import Literal

import layouts
import pytest
import test_any_competition
from conftest import PARAMS, ROOT
from pydantic import BaseModel
from ruamel.yaml import YAML

from podium.config import models, phases, tasks
from podium.models import losses
from podium.params import schema

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


SECTIONS = [
    kind
    for kind in {**vars(schema), **vars(models), **vars(phases)}.values()
    if isinstance(kind, type) and issubclass(kind, phases.Section) and kind is not phases.Section
]


def table(kind: type[BaseModel]) -> str:
    """The table of a section's own keys, with their defaults, but for the meanings."""
    rows = []
    for name, field in kind.model_fields.items():
        if kind is schema.Params and name not in ("seed", "deterministic", "task", "metric"):
            continue  # a section of its own
        if typing.get_origin(field.annotation) is Literal and field.annotation.__args__ == (
            field.default,
        ):
            continue  # a schedule's name, by which it is chosen
        default = field.default.name if isinstance(field.default, BaseModel) else field.default
        text = "" if field.is_required() else json.dumps(default).strip('"') or '""'
        rows.append(f"| `{name}` | {text and f'`{text}`'} | ")
    return "\n".join(rows)


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.__name__)
def test_every_key_of_params_is_explained_with_its_default(kind: type[BaseModel]) -> None:
    text = (ROOT / "docs/params.md").read_text()
    rows = re.findall(r"^(\| `\w+` \| .*? ?\| )(?=\S)", text, re.MULTILINE)
    assert table(kind) in "\n".join(rows)


def test_every_tasks_metrics_and_losses_are_listed() -> None:
    text = (ROOT / "docs/params.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| .* \|$", text, re.MULTILINE)
    told = {task: [re.findall(r"`([^`]+)`", cell) for cell in cells] for task, *cells in rows}
    for task in typing.get_args(tasks.TaskName):
        metrics, loss_names = told[task]
        if metrics[-1] == "multiclass":  # "and those of"
            metrics[-1:] = tasks.METRICS["multiclass"]
        assert tuple(metrics) == tasks.METRICS[task]
        assert loss_names == losses.names(task)


def test_the_layouts_of_the_document_are_tested() -> None:
    text = (ROOT / "docs/layouts.md").read_text()
    named = {a or b for a, b in re.findall(r"`\[(\w+)\]`|::…\[(\w+)\]", text)}
    assert named <= set(layouts.BUILDERS), named - set(layouts.BUILDERS)
    for file in set(re.findall(r"\btest_\w+\.py", text)):
        assert [*(ROOT / "tests").rglob(file)], file
    for file, test in re.findall(r"`(test_\w+\.py)::(test_\w+)`", text):
        (path,) = (ROOT / "tests").rglob(file)
        assert f"def {test}(" in path.read_text(), test
    for name in test_any_competition.COMPETITIONS:
        assert f"| {name} |" in text, name
    layouts_told = text.partition("## What is refused")[0]
    ends = {*re.findall(r"\| ([^|]*?) ?\|$", layouts_told, re.MULTILINE)} - {"to a submission"}
    assert ends == {*test_any_competition.COMPETITIONS, "three of them"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", path.read_text(), re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


def test_the_readmes_params_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    params = dict(PARAMS)
    for block in blocks:
        lines = block.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        params.update(YAML(typ="safe").load("\n".join(line[indent:] for line in lines)))
    assert len(blocks) == 3
    schema.validate(params)


def test_no_lock_names_a_registry() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text and "://" not in text


def test_the_lock_holds_what_is_required() -> None:
    required = re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    locked = (ROOT / "requirements.txt").read_text()
    for name, version in required:
        assert re.search(rf"^{name}=={re.escape(version)}\b", locked, re.MULTILINE), name
