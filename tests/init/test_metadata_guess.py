"""`make init` proposes the columns that both tables have."""

import io
from pathlib import Path

import competitions
import numpy as np
import pandas as pd
import pytest
from layouts import Inspection

from podium.config.prepare import Prepare
from podium.core import params_file
from podium.dataset import metadata_columns
from podium.init import template
from podium.params import schema

TRAIN, TEST = 36, 9


def inspect(
    folder: Path, train: dict[str, list[str]], test: dict[str, list[str]], **answers: str
) -> Inspection:
    """What init infers if the tables have these columns, too."""
    files = competitions.competition(TRAIN, TEST)
    for name, columns in (("train.csv", train), ("test.csv", test)):
        table = pd.read_csv(io.BytesIO(files[name]), dtype=str)
        files[name] = competitions.csv(table.assign(**columns))
    return Inspection(competitions.write_zip(folder / "c.zip", files), **answers)


def ages(count: int) -> list[str]:
    return [str(n) for n in np.random.default_rng(count).integers(20, 60, count)]


def columns(count: int) -> dict[str, list[str]]:
    return {"age": ages(count), "comment": [f"free text {n}" for n in range(count)]}


def test_usable_columns_of_both_tables_are_proposed(tmp_path: Path) -> None:
    found = inspect(tmp_path, {**columns(TRAIN), "only_train": ages(TRAIN)}, columns(TEST))
    guess = found.guess("features")
    assert guess.value == "auto" and guess.confidence == "likely"
    assert guess.reason == "both tables have age (numeric)"
    assert "train.csv: columns not used: comment, only_train" in found.layout.notes
    found.tables  # noqa: B018  it reads them


KINDS = {
    "plain": "numeric",
    "dollars": "numeric",
    "percent": "numeric",
    "thousands": "numeric",
    "spaces": "numeric",
    "Swiss": "numeric",
    "commas": "decimal_comma",
    "German": "decimal_comma",
    "euros": "decimal_comma",
}


def written(how: str, number: float) -> str:
    """The number as people write it."""
    plain, grouped = f"{number:.2f}", f"{number:,.2f}"
    return {
        "plain": plain,
        "dollars": f"${grouped}",
        "percent": f"{plain} %",
        "thousands": grouped,
        "spaces": grouped.replace(",", " "),
        "Swiss": grouped.replace(",", "\u2019"),
        "commas": plain.replace(".", ","),
        "German": grouped.translate(str.maketrans(",.", ".,")),
        "euros": plain.replace(".", ",") + "\u00a0€",
    }[how]


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("features", [None, "price"])
def test_prepare_reads_the_numbers_that_init_proposes(
    tmp_path: Path, how: str, features: str | None
) -> None:
    train = [40.25 * n % 3000 + 7.5 for n in range(TRAIN)]
    test = [1234.5, 2.75, *([980.25] * (TEST - 2))]
    cells = [{"price": [written(how, n) for n in numbers]} for numbers in (train, test)]
    found = inspect(tmp_path, *cells, **({} if features is None else {"features": features}))
    if features is None:
        assert found.guess("features").reason == f"both tables have price ({KINDS[how]})"
    layout = Prepare(**found.layout.prepare)
    read = metadata_columns.read(found.archive, layout, found.tables)
    assert read.train["price"].tolist() == train and read.test["price"].tolist() == test
    alone, _ = metadata_columns.read_test(found.archive, layout, found.tables.test, read.kinds)
    assert alone["price"].tolist() == test  # as in a kernel, which has no training table


def test_the_models_and_the_probe_take_them(tmp_path: Path) -> None:
    found = inspect(tmp_path, columns(TRAIN), columns(TEST))
    text = template.render(found.layout, found.tables, source="x.zip", slug="x", device="cpu")
    params = schema.validate(params_file.parse(text, source="t"))
    assert params.prepare.features == "auto"
    assert all(model.metadata is not None for model in params.models.values())
    assert params.probes["probe"].has_metadata


def test_answers_choose_columns(tmp_path: Path) -> None:
    some = inspect(tmp_path, columns(TRAIN), columns(TEST), features="age,comment")
    assert some.prepare["features"] == ["age", "comment"]
    none = inspect(tmp_path, columns(TRAIN), columns(TEST), features="none")
    assert none.prepare["features"] == "none" and not none.layout.has_metadata
    assert "train.csv: columns not used: age, comment" in none.layout.notes


def test_nothing_is_asked_if_the_tables_share_nothing_usable(tmp_path: Path) -> None:
    found = inspect(tmp_path, columns(TRAIN), {"comment": [f"t{n}" for n in range(TEST)]})
    assert "features" not in [guess.name for guess in found.layout.guesses]
    assert found.prepare["features"] == "none"


def test_a_column_that_gives_the_label_away_is_named(tmp_path: Path) -> None:
    labels = [competitions.CLASSES[n % 3] for n in range(TRAIN)]
    codes = {"diagnosis": [f"d{label[:2]}" for label in labels], "age": ages(TRAIN)}
    test = {"diagnosis": ["dci", "dsq", "dst"] * 3, "age": ages(TEST)}
    (note,) = (text for text in inspect(tmp_path, codes, test).layout.notes if "determines" in text)
    assert note.startswith("train.csv: diagnosis alone nearly determines label.")
