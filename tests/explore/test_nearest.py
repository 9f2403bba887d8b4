"""Blockwise search against the matrix of all pairs, and the univariate AUC."""

import numpy as np
import pytest

from podium.explore import nearest, univariate
from podium.features.neighbors import unit


@pytest.mark.parametrize("are_same", [False, True])
def test_blocks_give_what_the_whole_matrix_gives(
    are_same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    keys = unit(rng.normal(size=(53, 8))).astype(np.float32)
    queries = keys if are_same else unit(rng.normal(size=(31, 8))).astype(np.float32)
    monkeypatch.setattr(nearest, "QUERIES", 7)
    monkeypatch.setattr(nearest, "KEYS", 10)
    found = nearest.search(queries, keys, 5, are_same=are_same)
    matrix = queries @ keys.T
    if are_same:
        np.fill_diagonal(matrix, -np.inf)
    assert (found.rows == np.argsort(-matrix, axis=1)[:, :5]).all()
    np.testing.assert_allclose(found.similarity, -np.sort(-matrix, axis=1)[:, :5], rtol=1e-5)


def test_fewer_keys_than_neighbors() -> None:
    keys = np.eye(3, dtype=np.float32)
    assert nearest.search(keys, keys, 20, are_same=True).rows.shape == (3, 2)
    assert nearest.search(keys[:1], keys[:1], 20, are_same=True).rows.shape == (1, 0)


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
