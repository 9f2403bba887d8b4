"""Several seeds of a model: what is added to params.yaml and removed from it again."""

import re
from typing import Any

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from podium.core.errors import UserError
from podium.init import merge, seeds, yaml_edit
from podium.params import schema

BASE = (ROOT / "params.yaml").read_text()
WINNER = merge.apply(BASE, (ROOT / "recipes" / "weather-winner.yaml").read_text())
COMMENTED = """\
seed: 2

models:           # each is trained
  a: &x
    lr: 1
    augment:
      - Flip: {}
  # about b
  b: {<<: *x, lr: 2}   # also
  # the end of models

# about probes
probes:
  a-seed4: {features: [f]}
folds:
  all: [b, a]     # all
ensemble:
  members:
    - a           # one
    - b           # two
    # about the method
  method: mean
"""


def narrow(text: str) -> str:
    """The text, whatever the column of its comments."""
    return re.sub(r" +#", " #", text)


def read(text: str) -> dict[str, Any]:
    params: dict[str, Any] = YAML(typ="safe").load(text)
    return params


def test_seeds_are_models_that_merge_the_model() -> None:
    edited = seeds.set_count(BASE, "resnet", 3)
    assert edited.added == ["resnet-seed1", "resnet-seed2"] and not edited.removed
    changed = [line for line in edited.text.splitlines() if line not in BASE.splitlines()]
    assert changed == [
        "  resnet-seed1: {<<: *base, seed: 1}",
        "  resnet-seed2: {<<: *base, seed: 2}",
        "    - resnet-seed1",
        "    - resnet-seed2",
    ]
    models, before = read(edited.text)["models"], read(BASE)["models"]
    assert models.pop("resnet-seed1") == before["resnet"] | {"seed": 1}
    assert models.pop("resnet-seed2") == before["resnet"] | {"seed": 2}
    assert models == before
    assert read(edited.text)["ensemble"]["members"][2:] == edited.added
    schema.validate(read(edited.text))


@pytest.mark.parametrize(
    ("text", "model"),
    [(BASE, "resnet"), (COMMENTED, "a"), (COMMENTED, "b"), (COMMENTED.replace("&x", "&a"), "a")],
)
def test_more_seeds_and_fewer_again_leave_the_text_as_it_was(text: str, model: str) -> None:
    text = text.replace("*x", "*a") if "&a" in text else text
    text = yaml_edit.dump(yaml_edit.load(text))
    three = seeds.set_count(text, model, 3).text
    assert seeds.set_count(three, model, 3) == (three, [], [])
    assert seeds.set_count(three, model, 5).text == seeds.set_count(text, model, 5).text
    two = seeds.set_count(three, model, 2)
    assert narrow(two.text) == narrow(seeds.set_count(text, model, 2).text)
    one = seeds.set_count(two.text, model, 1)
    assert one.removed == seeds.set_count(text, model, 2).added
    assert narrow(one.text.replace("b: &b {", "b: {")) == narrow(text)


def test_comments_stay_before_what_they_are_about() -> None:
    lines = seeds.set_count(COMMENTED, "a", 2).text.splitlines()
    (added,) = [line for line in lines if "a-seed" in line and "{<<" in line]
    assert lines[lines.index(added) + 1] == "  # the end of models"
    assert lines[lines.index("    - b           # two") + 1].strip() == "- a-seed1"
    assert lines[lines.index("    # about the method") + 1] == "  method: mean"
    assert "  all: [b, a, a-seed1] # all" in map(narrow, lines)


def test_seeds_and_names_that_are_taken_are_skipped() -> None:
    edited = seeds.set_count(COMMENTED, "a", 4)  # the model's own seed is 2, and a-seed4 a probe
    assert edited.added == ["a-seed1", "a-seed3", "a-seed5"]
    found = read(edited.text)["models"]
    assert [found[name]["seed"] for name in edited.added] == [1, 3, 5]


def test_models_that_differ_in_their_seed_only_count_whatever_their_names() -> None:
    """`second-seed` and `student` in the recipe."""
    assert seeds.set_count(WINNER, "mobilenet", 3) == (WINNER, [], [])
    assert seeds.set_count(WINNER, "mobilenet", 4).added == ["mobilenet-seed3"]
    fewer = seeds.set_count(WINNER, "mobilenet", 2)
    assert fewer.removed == ["student"]
    assert read(fewer.text)["ensemble"]["members"] == [
        "mobilenet", "second-seed", "probe-160", "probe-224",
    ]  # fmt: skip
    with pytest.raises(UserError, match="student is mobilenet with another seed"):
        seeds.set_count(WINNER, "student", 2)


def test_an_anchor_elsewhere_may_have_the_models_name() -> None:
    text = COMMENTED.replace("a-seed4: {", "p: &b {").replace("folds:", "  q: {<<: *b}\nfolds:")
    found, before = read(seeds.set_count(text, "b", 2).text), read(text)
    assert found["models"]["b-seed1"] == before["models"]["b"] | {"seed": 1}
    assert found["probes"] == before["probes"]


def test_a_seed_that_was_edited_is_another_model() -> None:
    edited = seeds.set_count(BASE, "resnet", 2).text.replace("seed: 1}", "seed: 1, dropout: 0.5}")
    again = seeds.set_count(edited, "resnet", 2)
    assert again.added == ["resnet-seed2"]
    assert seeds.set_count(again.text, "resnet", 1).removed == ["resnet-seed2"]


def test_a_model_that_is_no_member_gets_seeds_that_are_none() -> None:
    text = BASE.replace("    - resnet\n", "")
    edited = seeds.set_count(text, "resnet", 2)
    assert edited.added and read(edited.text)["ensemble"] == read(text)["ensemble"]


def test_a_model_that_merges_a_removed_seed_keeps_its_settings() -> None:
    text = seeds.set_count(BASE, "resnet", 2).text
    text = text.replace("resnet-seed1: {", "resnet-seed1: &one {").replace(
        "    - resnet-seed1\n", ""
    )
    text = text.replace("\nembeddings:", "  wide: {<<: *one, dropout: 0.5}\n\nembeddings:")
    edited = seeds.set_count(text, "resnet", 1)
    assert edited.removed == ["resnet-seed1"]
    assert read(edited.text)["models"]["wide"] == read(text)["models"]["wide"]


def test_settings_that_commands_write_apply_to_all_seeds() -> None:
    text = seeds.set_count(BASE, "resnet", 2).text
    models = read(merge.set_key(text, "models", "resnet", "batch_size", 64))["models"]
    assert [models[name]["batch_size"] for name in models] == [64, 32, 64]
    models = read(merge.set_key(text, "models", "resnet-seed1", "batch_size", 64))["models"]
    assert [models[name]["batch_size"] for name in models] == [32, 32, 64]


def test_a_key_seeds_is_an_error_that_names_the_command() -> None:
    params = read(BASE)
    params["models"]["resnet"]["seeds"] = 3
    expected = "models.resnet.seeds: each seed is a model. Run `make seeds MODEL=… N=…` instead"
    with pytest.raises(UserError, match=re.escape(expected)):
        schema.validate(params)
