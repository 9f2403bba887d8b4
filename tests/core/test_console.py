import re

import pytest

from podium.core import console


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3570, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


def test_decimals_adapt_to_the_magnitude() -> None:
    shown = [console.number(value) for value in (5_858_000.0, -1234.5, 0.12345, 12.0)]
    assert shown == ["5,858,000", "-1,234", "0.1235", "12"]
    values = (0.12345, 1.0, 407601.5, 0.0, 0.00012344, 1.2344e-6)
    assert [console.score(value) for value in values] == [
        "0.1235", "1.0000", "407,602", "0.0000", "0.0001234", "1.234e-06"]  # fmt: skip
    assert console.deviation(0.00041, mean=0.95) == "0.0004"
    assert console.deviation(0.00041, mean=0.00095) == "0.00041"
    assert console.deviation(41_000.0, mean=95_000.0) == "41,000"


@pytest.mark.parametrize("value", [25073895424.0, -158347.37, 0.5, 0.0, 1.25e-7, -2e22])
def test_what_is_written_is_read(value: float) -> None:
    for shown in (console.number(value), console.score(value)):
        assert re.fullmatch(console.NUMBER, shown)
        assert console.parse(shown) == pytest.approx(value, rel=1e-3)
