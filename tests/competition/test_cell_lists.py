"""Cells that list several labels, in the forms that tables have them."""

import itertools
import json

import numpy as np
import pytest

from podium.competition.text import cell_lists
from podium.competition.text.cell_lists import ListStyle

LABELS = ["Action", "Science Fiction", "Rock 'n' Roll", 'the "best"', "caf\u00e9", "a, b", "[x]"]
LISTS = [LABELS, LABELS[:1], LABELS[2:4], []]


@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        lambda labels: json.dumps(labels, ensure_ascii=False, separators=(",", ":")),
        lambda labels: str(np.array(labels, dtype=object)),
        lambda labels: str([np.str_(label) for label in labels]),
        lambda labels: repr(np.array(labels, dtype=object)),
        lambda labels: str(tuple(labels)),
        lambda labels: f" {labels}\n",
    ],
)
def test_lists_as_programs_write_them(write) -> None:  # type: ignore[no-untyped-def]
    cells = [write(labels) for labels in LISTS]
    assert cell_lists.are_bracketed(cells)
    assert list(cell_lists.split(cells, ",").values()) == LISTS


@pytest.mark.parametrize("write", [str, lambda labels: f"frozenset({labels})"])
def test_sets(write) -> None:  # type: ignore[no-untyped-def]
    cells = [write({"a", "b"}), write({"c"})]
    assert [set(labels) for labels in cell_lists.split(cells, " ").values()] == [{"a", "b"}, {"c"}]


@pytest.mark.parametrize("write", [str, lambda numbers: str(np.array(numbers)), json.dumps])
def test_lists_of_numbers(write) -> None:  # type: ignore[no-untyped-def]
    cells = [write([1, 20, 3]), write([4])]
    assert list(cell_lists.split(cells, " ").values()) == [["1", "20", "3"], ["4"]]


def test_a_long_numpy_list_has_several_lines() -> None:
    labels = [f"label number {n}" for n in range(40)]
    cell = str(np.array(labels))
    assert "\n" in cell and cell_lists.split([cell], " ")[cell] == labels


@pytest.mark.parametrize("mark", [", ", ";", "|"])
def test_lists_without_quotes(mark: str) -> None:
    lists = [["Action", "Science Fiction"], ["Drama"], ["Don't", "Won't"], ["Dark Comedy"]]
    cells = [f"[{mark.join(labels)}]" for labels in lists]
    assert list(cell_lists.split(cells, " ").values()) == lists
    style = ListStyle.of(cells)
    assert style is not None and style.join(lists[0]) == cells[0]


@pytest.mark.parametrize("empty", ["set()", "frozenset()", "array([], dtype='<U1')", "[]"])
def test_empty_lists(empty: str) -> None:
    cells = ["{'a', 'b'}", empty, "{'c'}"]
    assert [*map(len, cell_lists.split(cells, " ").values())] == [2, 0, 1]
    style = ListStyle.of(["{'c'}", empty])
    assert style is not None and style.join(["a", "b"]) == "{'a', 'b'}"


@pytest.mark.parametrize(
    "cells",
    [
        ["['a', 'b']", "c"],
        ["(a) b", "c (d)"],
        ["(a); (b)", "(c)"],
        ["['a'] ['b']"],
        ["", " "],
        ["array", "set"],
        [],
    ],
)
def test_other_cells_are_not_lists_in_brackets(cells: list[str]) -> None:
    assert not cell_lists.are_bracketed(cells)
    expected = {cell: [part for part in cell.split(";") if part.strip()] for cell in cells}
    found = cell_lists.split(cells, ";")
    assert {cell: [*map(str.strip, labels)] for cell, labels in expected.items()} == found


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["['a']", "['a', 'b']"], "['x', \"it's\"]"),
        (['["a"]'], '["x", "it\'s"]'),
        (['["a","b"]'], '["x","it\'s"]'),
        (["['a' 'b']", "['a']"], "['x' \"it's\"]"),
        (["('a', 'b')"], "('x', \"it's\")"),
        (["{a,b}"], "{x,it's}"),
        (["[1, 2]", "[]"], "[x, it's]"),
        (["[1 2]"], "[x it's]"),
        (["[]"], "[x, it's]"),
    ],
)
def test_lists_are_written_like_the_table(cells: list[str], expected: str) -> None:
    style = ListStyle.of(cells)
    assert style is not None
    assert style.join(["x", "it's"]) == expected
    assert cell_lists.split([expected], style.separator)[expected] == ["x", "it's"]
    assert style.join([]) == style.brackets


def test_the_style_depends_on_no_order() -> None:
    cells = ["['Drama']", '["it\'s ok"]', "['a']"]
    assert {ListStyle.of(order) for order in itertools.permutations(cells)} == {
        ListStyle(", ", "[]", "'")
    }


def test_plain_cells_have_no_such_style() -> None:
    assert ListStyle.of(["a b", "c"]) is None
    assert ListStyle("|").join(["a", "b c"]) == "a|b c"
    assert ListStyle(" ").is_ambiguous("b c") and not ListStyle(", ", "[]", "'").is_ambiguous(
        "a, b"
    )
