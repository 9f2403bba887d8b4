"""The line per epoch, and what the cluster's driver and a search read from it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from podium.cluster.view import Row
from podium.core import console
from podium.scoring import metrics
from podium.search import trials
from podium.training.epochs import Epoch
from podium.training.printing import print_epoch

RMSE = metrics.get("rmse", "regression")


def printed(capsys: pytest.CaptureFixture[str], score: float, **changes: Any) -> str:
    """The line of an epoch of the first phase."""
    epoch = Epoch(3, 1, 0.4321, 0.0004321, score, None, None, None, None, 0.1, None, 1, 13885, 9)
    facts = {"curves": [epoch], "finished": False, "uses_features": False} | changes
    state = cast(Any, SimpleNamespace(**facts))
    print_epoch(state, metric=RMSE, is_best=True, left=60, total="2 h")
    return capsys.readouterr().out


@pytest.mark.parametrize("score", [158347.3763, 0.1234, 2.5e-6])
@pytest.mark.parametrize(("cached", "unit"), [(False, "images/s"), (True, "features/s")])
def test_epochs_are_readable_for_people_and_programs(
    capsys: pytest.CaptureFixture[str], score: float, cached: bool, unit: str
) -> None:
    line = printed(capsys, score, uses_features=cached)
    shown = console.score(score)
    assert line.startswith(f"epoch   3  train loss 0.4321  valid loss 0.0004321  rmse {shown}*  ")
    assert f"13885 {unit}  60 s left" in line
    row = Row("a", 0)
    row.update(line)
    assert (row.epoch, row.score, row.left) == ("3", f"rmse {shown}", "60 s")
    found = trials.SCORE.match(line)
    assert found and console.parse(found[2]) == pytest.approx(score, rel=1e-3)
