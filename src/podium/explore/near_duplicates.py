"""Near-duplicates: copies of an image that were re-encoded, cropped, mirrored or recolored.

Candidates are the nearest neighbors by a perceptual hash, its mirrored and cropped variants, and by
features; each pair is then verified by alignment. The stage prepare has found identical images.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from podium.core import console, machine, signals
from podium.explore import alignment, nearest
from podium.explore.features import Described
from podium.explore.image_stats import THUMB
from podium.features.neighbors import unit

FREQUENCIES = 12  # per axis, of the perceptual hash
BY_HASH, BY_FEATURES = 1, 3  # candidates per image, and per variant of its hash
CROP = 0.88  # of each axis, of the cropped variants
MIN_SIMILARITY = 0.35  # of features of a trained network; less: not a copy
MIN_CONTRAST = 2.0  # gray levels; nearly uniform images all look alike
CHUNK = 1024  # pairs
BLOCK = 4096  # images that are hashed at once


class Pair(NamedTuple):
    """Rows of two images that are copies of each other."""

    a: int
    b: int
    correlation: float  # of details; 1 for identical pixels
    kind: str  # identical, copy, mirrored, cropped, or mirrored and cropped


def find(
    described: Described,
    decode: Callable[[int], np.ndarray],
    identical: Sequence[Sequence[int]],
    *,
    searched: np.ndarray,
    trained: bool,
) -> list[Pair]:
    """Find pairs of near-duplicates, highest correlation first. A set of `identical` images gives
    the pairs of its first image with each other one.

    Args:
        described: all images, training and test.
        decode: the pixels of a row.
        identical: the rows of each set of images with the same pixels.
        searched: the rows whose copies, other than identical ones, are searched among all images.
        trained: whether the features are of a trained network, so that copies are similar.
    """
    pairs = [Pair(rows[0], row, 1.0, "identical") for rows in identical for row in rows[1:]]
    repeated = {pair.b for pair in pairs}
    kept = described.stats.statistic("contrast") >= MIN_CONTRAST
    kept &= described.stats.sizes.min(axis=1) >= alignment.TINY
    kept[[*repeated]] = False
    rows = np.flatnonzero(kept)
    if len(rows) > 1:
        queries = np.flatnonzero(np.isin(rows, searched))
        thumbs, features = described.stats.thumbs[rows], described.features[rows]
        chosen = candidates(thumbs, features, queries, trained=trained)
        pairs += _verify(rows[chosen], described, decode)
    return sorted(pairs, key=lambda pair: (-pair.correlation, pair.a, pair.b))


def perceptual_hash(thumbs: np.ndarray) -> np.ndarray:
    """The low frequencies of small gray images [N, S, S], not binarized: [N, D], length 1.

    Source: pHash (Zauner 2010), which keeps their signs.
    """
    low = []
    for start in range(0, len(thumbs), BLOCK):
        block = thumbs[start : start + BLOCK].astype(np.float32)
        transformed = dctn(block, axes=(1, 2), norm="ortho")
        low.append(transformed[:, :FREQUENCIES, :FREQUENCIES].reshape(len(block), -1)[:, 1:])
    return unit(np.concatenate(low)).astype(np.float32)


def candidates(
    thumbs: np.ndarray, features: np.ndarray, queries: np.ndarray, *, trained: bool
) -> np.ndarray:
    """Pairs of rows that may be copies of each other, one of each among the rows `queries`,
    sorted: int64 [P, 2].
    """
    if not len(queries):
        return np.zeros((0, 2), np.int64)
    keys, own = perceptual_hash(thumbs), thumbs[queries]
    cut = np.stack([_center(thumb) for thumb in own])
    variants = (own, own[:, :, ::-1], cut, cut[:, :, ::-1])
    hashes = [perceptual_hash(variant) for variant in variants]
    found = [nearest.search(variant, keys, BY_HASH, own=queries).rows for variant in hashes]
    found.append(nearest.search(features[queries], features, BY_FEATURES, own=queries).rows)
    first = np.concatenate([np.repeat(queries, f.shape[1]) for f in found])
    second = np.concatenate([f.ravel() for f in found])
    pairs = np.unique(np.sort(np.stack([first, second], axis=1), axis=1), axis=0)
    if trained:
        similarity = np.concatenate(
            [
                np.einsum("nd,nd->n", features[part[:, 0]], features[part[:, 1]])
                for part in np.array_split(pairs, max(1, len(pairs) // 8192))
            ]
        )
        pairs = pairs[similarity >= MIN_SIMILARITY]
    return pairs


def sets(pairs: Iterable[Pair], count: int) -> np.ndarray:
    """The set number of each of `count` images, from 0; -1 for images without a copy."""
    edges = np.array([(pair.a, pair.b) for pair in pairs], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    numbers = np.full(count, -1)
    members = np.unique(edges)
    numbers[members] = pd.factorize(component[members])[0]
    return numbers


def _center(thumb: np.ndarray) -> np.ndarray:
    margin = round(THUMB * (1 - CROP) / 2)
    inner = thumb[margin : THUMB - margin, margin : THUMB - margin]
    return cv2.resize(inner, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def _verify(
    chosen: np.ndarray, described: Described, decode: Callable[[int], np.ndarray]
) -> list[Pair]:
    thumbs = described.stats.thumbs

    def check(rows: list[int]) -> Pair | None:
        start = alignment.rough(thumbs[rows[0]], thumbs[rows[1]])
        if start.correlation < alignment.ROUGH:
            return None
        match = alignment.match(decode(rows[0]), decode(rows[1]), start)
        if match.correlation < alignment.SURE:
            return None
        words = ["mirrored"] * match.mirrored + ["cropped"] * (match.share < alignment.WHOLE)
        return Pair(rows[0], rows[1], match.correlation, " and ".join(words) or "copy")

    found = list[Pair | None]()
    with ThreadPoolExecutor(machine.worker_count()) as pool:
        for start in console.bar(range(0, len(chosen), CHUNK), "pairs"):
            signals.raise_if_stopped()
            pairs = chosen[start : start + CHUNK]
            pairs = pairs[alignment.plausible(thumbs[pairs[:, 0]], thumbs[pairs[:, 1]])]
            found += pool.map(check, pairs.tolist())
    return [pair for pair in found if pair is not None]
