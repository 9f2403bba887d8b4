"""What `make init --minutes` chooses."""

from dataclasses import replace

import pytest

from podium.init import budget
from podium.init.budget import Choice, Costs, ModelCosts, Options
from podium.init.defaults import Model
from podium.init.measured import Kind
from podium.planning.cost import HeadTime, Process, Rate, Training

SMALL, CROP = Kind("squash", 160), Kind("crop", 160)
NET = Model("mobilenet", "mobilenetv2_100", 160)
SECOND = Model("convnext", "convnext_tiny", 224)
OPTIONS = Options(
    folds=5,
    probe_folds=5,
    kinds=(SMALL, CROP),
    models=(NET,),
    enlarged=(),
    sizes=(224,),
    batch_size=10,
    training_images=500,
    test_images=100,
)
TRAINING = Training(
    network=1.0,
    cache=0.0,
    probe=0.0,
    batches=(Rate(0.0, 0.1),),
    validation=Rate(0.0, 0.0),
    checkpoint=0.0,
)
COSTS = Costs(
    process=Process(start=2.0, light=1.0),
    prepare=4.0,
    models={
        "mobilenet": ModelCosts(160, TRAINING, Rate(0.0, 0.01)),
        "convnext": ModelCosts(224, TRAINING, Rate(0.0, 0.01)),
    },
    head=HeadTime(10.0, 1000, 4),
)


def seconds(choice: Choice) -> float:
    return budget.total(choice, OPTIONS, COSTS)


def choose(minutes: float, options: Options = OPTIONS) -> Choice:
    return budget.choose(options, COSTS, seconds=60 * minutes)


def test_the_time_of_a_probe() -> None:
    rows = {row.name: row.total for row in budget.rows(Choice(5, (SMALL,)), OPTIONS, COSTS)}
    assert rows == pytest.approx({
        "check": 3.0,
        "prepare": 4.0,
        "explore": 3.0 + 600 * 0.01,
        "squash-160 (embedding)": 3.0 + 600 * 0.01,
        "probe": 2.0 + 5 * 400 * 0.01,
        "other stages": 9.0,
    })  # fmt: skip


def test_the_time_of_a_model_with_larger_images() -> None:
    choice = Choice(5, (), (replace(NET, image_size=320),), epochs=3)
    (row,) = (row for row in budget.rows(choice, OPTIONS, COSTS) if row.name == "mobilenet")
    assert row.folds == 5
    steps = 3 * 40 + 1  # one to verify the settings
    assert row.seconds == pytest.approx(2.0 + 1.0 + 4 * 0.1 * steps)
    assert row.prediction == pytest.approx(2.0 + 1.0 + 4 * 0.01 * 200)


def test_a_head_that_is_trained_first_takes_one_epoch() -> None:
    training = replace(TRAINING, batches=(Rate(0.0, 0.05), Rate(0.0, 0.1)))
    costs = replace(COSTS, models={"mobilenet": ModelCosts(160, training, Rate(0.0, 0.01))})
    rows = budget.rows(Choice(5, (), (NET,), epochs=3), OPTIONS, costs)
    (row,) = (row for row in rows if row.name == "mobilenet")
    assert row.seconds == pytest.approx(3.0 + 40 * 0.05 + (3 * 40 + 1) * 0.1)


def test_choices_grow_in_the_documented_order() -> None:
    choices = [*budget.ladder(OPTIONS)]
    assert choices[:5] == [
        Choice(5, (SMALL,)),
        Choice(5, (SMALL, CROP)),
        Choice(3, (SMALL,), (NET,), 3),
        Choice(4, (SMALL,), (NET,), 3),
        Choice(5, (SMALL,), (NET,), 3),
    ]
    longer = [Choice(5, (SMALL, CROP), (NET,), epochs) for epochs in range(3, 31)]
    assert choices[5:-1] == longer
    assert choices[-1] == Choice(5, (SMALL, CROP), (replace(NET, image_size=224),), 30)


def test_features_are_added_one_after_the_other() -> None:
    pad = Kind("pad", 160)
    choices = [*budget.ladder(replace(OPTIONS, kinds=(SMALL, CROP, pad)))]
    assert choices[1:3] == [Choice(5, (SMALL, CROP)), Choice(5, (SMALL, CROP, pad))]
    assert choices[3].kinds == (SMALL,)


