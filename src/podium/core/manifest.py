"""Manifests with checksums: a changed or damaged table is an error."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from podium.core import checksums, csvs, files
from podium.core.errors import UserError


def write(path: Path, names: Sequence[str], **facts: Any) -> None:
    """Write a manifest to `path`: `facts`, and the SHA-256 of the files `names` next to it."""
    sha256 = {name: files.sha256(path.with_name(name)) for name in names}
    files.write_text(path, checksums.sign({"files": sha256, **facts}, []) + "\n")


class Manifest:
    """The files that one stage wrote to a folder, with facts about them."""

    def __init__(self, path: Path) -> None:
        """Read the manifest at `path`.

        Raises:
            UserError: if it is missing or damaged.
        """
        self.path = path
        self.facts, _ = checksums.verify(files.read(path), [], path=path)
        self.sha256: dict[str, str] = self.facts["files"]

    def csv(self, name: str) -> pd.DataFrame:
        """Read a CSV file of the manifest as text: [rows, columns].

        Raises:
            UserError: if it is missing or its checksum differs.
        """
        path = self.path.with_name(name)
        data = files.read(path)
        if hashlib.sha256(data).hexdigest() != self.sha256.get(name):
            raise UserError(
                f"checksum mismatch for {path} (recorded in {self.path.name}): it is damaged or "
                "was edited. Remove it and run `dvc repro`."
            )
        return csvs.parse(data)
