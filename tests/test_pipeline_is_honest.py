"""dvc.yaml against the code: a stage declares all the code and all the params that it uses."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podium import imports

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def closure(path: Path) -> set[str]:
    """A file and all of ours that it imports, directly or not, as dvc.yaml names them."""
    return {file.relative_to(ROOT).as_posix() for file in imports.closure(path, SRC)}


def sections(stage: str) -> tuple[str, ...]:
    """`SECTIONS` of a stage's file, read without importing it."""
    for node in ast.parse((SRC / f"{stage}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SECTIONS":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError(f"src/{stage}.py has no SECTIONS")


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_exactly_the_code_that_it_imports(stage: str) -> None:
    declared = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("src/")]
    assert len(set(declared)) == len(declared)
    assert set(declared) == closure(SRC / f"{stage}.py")


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_exactly_the_params_that_it_loads(stage: str) -> None:
    params = {re.sub(r"\$\{item\.(\w+)\}", r"{\1}", name) for name in PIPELINE[stage]["params"]}
    assert params == set(sections(stage))


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_loads_its_declared_sections_and_nothing_else(stage: str) -> None:
    source = (SRC / f"{stage}.py").read_text()
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("config.")
    ]
    assert [ast.unparse(call.func) for call in calls] == ["config.load"]
    assert ast.unparse(calls[0].args[0]) == "*SECTIONS"
    assert "params.yaml" not in re.sub(r'""".*?"""', "", source, flags=re.DOTALL)


def test_only_stages_read_params() -> None:
    """The library gets its params as arguments."""
    for path in (SRC / "podium").rglob("*.py"):
        calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if
                 isinstance(n, ast.Call)}  # fmt: skip
        assert not calls & {"config.load", "config.read"}, path


def test_the_library_never_imports_a_stage_and_stages_never_each_other() -> None:
    stages = set(SRC.glob("*.py"))
    for path in SRC.rglob("*.py"):
        assert not imports.imported(path, SRC) & stages, path


def test_nothing_is_imported_relatively() -> None:
    """Our closures know of absolute names only."""
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert not isinstance(node, ast.ImportFrom) or node.level == 0, path


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_has_a_description_and_a_file_of_its_name(stage: str) -> None:
    assert PIPELINE[stage]["desc"]
    assert f"python src/{stage}.py" in PIPELINE[stage]["cmd"]


def test_no_file_of_ours_hides_a_package_that_we_import() -> None:
    ours = {path.stem for path in SRC.iterdir()}
    names = {
        name.split(".")[0]
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert ours & names == {"podium"}


def test_nothing_of_ours_looks_at_the_clock() -> None:
    """Which may be set: durations are monotonic, and the newer of two files is not asked for."""
    for path in SRC.rglob("*.py"):
        names = {ast.unparse(n) for n in ast.walk(ast.parse(path.read_text()))
                 if isinstance(n, ast.Attribute)}  # fmt: skip
        assert not names & {"time.time", "datetime.now", "datetime.datetime.now"}, path
        assert not any(name.endswith((".st_mtime", ".st_mtime_ns")) for name in names), path
