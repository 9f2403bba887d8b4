"""A few of the kills that `make faults` makes many of."""

from pathlib import Path

import kills
import pytest


@pytest.mark.slow
@pytest.mark.thorough
def test_a_pipeline_killed_anywhere_goes_on_to_the_same_submission(tmp_path: Path) -> None:
    """Six of them, in six stages; every way to kill is among them."""
    outcomes = kills.trials(6, seed=0, folder=tmp_path)
    assert {outcome.way for outcome in outcomes} == set(kills.WAYS)
    assert not [outcome for outcome in outcomes if outcome.task]
    assert sum(outcome.landed for outcome in outcomes) >= 4
