"""A competition's archive from Kaggle, going on where a cut or a kill left off.

The client asks Kaggle where the archive lies. The bytes are fetched here: its own `download_file`
(2.2.4) gives up after five failures, loses up to a MiB at each, calls the unfinished file by the
final name, and overwrites it with the error page where storage answers 403 or 500.
"""

import errno
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from podium.competition import kaggle_api
from podium.core import files
from podium.core.errors import UserError

BLOCK = 2**18  # bytes; a cut costs at most one
TIMEOUT = 60  # seconds without a byte


class Part:
    """A file that is partly there, and of what it is a part: the bytes and the mark (ETag or
    Last-Modified) of the whole.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.record = path, path.with_name(path.name + ".json")
        self.whole: dict[str, Any] = {}
        with suppress(UserError):
            self.whole = dict(files.read_json(self.record))

    @property
    def here(self) -> int:
        """The bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def missing(self) -> int:
        """The bytes that are not."""
        return int(self.whole["bytes"]) - self.here

    def expect(self, response: requests.Response) -> None:
        """Be a part of what `response` is the whole of; what is here of another file goes.

        Raises:
            UserError: if the answer says no size, or the disk has no room for it.
        """
        size = response.headers.get("Content-Length", "")
        if not size.isdigit():
            raise UserError("Kaggle does not say how large the archive is: it cannot be fetched")
        whole: dict[str, Any] = {"bytes": int(size), "mark": _mark(response)}
        if whole != self.whole or whole["mark"] is None or self.here > whole["bytes"]:
            files.remove(self.path)
            self.whole = whole
        folder = next(parent for parent in self.path.absolute().parents if parent.exists())
        if self.missing > shutil.disk_usage(folder).free:
            raise UserError(
                files.disk_full_message(self.path, OSError(errno.ENOSPC, ""), self.missing)
            )
        files.write_text(self.record, json.dumps(whole) + "\n")


def download(slug: str, folder: Path) -> Path:
    """The archive of the competition `slug`: a file in `folder`, where it is kept as far as it came
    if this fails or is killed. All its bytes are there; whether they are right is not checked.

    Raises:
        UserError: if Kaggle refuses, the network fails for good, or the disk has no room.
    """
    api = kaggle_api.login()
    part = Part(folder / f"{slug}.zip.part")
    retries = kaggle_api.Retries(f"download {slug} from Kaggle", kaggle_api.advice(slug))
    while True:
        url = kaggle_api.call(
            lambda: _ask(api, slug, part), action=retries.action, advice=retries.advice
        )
        if _fetch(url, part, retries):
            with part.path.open("rb") as file:
                os.fsync(file.fileno())
            return part.path


def _ask(api: Any, slug: str, part: Part) -> str:
    """Where the archive lies: an address that is signed for a while."""
    from kaggle.api.kaggle_api_extended import ApiDownloadDataFilesRequest

    request = ApiDownloadDataFilesRequest()
    request.competition_name = slug
    with api.build_kaggle_client() as kaggle:
        response = kaggle.competitions.competition_api_client.download_data_files(request)
        with response:  # its body, the whole file, is not read: it has no time limit
            part.expect(response)
            return str(response.url)


def _fetch(url: str, part: Part, retries: kaggle_api.Retries) -> bool:
    """Fetch what is missing. False if `url` has worked and does no longer."""
    first = part.here
    while part.missing > 0:
        before = part.here
        try:
            _receive(url, part)
        except requests.RequestException as error:
            if part.here > before:
                retries.reset()
            response = error.response
            refused = response is not None and response.status_code not in kaggle_api.PASSING
            if refused and part.here > first:
                return False
            retries.wait(error)
    return True


def _receive(url: str, part: Part) -> None:
    """Append what is missing, until the connection ends."""
    headers = {"Accept-Encoding": "identity"}
    if part.whole["mark"] is None:
        files.remove(part.path)
    elif part.here:
        headers |= {"Range": f"bytes={part.here}-", "If-Range": part.whole["mark"]}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:  # the whole: it has changed
            files.remove(part.path)
            part.expect(response)
        title = part.path.stem
        with (
            part.path.open("ab") as file,
            tqdm(
                desc=title,
                total=part.whole["bytes"],
                initial=part.here,
                unit="B",
                unit_scale=True,
                leave=False,
                disable=not sys.stderr.isatty(),
            ) as bar,
        ):
            for block in response.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
    if part.missing < 0:
        files.remove(part.path)
    if part.missing:
        raise requests.ConnectionError(f"{title} ended at another place than announced")


def _mark(response: requests.Response) -> str | None:
    """What tells this file from another by the same name. A weak ETag may be of equal contents in
    other bytes (RFC 9110, 8.8.1).
    """
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
