import pytest

from podium.dataset import numbers


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["125,5", "3", ""], ["125.5", "3"]),
        (["-3,5", "+2,25"], ["-3.5", "+2.25"]),
        (["0,123", "1,500"], ["0.123", "1.500"]),
        (["1,2345"], ["1.2345"]),
        (["1.234,5", "980,5"], ["1234.5", "980.5"]),
        (["$1,234", "$980"], ["1234", "980"]),
        (["£1,234", "£2,345"], ["1234", "2345"]),
        (["1,234", "1,234,567"], ["1234", "1234567"]),
        (["1,234", "980.5"], ["1234", "980.5"]),
        (["1,234", "0,5"], ["1.234", "0.5"]),
        (["1.234", "0,5"], ["1234", "0.5"]),
        (["1,234,567", "12"], ["1234567", "12"]),
        (["1,234.5", "7"], ["1234.5", "7"]),
        (["1.234.567", "5"], ["1234567", "5"]),
        (["1 234", "1\u00a0234,5"], ["1234", "1234.5"]),
        (["1\u2019234", "55.5"], ["1234", "55.5"]),
        (["12%", "13.5 %"], ["12", "13.5"]),
        (["$1,250", "-$990.50"], ["1250", "-990.50"]),
        (["1e3", "2.5"], ["1e3", "2.5"]),
    ],
)
def test_numbers_are_read_in_one_way(cells: list[str], expected: list[str]) -> None:
    found = numbers.read(cells)
    assert found is not None and [*found.plain.values()] == expected and not found.is_ambiguous


MANY = [f"{n},{n}34" for n in range(1, 10)] + [f"{n},17{n % 9 + 1}" for n in range(10, 60)]


@pytest.mark.parametrize(
    "cells",
    [
        ["1,234", "2,345"],
        ["1,234", "12345"],
        ["1,234", "980"],
        ["1,234", "1.234"],
        ["1,234 €", "980 €"],
        ["1,234%", "980%"],
        ["1,230", "980"],
        ["1,234", "7", "80", "900"],
        MANY,
        [*MANY, "0"],
        [*MANY, "7", "80", "900", "1000"],
    ],
)
def test_commas_before_three_digits_are_ambiguous(cells: list[str]) -> None:
    found = numbers.read(cells)
    assert found is not None and found.is_ambiguous


@pytest.mark.parametrize("divided", [MANY, ["1,134", "1,230"]])
def test_digits_that_fractions_would_not_have_are_thousands(divided: list[str]) -> None:
    found = numbers.read([*divided, "7", "80", "900"])
    assert found is not None and not found.is_ambiguous
    assert found.plain["1,134"] == "1134" and found.plain["7"] == "7"


@pytest.mark.parametrize(
    ("cell", "with_point", "with_comma"),
    [
        ("1,234", "1234", "1.234"),
        ("1.234", "1.234", "1234"),
        ("1,5", "1.5", "1.5"),
        ("980.5", "980.5", "980.5"),
        ("$1,250.50", "1250.50", "1250.50"),
        ("-12,5 %", "-12.5", "-12.5"),
        ("cheap", None, None),
        ("1,2,3", None, None),
    ],
)
def test_a_cell_is_read_with_the_decimal_mark_of_its_column(
    cell: str, with_point: str | None, with_comma: str | None
) -> None:
    assert numbers.read_cell(cell, numbers.POINT) == with_point
    assert numbers.read_cell(cell, numbers.COMMA) == with_comma


@pytest.mark.parametrize(
    "cells",
    [["a"], ["3,7,9"], ["1,5", "1.5"], ["12%", "13"], ["12 3"], ["1,"], ["125 cm"], ["1.2.3"]],
)
def test_other_cells_are_no_numbers(cells: list[str]) -> None:
    assert numbers.read(cells) is None
