"""Stateless random numbers: generators depend on a key only, not on earlier draws."""

import hashlib
import os
import random

import numpy as np


def digest(*key: object) -> bytes:
    """16 bytes that depend only on `key`, the same in every process and on every platform."""
    return hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=16).digest()


def generator(*key: object) -> np.random.Generator:
    """A NumPy generator that depends only on `key`."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest(*key), "little")))


def set_global(*key: object) -> None:
    """Set Python's, NumPy's and torch's global generators from `key`."""
    import torch  # slow: stages without torch must not pay for it

    number = int.from_bytes(digest(*key)[:4], "little")
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def set_deterministic(on: bool) -> None:
    """Make torch use deterministic algorithms (True) or the fastest ones (False).

    Call it before the first use of CUDA: cuBLAS reads its workspace setting once.
    Source: https://pytorch.org/docs/stable/notes/randomness.html
    """
    import torch

    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # An operation without a deterministic implementation raises an error with its name.
    torch.use_deterministic_algorithms(on)
    # Filling new tensors costs time, and nothing here reads uninitialized memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = on
    torch.backends.cudnn.benchmark = not on
