"""Randomness as a function of names and numbers, never of what ran before."""

import hashlib
import os
import random

import numpy as np


def digest(*key: object) -> bytes:
    """16 bytes that depend on `key` alone: the same in every process and on every platform."""
    return hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=16).digest()


def generator(*key: object) -> np.random.Generator:
    """A NumPy generator that depends on `key` alone."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest(*key), "little")))


def set_global(*key: object) -> None:
    """Set Python's, NumPy's and torch's global generators from `key`."""
    import torch  # here, so that stages without torch do not pay for its import

    number = int.from_bytes(digest(*key)[:4], "little")
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def set_deterministic(on: bool) -> None:
    """Have torch choose deterministic algorithms (True) or the fastest ones (False).

    Must come before the first use of CUDA: cuBLAS reads its workspace setting once.
    Source: https://pytorch.org/docs/stable/notes/randomness.html
    """
    import torch

    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # An operation without a deterministic form is an error that says so, and names itself.
    torch.use_deterministic_algorithms(on)
    # New tensors would be filled first, lest something reads them unwritten: nothing here does.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = on
    torch.backends.cudnn.benchmark = not on
