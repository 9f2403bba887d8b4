"""What SET means, and params.yaml with a trial's values."""

import math
from typing import Any

import pytest

from podium.core.errors import UserError
from podium.search import space
from podium.search.space import Dimension

PARAMS = """# comment
models:
  a: &base
    architecture: resnet18   # a name
    phases:
      - {epochs: 10, lr: 5e-3}   # all
    mix: null
  b:
    <<: *base
    dropout: 0.1
folds:
  run: [0, 1]
"""


def test_set_is_parsed() -> None:
    text = "phases.0.lr=log:1e-4:3e-2 mix.mixup_alpha=float:0:1 n=int:3:12 c=choice:a,0.5,true,null"
    assert space.parse(text) == [
        Dimension("phases.0.lr", "log", 1e-4, 3e-2),
        Dimension("mix.mixup_alpha", "float", 0.0, 1.0),
        Dimension("n", "int", 3.0, 12.0),
        Dimension("c", "choice", choices=("a", 0.5, True, None)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "SET is empty"),
        ("lr", "'lr' is not a range"),
        ("lr=uniform:0:1", "is not a range"),
        ("lr=log:0:1", "must start above 0"),
        ("lr=float:1", "must be lr=float:lowest:highest"),
        ("lr=float:2:1", "must be less than"),
        ("lr=float:0:inf", "must be less than"),
        ("n=int:1.5:3", "whole numbers"),
        ("c=choice:[1]", "must be words, numbers"),
        ("a=int:1:2 a=int:1:3", "has a twice"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space.parse(text)


def test_numbers_have_three_digits_and_stay_within_their_range() -> None:
    lr = Dimension("lr", "log", 1.2345e-4, 3e-2)
    assert lr.rounded(0.00123456) == 0.00123
    assert lr.rounded(1.2346e-4) == lr.low
    assert Dimension("c", "choice", choices=(0.12345,)).rounded(0.12345) == 0.12345
    assert Dimension("n", "int", 1, 2000).rounded(1234) == 1234


def test_values_near_the_ends_are_checked() -> None:
    low, high = Dimension("lr", "log", 1e-4, 1e-2).samples()
    assert isinstance(low, float) and isinstance(high, float)
    assert math.isclose(low, 1e-4, rel_tol=0.01) and math.isclose(high, 1e-2, rel_tol=0.01)
    assert 0 < space.parse("m=float:0:1")[0].samples()[0] < 0.01  # type: ignore[operator]
    assert space.parse("c=choice:a,b")[0].samples() == ["a", "b"]


def read(text: str) -> dict[str, Any]:
    return space.parsed(text)["models"]


def test_values_are_set_in_one_model_alone() -> None:
    values = {
        "phases.0.lr": 1.23e-05, "mix.mixup_alpha": 0.5, "architecture": "vit", "dropout": 0.0,
        "pretrained": "yes",
    }  # fmt: skip
    text = space.apply(PARAMS, "a", values)
    changed, before = read(text), read(PARAMS)
    assert changed["b"] == {**before["b"], "pretrained": True}  # the default
    assert changed["a"] == {
        "architecture": "vit", "phases": [{"epochs": 10, "lr": 1.23e-05}],
        "mix": {"mixup_alpha": 0.5}, "dropout": 0.0, "pretrained": "yes",
    }  # fmt: skip
    assert "# comment" in text and "# a name" in text
    changed = read(space.apply(PARAMS, "b", values))
    assert changed["a"] == before["a"] and changed["b"]["phases"][0]["lr"] == 1.23e-05


@pytest.mark.parametrize("key", ["phases.1.lr", "phases.x.lr", "architecture.x"])
def test_a_key_that_is_nowhere_is_an_error(key: str) -> None:
    with pytest.raises(UserError, match=f"SET: {key}: .* is not in params.yaml"):
        space.apply(PARAMS, "a", {key: 1})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("phases.0.lr=log:1e-4:1e-2", {"phases.0.lr": 5e-3}),
        ("phases.0.lr=log:1e-4:1e-3", {}),
        ("phases.0.epochs=int:1:20", {"phases.0.epochs": 10}),
        ("architecture=choice:resnet18,vit", {"architecture": "resnet18"}),
        ("architecture=choice:vit,x", {}),
        ("mix.mixup_alpha=float:0:1", {}),
    ],
)
def test_the_values_of_params_yaml_are_the_first_trial_if_they_are_in_the_ranges(
    text: str, values: dict[str, Any]
) -> None:
    assert space.current(read(PARAMS)["a"], space.parse(text)) == values
