"""Download a competition's archive from Kaggle; an interrupted download resumes.

The official client only returns the archive's URL. Its `download_file` (2.2.4) gives up after five
failures, loses up to a MiB at each, gives the unfinished file its final name, and overwrites it
with the error page if storage responds with 403 or 500.
"""

import errno
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from podium.competition import kaggle_api
from podium.core import files
from podium.core.errors import UserError

BLOCK_BYTES = 2**18  # lost at most when a connection is
TIMEOUT_SECONDS = 60


class PartialFile:
    """A file that is being downloaded, with the size and the validator (ETag or Last-Modified) of
    the complete file in a JSON file next to it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._json = path, path.with_name(path.name + ".json")
        self.complete: dict[str, Any] = {}
        with suppress(UserError):
            self.complete = dict(files.read_json(self._json))

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def missing(self) -> int:
        """The number of bytes to download."""
        return int(self.complete["bytes"]) - self.size

    def expect(self, response: requests.Response) -> None:
        """Prepare to download the file of `response`: keep what there is if it is the same file.

        Raises:
            UserError: if the response has no size, or the disk is too full.
        """
        size = response.headers.get("Content-Length", "")
        if not size.isdigit():
            raise UserError(
                "cannot download the archive: Kaggle does not report its size. Download it in a "
                "browser, and set competition.source to the file."
            )
        complete = {"bytes": int(size), "validator": _validator(response)}
        is_same = complete == self.complete and complete["validator"] is not None
        self.complete = complete
        if not is_same or self.missing < 0:
            files.remove(self.path)
        if self.missing > files.free_bytes(self.path):
            full = OSError(errno.ENOSPC, "")
            raise UserError(files.disk_full_message(self.path, full, self.missing))
        files.write_json(self._json, complete)


def download(slug: str, folder: Path) -> Path:
    """Download the archive of the competition `slug` to a file in `folder`, which is kept for
    resuming if this fails or is killed. Its size is checked, its content is not.

    Raises:
        UserError: if Kaggle rejects the request, the network keeps failing, or the disk is full.
    """
    api = kaggle_api.login()
    part = PartialFile(folder / f"{slug}.zip.part")
    retries = kaggle_api.Retries(f"download {slug} from Kaggle", slug)
    while True:
        url = kaggle_api.call(
            lambda: _signed_url(api, slug, part), action=retries.action, slug=slug
        )
        if _fetch(url, part, retries):
            files.sync(part.path)
            return part.path


def _signed_url(api: Any, slug: str, part: PartialFile) -> str:
    """Ask Kaggle for the archive's URL, which expires."""
    from kaggle.api.kaggle_api_extended import ApiDownloadDataFilesRequest

    request = ApiDownloadDataFilesRequest()
    request.competition_name = slug
    with api.build_kaggle_client() as kaggle:
        response = kaggle.competitions.competition_api_client.download_data_files(request)
        with response:  # do not read its body, the whole file: it has no timeout
            part.expect(response)
            return str(response.url)


def _fetch(url: str, part: PartialFile, retries: kaggle_api.Retries) -> bool:
    """Download the missing bytes. False if `url` has worked and then expired."""
    first = part.size
    while part.missing > 0:
        before = part.size
        try:
            _receive(url, part)
        except requests.RequestException as error:
            if part.size > before:
                retries.failed = 0
            status = None if error.response is None else error.response.status_code
            if part.size > first and status not in {None, *kaggle_api.RETRYABLE_STATUS}:
                return False
            retries.wait(error)
    return True


def _receive(url: str, part: PartialFile) -> None:
    """Append the missing bytes, until the connection ends."""
    headers = {"Accept-Encoding": "identity"}
    if part.complete["validator"] is None:
        files.remove(part.path)
    elif part.size:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.complete["validator"]}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:  # the whole file: it has changed
            files.remove(part.path)
            part.expect(response)
        with (
            part.path.open("ab") as file,
            tqdm.wrapattr(
                file,
                "write",
                desc=part.path.stem,
                total=part.complete["bytes"],
                initial=part.size,
                leave=False,
                disable=not sys.stderr.isatty(),
            ) as output,
        ):
            for block in response.iter_content(BLOCK_BYTES):
                output.write(block)
    if part.missing < 0:
        files.remove(part.path)
    if part.missing:
        raise requests.ConnectionError(f"{part.path.stem} does not have the expected size")


def _validator(response: requests.Response) -> str | None:
    """The ETag or Last-Modified. Files with the same weak ETag may differ in bytes (RFC 9110,
    8.8.1).
    """
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
