"""Atomic writes, reading JSON, and hashes of files."""

import csv
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
RERUN_HINT = "Restore it, or run `dvc repro`."


@contextmanager
def atomic(path: Path, *, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path for a file or folder, and rename it to `path` if the block succeeds.

    If the block fails, the temporary path is removed and an existing `path` is left unchanged.
    `size` is the number of bytes that will be written, if known.

    Raises:
        UserError: if the disk is full or the folder is not writable.
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
                sync(temporary)
            temporary.replace(path)
        finally:
            remove(temporary)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise UserError(disk_full_message(path, error, size)) from None
        is_target = error.filename is None or str(path.parent) in str(error.filename)
        if is_target and error.errno in NOT_WRITABLE:
            fix = "Change the permissions of the file or its folder."
            raise UserError(f"cannot write {path}: {error.strerror}. {fix}") from None
        raise


def disk_full_message(path: Path, error: OSError, size: int | None) -> str:
    """Say which file could not be written, how many bytes it needs, and how many are free."""
    needs = "" if size is None else f"{size:,} bytes needed, "
    reason = os.strerror(error.errno or 0)
    free = f"{free_bytes(path):,} bytes free"
    return f"cannot write {path}: {reason} ({needs}{free}). Free up disk space."


def free_bytes(path: Path) -> int:
    """The free space on the disk of `path`, which need not exist."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return shutil.disk_usage(folder).free


def remove(path: Path) -> None:
    """Remove a file, or a folder with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path, size=len(data)) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with its line endings unchanged."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table to `path` atomically, without its index."""
    write_text(path, csv_text(table))


def csv_text(table: "pd.DataFrame") -> str:
    """A table as CSV, without its index: the same on every platform."""
    text = table.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # pandas does not quote it, and then reads it as the end of a row
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: if it is missing or not valid JSON.
    """
    data = read(path)
    try:
        return json.loads(data)
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}. {RERUN_HINT}") from None


def read(path: Path) -> bytes:
    """Read the bytes of a file.

    Raises:
        UserError: if it is missing or not readable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}. {RERUN_HINT}") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Write a file's buffers to disk. Windows needs a writable descriptor for that."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
