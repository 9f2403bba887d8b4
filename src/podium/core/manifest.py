"""Tables that are read only as they were written: a stage writes a record of them beside them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from podium.core import checksums, csvs, files
from podium.core.errors import UserError


def write(path: Path, names: Sequence[str], **facts: Any) -> None:
    """Write the record at `path`: the SHA-256 of the files `names` in its folder, and `facts`."""
    sha256 = {name: files.sha256(path.with_name(name)) for name in names}
    files.write_text(path, checksums.sign({"files": sha256, **facts}, []) + "\n")


class Manifest:
    """The files of one folder that one stage wrote together, and what it says of them."""

    def __init__(self, path: Path) -> None:
        """Read the record at `path`.

        Raises:
            UserError: if it is not there or damaged.
        """
        self.path = path
        self.facts, _ = checksums.verify(files.read(path), [], path=path)
        self.sha256: dict[str, str] = self.facts["files"]

    def csv(self, name: str) -> pd.DataFrame:
        """A CSV of the record's folder as text: [rows, columns].

        Raises:
            UserError: if it is not there, or is not what was recorded.
        """
        return csvs.parse(self._read(name))

    def json(self, name: str) -> Any:
        """Likewise the value of a JSON file."""
        return files.parse_json(self._read(name), self.path.with_name(name))

    def _read(self, name: str) -> bytes:
        path = self.path.with_name(name)
        data = files.read(path)
        if hashlib.sha256(data).hexdigest() != self.sha256.get(name):
            raise UserError(
                f"{path} is not what {self.path.name} says was written: it is damaged, or was "
                "edited; remove it and run `dvc repro`"
            )
        return data
