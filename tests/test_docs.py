"""The documents against the code."""

import re
from pathlib import Path

import layouts
import pytest
import test_any_competition
import test_faulty_input
from conftest import PARAMS, ROOT
from ruamel.yaml import YAML

from podium.params import schema

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def documented(*headings: str) -> list[str]:
    """The first cells of the tables below these headings of docs/layouts.md."""
    text = (ROOT / "docs/layouts.md").read_text()
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    rows = [re.findall(r"^\| (.+?) \|", parts[heading], re.MULTILINE)[1:] for heading in headings]
    return [cell.replace("\\|", "|") for cells in rows for cell in cells]


def test_every_documented_layout_is_tested() -> None:
    rows = documented("Images", "Labels and ids", "Sample submissions")
    assert rows == [*layouts.DOCUMENTED]
    builders = {name for names, _ in layouts.DOCUMENTED.values() for name in names}
    assert builders == set(layouts.BUILDERS)
    assert {name for _, name in layouts.DOCUMENTED.values()} == {*test_any_competition.COMPETITIONS}


def test_every_documented_fault_is_tested() -> None:
    assert documented("What is refused") == [*test_faulty_input.CASES]


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
    assert blocks
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
