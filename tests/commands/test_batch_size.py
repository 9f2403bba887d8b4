import math
from collections.abc import Callable

import pytest
import torch
from trainings import components

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.training import memory


def up_to(most: int, asked: list[int]) -> Callable[[int], float]:
    """A device that holds so many images."""

    def share(size: int) -> float:
        asked.append(size)
        return math.inf if size > most else size / most

    return share


@pytest.mark.parametrize(
    ("most", "at_most", "expected"), [(100, 900, 64), (64, 900, 32), (72, 900, 64), (9999, 90, 64)]
)
def test_it_is_the_largest_power_of_two_within_nine_tenths(
    most: int, at_most: int, expected: int
) -> None:
    assert memory.largest(up_to(most, []), at_most=at_most, may_fail=True) == expected


def test_where_a_trial_would_be_killed_none_is_made_that_could_be_too_large() -> None:
    asked: list[int] = []
    assert memory.largest(up_to(100, asked), at_most=900, may_fail=False) == 64
    assert asked == [2, 4, 8, 16, 32, 64]
    assert memory.largest(up_to(100, asked), at_most=900, may_fail=True) == 64
    assert asked[6:] == [2, 4, 8, 16, 32, 64, 128]


def test_a_model_that_does_not_fit_at_all_is_an_error() -> None:
    with pytest.raises(UserError, match="not even two images fit"):
        memory.largest(lambda _: math.inf, at_most=900, may_fail=True)


@pytest.mark.slow
def test_larger_batches_take_more_memory(images: ImageStore) -> None:
    trial = memory.Trial(components(images, mix={"mixup_alpha": 0.2}, head="batch_norm"))
    small, large = trial.share(2), trial.share(512)
    assert 0 < small < large < 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_that_is_full_is_found_and_left_usable(images: ImageStore) -> None:
    made = components(images)
    trial = memory.Trial(made)
    assert trial.share(10**8) == math.inf
    assert trial.share(4) < 0.9
