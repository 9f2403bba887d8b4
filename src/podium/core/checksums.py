"""File headers that contain metadata and a SHA-256 of the metadata and the file's arrays."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from podium.core import files
from podium.core.errors import UserError

KEY = "podium"  # the header's only entry: with several, their order could change the bytes


def sign(content: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return a header as JSON: `content`, and the SHA-256 of `content` and the named `arrays`."""
    signed = {"content": content, "sha256": _sha256(content, arrays)}
    return json.dumps(signed, sort_keys=True)


def header(metadata: Mapping[Any, Any] | None, *, path: Path) -> str | bytes:
    """The header among the `metadata` of the file at `path`.

    Raises:
        UserError: if it has none.
    """
    found: str | bytes | None = None
    if metadata is not None:
        found = metadata.get(KEY, metadata.get(KEY.encode()))
    if found is None:
        raise UserError(f"{path} was not written by Podium. {files.RERUN_HINT}")
    return found


def verify(
    header: str | bytes, arrays: Iterable[tuple[str, np.ndarray]], *, path: Path
) -> tuple[dict[str, Any], str]:
    """Check a header against the arrays of the file at `path`; return its content and SHA-256.

    Raises:
        UserError: if the header or the arrays were changed after `sign`.
    """
    try:
        signed = json.loads(header)
        content, sha256 = signed["content"], signed["sha256"]
    except (ValueError, TypeError, KeyError):
        sha256 = None
    if sha256 is None or sha256 != _sha256(content, arrays):
        raise UserError(f"{path} is damaged. Remove it and run `dvc repro`.")
    return content, sha256


def _sha256(content: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name, array in sorted(arrays, key=lambda item: item[0]):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
