"""Blockwise search against the matrix of all pairs, and the univariate AUC."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from podium.explore import nearest, univariate
from podium.features.neighbors import unit


@pytest.mark.parametrize("own", [None, np.arange(53), np.arange(4, 53, 3)])
def test_blocks_give_what_the_whole_matrix_gives(
    own: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    keys = unit(rng.normal(size=(53, 8))).astype(np.float32)
    queries = unit(rng.normal(size=(31, 8))).astype(np.float32) if own is None else keys[own]
    monkeypatch.setattr(nearest, "QUERIES", 7)
    monkeypatch.setattr(nearest, "BLOCK_BYTES", 4 * 7 * 10)
    found = nearest.search(queries, keys, 5, own=own)
    matrix = queries @ keys.T
    if own is not None:
        matrix[np.arange(len(own)), own] = -np.inf
    assert (found.rows == np.argsort(-matrix, axis=1)[:, :5]).all()
    np.testing.assert_allclose(found.similarity, -np.sort(-matrix, axis=1)[:, :5], rtol=1e-5)


def test_fewer_keys_than_neighbors() -> None:
    keys = np.eye(3, dtype=np.float32)
    assert nearest.search(keys, keys, 20, own=np.arange(3)).rows.shape == (3, 2)
    assert nearest.search(keys[:1], keys[:1], 20, own=np.arange(1)).rows.shape == (1, 0)


def test_auc_alone() -> None:
    rng = np.random.default_rng(0)
    label = rng.random(2000) < 0.3
    folds = univariate.split(2000, rng)
    values = {
        "same": label * 1.0,
        "shifted": rng.normal(size=2000) + label,
        "noise": rng.normal(size=2000),
    }
    areas = {
        name: univariate.auc(univariate.bins(v), label[:, None].astype(float), folds)[0]
        for name, v in values.items()
    }
    assert areas["same"] == 1 and areas["noise"] == pytest.approx(0.5, abs=0.05)
    assert areas["shifted"] == pytest.approx(0.76, abs=0.03)  # the AUC of two normals 1 apart
    assert areas["shifted"] == pytest.approx(univariate.area(label, values["shifted"]), abs=0.03)
    text = np.where(label, "b", np.where(rng.random(2000) < 0.5, "a", "c"))
    assert univariate.auc(univariate.bins(text), label[:, None].astype(float), folds)[0] == 1


def test_groups_share_a_fold() -> None:
    groups = np.arange(100) // 4
    folds = univariate.split(100, np.random.default_rng(0), groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(25))
    assert set(folds) == set(range(univariate.FOLDS))


def test_bins_of_texts_are_numbered_by_frequency_then_sorted() -> None:
    texts = ["b", "a\0", "c", "a", "c", "a\0", "b", "é"]
    assert univariate.bins(np.array(texts, object)).tolist() == [1, 0, 2, 3, 2, 0, 1, 4]
    many = [f"{n:03}" for n in range(univariate.MAX_CATEGORIES + 50)]
    assert univariate.bins(np.array(many, object)).tolist()[-51:] == [199] + 50 * [200]


def test_a_long_text_takes_no_memory_per_row() -> None:
    texts = pd.Series(["a", "b" * 50_000] + ["c"] * 2000, dtype=str)
    tracemalloc.start()
    assert univariate.bins(texts.to_numpy()).max() == 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6  # 400 MB if each had the longest one's width
