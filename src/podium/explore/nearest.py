"""Nearest neighbors by cosine similarity, computed in blocks without a matrix of all pairs."""

from typing import NamedTuple

import numpy as np
import torch

from podium.core import signals

QUERIES, BLOCK_BYTES = 2048, 2**27  # rows, and similarities, of a block


class Nearest(NamedTuple):
    """The nearest keys of each query, the nearest first."""

    rows: np.ndarray  # int64 [N, k]
    similarity: np.ndarray  # float32 [N, k]


def search(
    queries: np.ndarray, keys: np.ndarray, count: int, *, own: np.ndarray | None = None
) -> Nearest:
    """The `count` keys [M, D] with the highest inner product with each query [N, D], all float32
    and of length 1. With `own` [N], query i does not find key own[i].
    """
    count = min(count, len(keys) - (own is not None))
    if count < 1:
        return Nearest(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), "f4"))
    best, rows = [], []
    with torch.inference_mode():
        table = torch.from_numpy(np.ascontiguousarray(keys, np.float32))
        for start in range(0, len(queries), QUERIES):
            signals.raise_if_stopped()
            rows_of_block = slice(start, start + QUERIES)
            block = torch.from_numpy(np.ascontiguousarray(queries[rows_of_block], "f4"))
            skipped = None if own is None else torch.from_numpy(own[rows_of_block])
            values, indices = _search_block(block, table, count, skipped)
            best.append(values.numpy())
            rows.append(indices.numpy())
    return Nearest(np.concatenate(rows), np.concatenate(best))


def _search_block(
    block: torch.Tensor, table: torch.Tensor, count: int, own: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The best of one block of queries, without the key `own` of each."""
    values = torch.empty((len(block), 0))
    indices = torch.empty((len(block), 0), dtype=torch.int64)
    width = max(1, BLOCK_BYTES // (4 * len(block)))
    for first in range(0, len(table), width):
        similarity = block @ table[first : first + width].T
        if own is not None:
            columns = own - first
            inside = (columns >= 0) & (columns < similarity.shape[1])
            similarity[inside.nonzero()[:, 0], columns[inside]] = -torch.inf
        if count == 1:  # several times as fast as topk
            top, places = similarity.max(dim=1, keepdim=True)
        else:
            top, places = similarity.topk(min(count, similarity.shape[1]), dim=1)
        values = torch.cat([values, top], dim=1)
        indices = torch.cat([indices, places + first], dim=1)
        kept = values.topk(min(count, values.shape[1]), dim=1)
        values, indices = kept.values, indices.gather(1, kept.indices)
    return values, indices


def unit(values: np.ndarray) -> np.ndarray:
    """Normalize rows [N, D] to length 1, float32; zeros stay zeros."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: np.ndarray = (values / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
