"""What a stage imports when it starts: each large library only where the stage uses it."""

import ast
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
