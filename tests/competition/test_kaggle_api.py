"""Fetching from Kaggle: the real client against a server on loopback."""

import fcntl
import io
import os
import pty
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from conftest import Project
from kaggle_server import KEY, SIGNATURE, Fault, Kaggle

from podium.competition import fetch as sources
from podium.competition.download import BLOCK_BYTES
from podium.competition.kaggle_api import RETRY_PAUSES, Retries, redacted
from podium.config.competition import Competition
from podium.core.errors import UserError

pytestmark = pytest.mark.slow  # runs stages, or trains again and again

WINDOW = 2**20  # bytes that are on their way when a connection is closed unread
BUSY = {"Retry-After": "0"}


class Fetch:
    """Fetching in this process or as a stage; checks that no secret appears anywhere."""

    def __init__(self, project: Project, kaggle: Kaggle, home: Path) -> None:
        self.project, self.kaggle = project, kaggle
        self.raw = project.folder / "data/raw"
        self.archive, self.part = self.raw / "shapes.zip", self.raw / "download/shapes.zip.part"
        self.environment = kaggle.environment(home)

    def __call__(self, source: str = "kaggle") -> bool:
        """What `sources.fetch` gives."""
        competition = Competition(source=source, slug="shapes")
        try:
            fetched = sources.fetch(competition, raw=self.raw, solution=self.raw / "../solution")
        except UserError as error:
            self.check_secrets(str(error))
            raise
        self.check_secrets("")
        return fetched

    def stage(self, **environment: str) -> subprocess.CompletedProcess[str]:
        done = self.project.stage("fetch", **self.environment, **environment)
        assert "Traceback" not in done.stdout, done.stdout
        self.check_secrets(done.stdout)
        return done

    def check_secrets(self, output: str) -> None:
        files = [path for path in self.project.folder.rglob("*") if path.is_file()]
        for secret in (KEY, SIGNATURE):
            assert secret not in output
            assert not [path for path in files if secret.encode() in path.read_bytes()]

    def is_intact(self) -> bool:
        files = {path.name for path in self.raw.iterdir()}
        whole = self.archive.read_bytes() == self.kaggle.archives["shapes"]
        return whole and files == {"shapes.zip", "source.json"}

    def received(self) -> list[tuple[int, int]]:
        """From where to where each answer with the archive's bytes went; not of the answers to the
        client, which are closed unread.
        """
        mine = [r for r in self.kaggle.of("GET") if r.headers["Accept-Encoding"] == "identity"]
        return [(r.start, r.start + r.served) for r in mine if r.status in (200, 206)]


