import math
from itertools import pairwise

import pytest

from podium.schedule import warmup_cosine


def test_warm_up_is_linear_and_then_the_rate_falls_along_half_a_cosine() -> None:
    factors = [warmup_cosine(step, total=14, warmup=4) for step in range(14)]
    assert factors[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert factors[4] == 1
    assert factors[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5)))
    assert factors[13] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.9)))
    assert all(a > b for a, b in pairwise(factors[4:]))
