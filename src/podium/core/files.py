"""Writing files and folders so that a reader sees all of one or nothing, and hashing them."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic(path: Path, *, size: int | None = None) -> Iterator[Path]:
    """A temporary path to write a file or folder to; it becomes `path` if the block succeeds.

    If the block fails nothing is left, and a file that was at `path` before stays as it was.

    Raises:
        UserError: if the disk is full, naming `size`, the bytes that `path` takes, where known; or
            if the folder must not be written to.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(temporary)
        try:
            yield temporary
            if temporary.is_dir():
                remove(path)
            else:
                _sync(temporary)
            temporary.replace(path)
        finally:
            remove(temporary)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise UserError(disk_full_message(path, error, size)) from None
        ours = error.filename is None or str(path.parent) in str(error.filename)
        if ours and error.errno in NOT_WRITABLE:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        raise


def disk_full_message(path: Path, error: OSError, size: int | None) -> str:
    """That `path` could not be written, the bytes that it takes, and those that are free."""
    needs = "" if size is None else f"it takes {size:,} bytes; "
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    reason = os.strerror(error.errno or 0)
    return f"{path} cannot be written: {reason}; {needs}{free:,} bytes are free there"


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path, size=len(data)) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with the line ends that it has."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically, as JSON that a person and `git diff` can read."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table to `path` atomically, without its index: the same bytes on every platform."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UserError: if it is not there or no JSON.
    """
    return parse_json(read(path), path)


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: if it is not there or must not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def parse_json(data: bytes, path: Path) -> Any:
    """The value of a JSON text that was read from `path`.

    Raises:
        UserError: if it is no JSON.
    """
    try:
        return json.loads(data)
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