def test_a_probe_alone_has_more_folds() -> None:
    choices = [*budget.ladder(replace(OPTIONS, folds=3))]
    both = (SMALL, CROP)
    assert choices[:4] == [Choice(3, (SMALL,)), *(Choice(n, both) for n in (3, 4, 5))]
    assert {choice.folds for choice in choices[4:]} == {3}


def test_tiny_images_are_enlarged_after_eight_epochs() -> None:
    tiny, images = replace(NET, image_size=32), (64, 96)
    options = replace(OPTIONS, models=(tiny, SECOND), enlarged=images, sizes=(192,))
    rungs = [(c.models[0].image_size, c.epochs) for c in budget.ladder(options) if c.models]
    short = [(32, epochs) for epochs in (3, 3, 3, *range(3, 9))]
    assert rungs[:9] == short
    assert rungs[9:15] == [(64, epochs) for epochs in range(3, 9)]
    assert rungs[15:] == [*((96, epochs) for epochs in range(3, 31)), (96, 30), (192, 30)]
    *_, both, _ = budget.ladder(options)
    assert [model.image_size for model in both.models] == [96, 224]


def test_smaller_images_than_those_measured_take_as_long() -> None:
    costs = ModelCosts(64, TRAINING, Rate(1.0, 0.01))
    assert costs.at(32).prediction == Rate(1.0, 0.01) and costs.at(32).image_size == 32
    assert costs.at(128).prediction == Rate(4.0, 0.04)


def test_several_models_come_before_larger_images() -> None:
    options = replace(OPTIONS, models=(NET, SECOND), sizes=(192,))
    *_, both, larger = budget.ladder(options)
    assert both.models == (NET, SECOND)
    assert [model.image_size for model in larger.models] == [192, 224]


@pytest.mark.parametrize("minutes", [0.95, 1.2, 2, 3, 5, 10, 100])
def test_the_choice_fits_and_the_next_better_one_does_not(minutes: float) -> None:
    choices, chosen = [*budget.ladder(OPTIONS)], choose(minutes)
    assert seconds(chosen) <= 60 * minutes
    better = choices[choices.index(chosen) + 1 :]
    assert all(seconds(choice) > 60 * minutes for choice in better)


def test_more_time_is_used_up_to_a_point() -> None:
    assert choose(0.8).models == () and choose(0.8).folds == 5
    assert choose(1.8) == Choice(3, (SMALL,), (NET,), 3)
    assert choose(100) == choose(10_000) == [*budget.ladder(OPTIONS)][-1]


def test_if_nothing_fits_it_is_the_cheapest() -> None:
    assert choose(0.01) == Choice(5, (SMALL,))
    (first, *_), needed = budget.notes(choose(0.01), OPTIONS, seconds=0.6, needed=50), 50
    assert "no plan fits into" in first and needed


def test_folds_are_never_fewer_than_three_unless_the_data_have_fewer() -> None:
    assert min(choice.folds for choice in budget.ladder(OPTIONS)) == 3
    options = replace(OPTIONS, folds=2, probe_folds=2)
    assert {choice.folds for choice in budget.ladder(options)} == {2}


def test_a_probe_is_not_required() -> None:
    options = replace(OPTIONS, kinds=())
    assert choose(0.01, options).models == (NET,)
    assert all(choice.models for choice in budget.ladder(options))


@pytest.mark.parametrize(
    ("images", "epochs"), [(100, 30), (500, 30), (1_250, 20), (5_000, 8), (10**6, 8)]
)
def test_the_length_is_a_number_of_steps(images: int, epochs: int) -> None:
    assert budget.max_epochs(replace(OPTIONS, training_images=images)) == epochs


def test_the_notes_say_what_was_left_out() -> None:
    def notes(choice: Choice) -> str:
        return "; ".join(budget.notes(choice, OPTIONS, seconds=100, needed=90))

    assert "no model is fine-tuned" in notes(Choice(5, (SMALL,)))
    assert notes(Choice(3, (SMALL,), (NET,), 3)) == (
        "3 folds: there is no time for 5; features that are left out for lack of time: crop-160"
    )
    assert notes(Choice(5, (SMALL, CROP), (NET,), 3)) == ""
    assert "more minutes would not be used" in notes([*budget.ladder(OPTIONS)][-1])
