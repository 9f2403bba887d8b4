"""The import closure of a file: the project's files that it needs."""

import ast
from pathlib import Path


def closure(path: Path, root: Path) -> list[Path]:
    """`path` and all files below `root` that it imports, directly or not, at module level or
    inside functions; sorted.
    """
    seen, queue = {path}, [path]
    while queue:
        new = imported(queue.pop(), root) - seen
        seen |= new
        queue += new
    return sorted(seen)


def imported(path: Path, root: Path) -> set[Path]:
    """The files below `root` that `path` itself imports."""
    names = set[tuple[Path, str]]()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {(root, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else root
            module = f"{node.module}." if node.module else ""
            names |= {(base, f"{module}{alias.name}") for alias in node.names}
    candidates = set[Path]()
    for base, name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            file = base.joinpath(*parts[:length])
            candidates |= {file.with_suffix(".py"), file / "__init__.py"}
    return {file for file in candidates if file.is_file()}
