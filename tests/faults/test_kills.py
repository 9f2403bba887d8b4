"""A few of the trials that `make faults` runs many of."""

from pathlib import Path

import kills
import pytest


@pytest.mark.slow
@pytest.mark.thorough
def test_a_pipeline_killed_at_random_gives_the_same_submission_when_rerun(tmp_path: Path) -> None:
    """Six kills in the first six stages, training included, by all five ways."""
    outcomes = kills.trials(6, seed=0, folder=tmp_path)
    assert {outcome.way for outcome in outcomes} == set(kills.WAYS)
    assert not [outcome for outcome in outcomes if outcome.problem]
    assert sum(outcome.interrupted for outcome in outcomes) >= 4
