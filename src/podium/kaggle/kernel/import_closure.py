"""Which of our files a file needs: its import closure."""

import ast
from pathlib import Path


def closure(path: Path, root: Path) -> list[Path]:
    """`path` and all files below `root` that it imports, directly or not, at the top of a file or
    inside a function; sorted.
    """
    seen, todo = {path}, [path]
    while todo:
        new = imported(todo.pop(), root) - seen
        seen |= new
        todo += new
    return sorted(seen)


def imported(path: Path, root: Path) -> set[Path]:
    """The files below `root` that a file imports itself; of absolute imports."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:length])
            found |= {base.with_suffix(".py"), base / "__init__.py"}
    return {file for file in found if file.is_file()}
