"""A fingerprint of the loaded code: a checkpoint is resumed only by code that does the same."""

import ast
import hashlib
import sys
from pathlib import Path


def code() -> str:
    """SHA-256 of Podium's imported modules, ignoring comments, docstrings and line breaks."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "podium"]
    paths = sorted(Path(module.__file__) for module in modules if module.__file__)
    programs = [program(path.read_text(encoding="utf-8")) for path in paths]
    return hashlib.sha256("\n".join(programs).encode()).hexdigest()


def program(source: str) -> str:
    """The syntax tree of a module, without its string statements, as text."""
    return ast.dump(_WithoutDocstrings().visit(ast.parse(source)))


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
