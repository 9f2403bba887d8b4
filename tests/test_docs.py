"""The documents against the code."""

import re
from pathlib import Path

import layouts
import pytest
import test_any_competition
from conftest import PARAMS, ROOT
from ruamel.yaml import YAML

from podium.params import schema

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


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
