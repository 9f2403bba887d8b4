"""The tables of docs/params.md, generated from the schema and the registries.

`PYTHONPATH=src python tests/params/params_md.py` updates them.
"""

import ast
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from podium.config import models, phases, predict
from podium.config.tasks import TaskName
from podium.core.section import Section
from podium.models import losses
from podium.params import schema
from podium.prediction.tta import VIEWS
from podium.scoring import metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "params.md"
# A marker, a heading with its rule, and the rows.
TABLE = re.compile(r"(<!-- (\w+) -->\n\n\|.*\n\|.*\n)((?:\|.*\n)*)")
SECTIONS: dict[str, type[Section]] = {
    kind.__name__: kind
    for kind in {**vars(schema), **vars(models), **vars(phases), **vars(predict)}.values()
    if isinstance(kind, type) and issubclass(kind, Section) and not kind.__subclasses__()
}
SCHEDULES = ("Step", "CosineRestarts", "OneCycle", "Plateau")  # those with arguments
PLAIN = {bool: "bool", int: "int", float: "float", str: "str", types.NoneType: "null"}


def main() -> None:
    """Update docs/params.md."""
    DOCUMENT.write_text(updated(DOCUMENT.read_text()))


def updated(text: str) -> str:
    """The document with the rows that its tables should have."""
    return TABLE.sub(lambda match: match[1] + "".join(f"{row}\n" for row in rows(match[2])), text)


def rows(name: str) -> list[str]:
    """The rows of the table with the marker `name`."""
    others: dict[str, Callable[[], list[str]]] = {
        "tasks": task_rows,
        "metrics": metric_rows,
        "views": lambda: [f"| {code(VIEWS)} |"],
        "schedules": lambda: [row for kind in SCHEDULES for row in section_rows(SECTIONS[kind])],
    }
    return others[name]() if name in others else section_rows(SECTIONS[name])


def section_rows(kind: type[Section]) -> list[str]:
    """A row per key: name, type with its range, default, meaning."""
    hints, meanings = typing.get_type_hints(kind, include_extras=True), docstrings(kind)
    keys = [key for key in kind.model_fields if key in meanings or not is_own_table(hints[key])]
    lines = []
    for key in keys:
        field = kind.model_fields[key]
        default = "required" if field.is_required() else f"`{default_text(default_of(field))}`"
        lines.append(f"| `{key}` | {type_text(hints[key])} | {default} | {meanings[key]} |")
    return lines


def default_of(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def default_text(value: Any) -> str:
    return json.dumps(value.name if isinstance(value, BaseModel) else value).strip('"') or '""'


def is_own_table(hint: Any) -> bool:
    """Whether a key is a section of its own, or the name that selects a schedule."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is dict:
        hint = typing.get_args(hint)[1]
    literal = typing.get_origin(hint) is Literal and len(typing.get_args(hint)) == 1
    return literal or (isinstance(hint, type) and issubclass(hint, Section))


def docstrings(kind: type[Section]) -> dict[str, str]:
    """The docstring below each field of a section and of its bases, as one line."""
    bases = [base for base in kind.__bases__ if issubclass(base, Section)]
    inherited = docstrings(bases[0]) if bases and kind is not Section else {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return inherited | {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def type_text(hint: Any, constraints: tuple[Any, ...] = ()) -> str:
    """A type and its range: "int ≥ 1", "float in [0, 1)", "`crop`, `squash` or `pad`"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return type_text(arguments[0], arguments[1:])
    if origin in (Literal, typing.Union, types.UnionType):
        return listed(list(dict.fromkeys(members(hint))))
    if origin is list:
        return "list of " + re.sub(r"^(int|float|mapping)\b", r"\1s", type_text(arguments[0]))
    if hint in PLAIN:
        return PLAIN[hint] + range_text(constraints)
    if issubclass(hint, Section) and "name" in hint.model_fields:
        return f"`{hint.model_fields['name'].default}`"
    return "mapping"


def members(hint: Any) -> list[str]:
    """The members of a union, or the values of a Literal."""
    if typing.get_origin(hint) is Literal:
        return [f"`{value}`" for value in typing.get_args(hint)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [text for member in typing.get_args(hint) for text in members(member)]
    return [type_text(hint)]


def range_text(constraints: tuple[Any, ...]) -> str:
    bounds: list[Any] = []
    for item in constraints:
        bounds += item.metadata if isinstance(item, FieldInfo) else [item]
    low = next((b for b in bounds if isinstance(b, Ge | Gt)), None)
    high = next((b for b in bounds if isinstance(b, Le | Lt)), None)
    if low is None:
        return ""
    left = f"[{low.ge}" if isinstance(low, Ge) else f"({low.gt}"
    if high is None:
        return f" ≥ {low.ge}" if isinstance(low, Ge) else f" > {low.gt}"
    return f" in {left}, " + (f"{high.le}]" if isinstance(high, Le) else f"{high.lt})")


def listed(items: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def task_rows() -> list[str]:
    """A row per task: its metrics and losses, the default first. Several targets have those of
    their own tasks.
    """
    return [
        f"| `{task}` | {code(metrics.names(task))} | {code(losses.names(task))} |"
        for task in typing.get_args(TaskName)
        if task != "multitarget"
    ]


def metric_rows() -> list[str]:
    """A row per metric."""
    return [
        f"| `{m.name}` | {m.inputs} | {'higher' if m.greater_is_better else 'lower'} "
        f"| {code(m.tune_for)} |"
        for m in metrics.METRICS.values()
    ]


def code(names: typing.Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    main()
