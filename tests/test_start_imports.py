"""What a stage imports when it starts: each large library only where the stage uses it."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

SRC = ROOT / "src"
# They take from a tenth of a second (cv2) to several seconds (torch, which timm imports, too).
LARGE = {"torch", "torchvision", "timm", "accelerate", "albumentations", "sklearn", "scipy", "cv2",
         "lightgbm", "matplotlib", "dvc", "kaggle", "kagglesdk", "ray"}  # fmt: skip
TABLES = {"scipy", "sklearn"}  # scores
NETWORKS = {"torch", "timm", "accelerate", "cv2", "scipy"}
AT_START = {
    "fetch": set[str](),
    "prepare": {"cv2", "scipy"},
    "folds": TABLES,
    "train": NETWORKS | TABLES,
    "train_all": NETWORKS | TABLES,
    "predict": NETWORKS,
    "predict_all": NETWORKS,
    "embed": NETWORKS,
    "ensemble": TABLES,
    "submission": TABLES,
    "report": TABLES,
    "page": NETWORKS - {"accelerate"} | TABLES | {"matplotlib"},
}
BROUGHT = {"timm": {"torchvision"}}  # by libraries, whatever is used of them
# Stages whose libraries are imported one after another: each adds none but its own.
ORDERS = (
    ("fetch", "prepare", "folds", "ensemble", "submission", "report", "train", "train_all", "page"),
    ("embed", "predict", "predict_all"),
)


def at_start(path: Path, seen: set[Path]) -> set[str]:
    """The packages that are imported with a file of ours, without those that its functions import
    when they run.
    """
    if path in seen or not path.is_file():
        return set()
    seen.add(path)
    names = set[str]()
    for name in imported(ast.parse(path.read_text())):
        names.add(name.partition(".")[0])
        if name.startswith("podium."):
            module = SRC / name.replace(".", "/")
            for file in (module.with_suffix(".py"), module / "__init__.py"):
                names |= at_start(file, seen)
    return names


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            yield from imported(node)


@pytest.mark.parametrize("stage", AT_START)
def test_a_stage_starts_with_no_large_library_that_it_does_not_use(stage: str) -> None:
    assert at_start(SRC / f"{stage}.py", set()) & LARGE == AT_START[stage]


def in_order(path: Path, seen: set[Path]) -> Iterator[str]:
    """The modules that a file of ours imports, as they are loaded."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for name in imported(ast.parse(path.read_text())):
        module = SRC / name.replace(".", "/")
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            yield from in_order(file, seen)
        yield name


@pytest.mark.parametrize("stage", [name for name, used in AT_START.items() if "torch" in used])
def test_variables_of_openmp_are_set_before_torch_loads_it(stage: str) -> None:
    names = [*in_order(SRC / f"{stage}.py", set())]
    loaded = next(n for n, name in enumerate(names) if name.partition(".")[0] in ("torch", "timm"))
    assert "podium.core.machine" in names[:loaded]


@pytest.mark.slow
@pytest.mark.parametrize("stages", ORDERS, ids=("scores", "networks"))
def test_no_library_brings_others_along(stages: tuple[str, ...]) -> None:
    """What the imports of a stage really load."""
    code = f"""
import importlib, json, sys
sys.path.insert(0, {str(SRC)!r})
for name in {stages!r}:
    importlib.import_module(name)
    print(json.dumps([*{{module.partition(".")[0] for module in sys.modules}}]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    allowed = set[str]()
    for stage, line in zip(stages, done.stdout.splitlines(), strict=True):
        allowed |= AT_START[stage].union(*(BROUGHT.get(name, ()) for name in AT_START[stage]))
        assert {*json.loads(line)} & LARGE == allowed, stage
