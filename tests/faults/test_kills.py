"""A few of the trials that `make faults` runs many of."""

from pathlib import Path

import kills
import pytest
from conftest import PROPERTY_SEED


@pytest.mark.slow
@pytest.mark.thorough
def test_a_pipeline_killed_at_any_moment_gives_the_same_submission_when_rerun(
    tmp_path: Path,
) -> None:
    """Each way to kill is used once, in training and the five stages after it."""
    outcomes = kills.trials(6, seed=9, folder=tmp_path)
    assert {outcome.stage for outcome in outcomes} == set(kills.STAGES[kills.FIRST :])
    assert {outcome.way for outcome in outcomes} == set(kills.WAYS)
    assert not [outcome for outcome in outcomes if outcome.problem]
    assert sum(outcome.interrupted for outcome in outcomes) >= 3


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_sixty_kills_at_random_moments(tmp_path: Path) -> None:
    """Each stage is killed several times, in each way."""
    outcomes = kills.trials(60, seed=PROPERTY_SEED, folder=tmp_path)
    assert {outcome.stage for outcome in outcomes} == set(kills.STAGES)
    assert not [outcome for outcome in outcomes if outcome.problem]