@pytest.fixture
def fetch(
    project: Project,
    kaggle: Kaggle,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Fetch:
    fetch = Fetch(project, kaggle, tmp_path_factory.mktemp("home"))
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    for name, value in fetch.environment.items():
        monkeypatch.setenv(name, value)
    return fetch


@pytest.fixture
def begun(fetch: Fetch) -> Fetch:
    """A download that failed after two of three MB."""
    fetch.kaggle.archives["shapes"] = stored(3_000_000)
    fetch.kaggle.faults = [
        Fault("GET", skip=1, after=2_000_000),
        Fault("GET", status=404, times=2),  # the address, and the next one
    ]
    with pytest.raises(UserError, match="failed to download shapes from Kaggle: 404"):
        fetch()
    assert not fetch.archive.exists()
    assert 2_000_000 - BLOCK_BYTES <= fetch.part.stat().st_size <= 2_000_000
    return fetch


def stored(size: int) -> bytes:
    """A zip archive with an entry of `size` bytes that cannot be compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("noise.bin", random.Random(0).randbytes(size))
    return buffer.getvalue()


@pytest.mark.slow
def test_the_archive_arrives_as_it_is_and_is_not_fetched_twice(fetch: Fetch) -> None:
    done = fetch.stage()
    assert done.returncode == 0, done.stdout
    assert fetch.is_intact()
    assert fetch.received() == [(0, len(fetch.kaggle.archives["shapes"]))]
    asked = len(fetch.kaggle.log)
    assert fetch.stage().returncode == 0
    assert len(fetch.kaggle.log) == asked


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "The token is not valid. Create a new one at https://www.kaggle.com/settings/api"),
        (403, "Accept the rules first: https://www.kaggle.com/competitions/shapes/rules"),
        (404, "competition.slug must be the name in the competition's Kaggle URL"),
    ],
)
def test_a_refusal_says_what_to_do(fetch: Fetch, status: int, advice: str) -> None:
    fetch.kaggle.status = status
    with pytest.raises(UserError, match=re.escape(advice)):
        fetch()
    assert not list(fetch.raw.glob("*"))
    assert len(fetch.kaggle.log) == 1  # not tried again


@pytest.mark.slow
def test_a_refusal_is_one_message_and_a_failure(fetch: Fetch) -> None:
    fetch.kaggle.status = 403
    done = fetch.stage()
    assert done.returncode == 1
    assert done.stdout.startswith(
        "error: failed to download shapes from Kaggle: 403 Client Error: "
    )
    assert len(done.stdout.splitlines()) == 2


def test_a_damaged_download_is_not_kept(fetch: Fetch) -> None:
    good = fetch.kaggle.archives["shapes"]
    data = bytearray(good)
    data[len(data) // 2] ^= 255
    fetch.kaggle.archives["shapes"] = bytes(data)
    with pytest.raises(UserError, match=r"shapes\.zip from Kaggle .*\. Rerun"):
        fetch()
    assert not list(fetch.raw.iterdir())
    fetch.kaggle.archives["shapes"] = good  # by the same name, size, date and ETag
    assert fetch()
    assert fetch.is_intact()


def test_a_file_that_was_damaged_later_is_downloaded_again(fetch: Fetch) -> None:
    """Even if size and date are unchanged, for which the client would keep it."""
    fetch()
    times = fetch.archive.stat()
    data = bytearray(fetch.archive.read_bytes())
    data[1000] ^= 1
    fetch.archive.write_bytes(data)
    os.utime(fetch.archive, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fetch()
    assert fetch.is_intact()


def test_a_busy_or_broken_kaggle_is_asked_again_later(
    fetch: Fetch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch.kaggle.faults = [
        Fault("DownloadDataFiles", status=429, headers={"Retry-After": "1"}),
        Fault("DownloadDataFiles", status=500),
        Fault("GET", status=503),
    ]
    assert fetch()
    assert fetch.is_intact()
    asked = [request.at for request in fetch.kaggle.of("DownloadDataFiles")]
    waited = [after - before for before, after in pairwise(asked)]
    assert len(waited) == 3  # after 429, after 500, and after what storage answered: 503
    assert waited[0] >= 1 and waited[1] >= RETRY_PAUSES[1] and waited[2] >= RETRY_PAUSES[2]
    said = capsys.readouterr().err
    assert "Kaggle: 429 Too Many Requests; retrying in 1 s" in said


def test_a_connection_that_is_cut_at_once_is_made_again(fetch: Fetch) -> None:
    fetch.kaggle.faults = [
        Fault("DownloadDataFiles", after=0),
        Fault("GET", after=0, skip=1, times=2),
    ]
    assert fetch()
    assert fetch.is_intact()


@pytest.mark.parametrize("kind", ["DownloadDataFiles", "GET"])
def test_it_gives_up_in_the_end(fetch: Fetch, kind: str) -> None:
    first = int(kind == "GET")  # the client's own look at the archive
    fetch.kaggle.faults = [Fault(kind, status=500, headers=BUSY, skip=first, times=99)]
    tries = len(RETRY_PAUSES) + 1
    with pytest.raises(
        UserError, match=rf"download shapes from Kaggle: 500 Server Error.* \({tries} tries\)"
    ):
        fetch()
    assert len(fetch.kaggle.of(kind)) == tries + first


def test_it_waits_for_no_longer_than_it_is_of_use(fetch: Fetch) -> None:
    headers = {"Retry-After": "3600"}
    fetch.kaggle.faults = [Fault("DownloadDataFiles", status=429, headers=headers)]
    with pytest.raises(UserError, match="Kaggle asks to wait 3600 s: rerun after that"):
        fetch()


def test_a_date_to_try_again_is_taken_by_kaggles_clock() -> None:
    response = requests.Response()
    response.status_code = 429
    response.headers["Date"] = "Mon, 02 Nov 2026 10:00:00 GMT"
    response.headers["Retry-After"] = "Mon, 02 Nov 2026 11:00:00 GMT"
    retries = Retries("do it")
    response.request = requests.Request("POST", "https://www.kaggle.com").prepare()
    with pytest.raises(UserError, match="Kaggle asks to wait 3600 s"):
        retries.wait(requests.HTTPError("busy", response=response))


@pytest.mark.slow
def test_a_rerun_resumes_the_failed_download(begun: Fetch) -> None:
    assert begun.project.repro("fetch", **begun.environment) == {"check", "fetch"}
    assert begun.is_intact()
    ((_, end), (start, _)) = begun.received()
    assert end - BLOCK_BYTES <= start <= end


def test_an_expired_url_is_requested_again(fetch: Fetch) -> None:
    fetch.kaggle.archives["shapes"] = stored(3_000_000)
    fetch.kaggle.faults = [Fault("GET", skip=1, after=2_000_000), Fault("GET", status=403)]
    assert fetch()
    assert fetch.is_intact()
    assert len(fetch.kaggle.of("DownloadDataFiles")) == 2
    ((_, end), (start, _)) = fetch.received()
    assert end - BLOCK_BYTES <= start <= end


def test_what_has_changed_on_kaggle_is_fetched_from_its_start(begun: Fetch) -> None:
    begun.kaggle.archives["shapes"] = stored(3_000_001)
    begun.kaggle.etag = '"2"'
    assert begun()
    assert begun.is_intact()
    assert begun.received()[-1] == (0, len(begun.kaggle.archives["shapes"]))


def test_what_changes_on_kaggle_on_the_way_is_fetched_from_its_start(begun: Fetch) -> None:
    """Between two requests: then storage answers with the whole file."""
    begun.kaggle.faults = [Fault("GET", skip=1, etag='"2"')]
    assert begun()
    assert begun.is_intact()
    assert begun.received()[-1] == (0, len(begun.kaggle.archives["shapes"]))


def test_a_part_that_was_damaged_is_noticed(begun: Fetch) -> None:
    data = bytearray(begun.part.read_bytes())
    data[1000] ^= 1
    begun.part.write_bytes(data)
    with pytest.raises(UserError, match=r"is damaged: checksum mismatch.*Rerun"):
        begun()
    assert begun()
    assert begun.is_intact()


def test_a_download_that_was_killed_while_it_was_checked_is_not_fetched_again(begun: Fetch) -> None:
    begun.part.write_bytes(begun.kaggle.archives["shapes"])
    before = begun.received()
    assert begun()
    assert begun.is_intact()
    assert begun.received() == before


def test_a_full_disk_is_an_error_before_the_download(fetch: Fetch) -> None:
    fetch.kaggle.length = 10**15
    free = shutil.disk_usage(fetch.project.folder).free
    with pytest.raises(UserError, match="1,000,000,000,000,000 bytes needed") as error:
        fetch()
    shown = re.search(r"needed, ([\d,]+) bytes free", str(error.value))
    assert shown and abs(int(shown[1].replace(",", "")) - free) < 10**9
    assert fetch.received() == []


def test_an_unfinished_download_goes_away_with_its_source(begun: Fetch) -> None:
    """It would be a part of data/raw, which `prepare` depends on."""
    source = begun.project.folder / "mine.zip"
    source.write_bytes(begun.kaggle.archives["shapes"])
    assert begun(str(source))
    assert begun.is_intact()


@pytest.mark.parametrize(
    "text",
    [
        f"404 for url: http://localhost/files/a.zip?{SIGNATURE}",
        f"the key {KEY} is odd",
        f"Invalid header value: 'Bearer {KEY[::-1]}'",
        f"Cannot connect to proxy http://me:{KEY[::-1]}@proxy:8080",
    ],
)
def test_an_errors_text_shows_nothing_secret(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    shown = redacted(OSError(text))
    assert not any(secret in shown for secret in (SIGNATURE, KEY, KEY[::-1])) and "…" in shown


@pytest.mark.slow
def test_a_terminal_shows_a_bar(fetch: Fetch) -> None:
    assert "%|" not in fetch.stage().stdout
    fetch.archive.unlink()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = (sys.executable, "src/fetch.py")
    subprocess.run(command, cwd=fetch.project.folder, stderr=theirs, check=True)
    assert select.select([ours], [], [], 1)[0]
    assert b"shapes.zip:" in os.read(ours, 10_000)
    os.close(theirs)
    os.close(ours)


def test_a_token_that_cannot_be_sent_is_not_shown(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests quotes a header that it refuses: one with a line end, as a file may give it."""
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_2f9c\nx")
    with pytest.raises(UserError, match="failed to log in to Kaggle") as error:
        fetch()
    assert "KGAT_2f9c" not in str(error.value)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow
def test_200_mb_cut_ten_times_and_killed_twice_arrive_once(fetch: Fetch) -> None:
    size, piece = 200_000_000, 15_000_000
    fetch.kaggle.archives["shapes"] = stored(size)
    for _ in range(2):
        fetch.kaggle.faults += [
            Fault("GET", skip=1, after=piece, times=5),
            Fault("GET", after=piece, stall=60),
        ]
    for run in (1, 2):
        until = run * (6 * piece - 6 * BLOCK_BYTES)
        log = fetch.project.folder / "run.log"
        with log.open("w") as output:
            started = subprocess.Popen(
                (sys.executable, "src/fetch.py"),
                cwd=fetch.project.folder,
                stdout=output,
                stderr=output,
            )
        end, before = time.monotonic() + 60, -1
        while (here := size_of(fetch.part)) < until or here > before:  # until all is read
            assert time.monotonic() < end and started.poll() is None, log.read_text()
            before = here
            time.sleep(0.2)
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
        assert not fetch.archive.exists()
    done = fetch.stage()
    assert done.returncode == 0, done.stdout
    assert fetch.is_intact()
    parts = fetch.received()
    assert len(parts) == 13
    for (_, sent), (start, _) in pairwise(parts):
        assert sent - BLOCK_BYTES - io.DEFAULT_BUFFER_SIZE <= start <= sent
    gets = fetch.kaggle.of("GET")
    unread = [r.served for r in gets if r.headers["Accept-Encoding"] != "identity"]
    assert len(unread) == 3 and max(unread) < WINDOW
