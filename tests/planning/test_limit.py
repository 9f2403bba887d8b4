"""Limits on the time."""

import argparse

import pytest

from podium.planning import limit


@pytest.mark.parametrize("text", ["abc", "", "0", "-1", "nan", "inf", "1h"])
def test_a_limit_is_a_positive_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a positive number, not"):
        limit.positive(text)


def test_valid_limits() -> None:
    assert (limit.positive("9"), limit.positive("0.5")) == (9.0, 0.5)


def test_the_verdict() -> None:
    assert limit.verdict(3600, 1) == "fits into 1 h 00 min"
    assert limit.verdict(7200, 0.5).startswith("does not fit into 30 min: it takes 4.0 times as")
