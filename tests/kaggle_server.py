"""Kaggle on loopback: the endpoints that the unmodified official client calls.

Faults are injected with `kaggle.faults.append(Fault("GET", after=10_000, times=3))`. Requests are
recorded in `kaggle.log`, with the number of bytes sent.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kaggle_service import RefusedError, Service

KEY = "0123456789abcdef"
SIGNATURE = "X-Goog-Signature=5160a7e5"  # grants access
BUFFER = 2**16  # bytes in a connection's buffers that may never be read
BLOCK = 2**16


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of a kind, after `skip` that go well."""

    of: str  # "GET", "PUT", "LOG", "OUTPUT" (of a notebook), or a method of the API
    status: int | None = None  # answered instead
    headers: dict[str, str] = field(default_factory=dict)
    after: int | None = None  # bytes of the body, sent or received, before the connection is cut
    stall: float = 0.0  # seconds in which nothing comes before that
    delay: float = 0.0  # seconds before the answer
    etag: str | None = None  # new content of the archive
    lost: bool = False  # the request is processed, but its answer is not sent
    times: int = 1
    skip: int = 0


@dataclass
class Request:
    """A request."""

    kind: str  # as in `Fault`
    name: str  # name of the competition, file or upload
    headers: dict[str, str]  # without Authorization
    body: Any  # JSON, or bytes
    at: float  # seconds
    start: int = 0  # the first byte of what was served
    served: int = 0  # bytes that went out
    status: int = 0  # 0: the connection was cut before an answer


class Kaggle(ThreadingHTTPServer):
    """The server; `service` is its state."""

    daemon_threads = True

    def __init__(self, archives: dict[str, bytes]) -> None:
        """`archives` by competition; unknown competitions are 404."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.archives = archives
        self.service = Service(archives)
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.status: int | None = None  # answered to every call instead, if set
        self.storage: int | None = None  # answered by the storage, if set
        self.api_version: str | None = None  # of the newest client, as the answers say
        self.etag = '"1"'
        self.length: int | None = None  # claimed instead of the archive's, if set

    @property
    def requests(self) -> list[str]:
        """The kinds and names of the requests."""
        return [f"{request.kind} {request.name}" for request in self.log]

    def of(self, kind: str) -> list[Request]:
        """The requests of a kind."""
        return [request for request in self.log if request.kind == kind]

    def fault(self, kind: str) -> Fault | None:
        """The fault for the next request of a kind."""
        for fault in self.faults:
            if fault.of == kind and fault.skip > 0:
                fault.skip -= 1
                return None
            if fault.of == kind and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def environment(self, home: Path) -> dict[str, str]:
        """Environment variables that redirect the client to this server, as its proxy."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
        return {
            **dict.fromkeys(names, proxy),
            "NO_PROXY": "",
            "no_proxy": "",
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": "someone",
            "KAGGLE_KEY": KEY,
            "KAGGLE_CONFIG_DIR": str(home),
            "HOME": str(home),
            "TMPDIR": str(home),  # where the client stores the addresses of unfinished uploads
        }


class Handler(BaseHTTPRequestHandler):
    server: Kaggle
    request_: Request
    fault: Fault | None

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        super().setup()

    def begin(self, kind: str, name: str, body: Any = None) -> bool:
        """Record the request; True if a fault has answered it."""
        headers = {k: v for k, v in self.headers.items() if k.lower() != "authorization"}
        self.request_ = Request(kind, name, headers, body, time.monotonic())
        self.server.log.append(self.request_)
        self.fault = self.server.fault(kind)
        if self.fault is None:
            return False
        time.sleep(self.fault.delay)
        self.server.etag = self.fault.etag or self.server.etag
        if self.fault.status is not None:
            self.answer(self.fault.status, {"message": "no"}, self.fault.headers)
        elif self.fault.after == 0:
            self.cut()
        return self.fault.status is not None or self.fault.after == 0

    def do_POST(self) -> None:
        method = urlsplit(self.path).path.rsplit("/", 1)[-1]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body.get("competitionName") or body.get("slug") or body.get("name") or ""
        if self.begin(method, name, body):
            return
        if self.server.status is not None:
            self.answer(self.server.status, {"message": "no"})
        elif not self.headers.get("Authorization"):
            self.answer(401, {"message": "Unauthenticated"})
        elif method == "DownloadDataFiles" and name in self.server.archives:
            place = f"http://localhost/files/{name}.zip?{SIGNATURE}"
            self.answer(302, {}, {"Location": place})
        else:
            try:
                found = self.server.service.call(method, body)
            except RefusedError as error:
                self.answer(error.status, {"code": error.status, "message": str(error)})
                return
            if self.fault and self.fault.lost:
                self.cut()
            else:
                self.answer(200, found)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        name = path.rsplit("/", 1)[-1]
        kinds = {"/kernels/logs/stream/": "LOG", "/output/": "OUTPUT"}
        if self.begin(next((kinds[part] for part in kinds if part in path), "GET"), name):
            return
        if self.server.storage is not None:
            self.answer(self.server.storage, {})
            return
        if "/kernels/logs/stream/" in path:
            self.stream_log(path.rpartition("/stream/")[2])
            return
        if path.startswith("/output/"):
            owner, slug, file = path.removeprefix("/output/").split("/", 2)
            data = self.server.service.sessions[f"{owner}/{slug}"].folder / "working" / file
            self.answer_bytes(200, "application/octet-stream", data.read_bytes())
            return
        data = memoryview(self.server.archives[name.removesuffix(".zip")])
        start, asked = 0, self.headers.get("Range")
        if asked and self.headers.get("If-Range", self.server.etag) == self.server.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(data) > 0:
            self.answer(416, {}, {"Content-Range": f"bytes */{len(data)}"})
            return
        length = len(data) if self.server.length is None else self.server.length
        headers = {
            "Content-Type": "application/zip",
            "Content-Length": str(length - start),
            "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT",
            "Accept-Ranges": "bytes",
            "ETag": self.server.etag,
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{length - 1}/{length}"
        self.head(206 if start else 200, headers)
        self.request_.start = start
        self.send(data[start:])

    def stream_log(self, ref: str) -> None:
        """Server-sent events while the notebook runs; then the whole log as JSON."""
        session = self.server.service.sessions.get(ref)
        if session is None or not self.headers.get("Authorization"):
            self.answer(403, {})
            return
        if session.is_over:
            self.answer(200, session.events)
            return
        self.head(200, {"Content-Type": "text/event-stream"})
        sent = 0
        with suppress(OSError):  # the client has gone
            while not (session.is_over and sent == len(session.events)):
                for event in session.events[sent:]:
                    self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                    sent += 1
                time.sleep(0.05)
            self.wfile.write(b"data: END_OF_LOG\n\n")
        self.close_connection = True

    def send(self, data: memoryview) -> None:
        """The body, as far as it goes."""
        cut = self.fault.after if self.fault else None
        with suppress(OSError):  # the client has gone
            for place in range(0, len(data) if cut is None else cut, BLOCK):
                end = place + BLOCK if cut is None else min(place + BLOCK, cut)
                self.request_.served += self.connection.send(data[place:end])
        if cut is not None or self.request_.served < len(data):
            self.cut()

    def do_PUT(self) -> None:
        """Bytes of an upload, as to Google's storage: all, or those after an offset."""
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        upload = self.server.service.uploads.get(name)
        size = int(self.headers["Content-Length"] or 0)
        if self.begin("PUT", name):
            return
        if upload is None or upload.expired:
            self.rfile.read(size)
            self.answer(404, {})
            return
        asked = self.headers.get("Content-Range", "bytes 0-/")
        if asked.startswith("bytes */"):  # a query of the progress
            held = {"Range": f"bytes=0-{len(upload.data) - 1}"} if upload.data else {}
            self.answer(200 if upload.whole else 308, {}, held)
            return
        del upload.data[int(asked.removeprefix("bytes ").partition("-")[0]) :]
        cut = self.fault.after if self.fault else None
        upload.data += self.rfile.read(size if cut is None else cut)
        self.request_.body = bytes(upload.data)
        if cut is not None or (self.fault and self.fault.lost):
            self.cut()
        else:
            self.answer(200 if upload.whole else 308, {})

    def cut(self) -> None:
        """End the connection."""
        time.sleep(self.fault.stall if self.fault else 0)
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.request_.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self.answer_bytes(status, "application/json", json.dumps(value).encode(), headers)

    def answer_bytes(
        self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        own = {"Content-Type": kind, "Content-Length": str(len(body))}
        if self.server.api_version is not None:
            own["X-Kaggle-APIVersion"] = self.server.api_version
        with suppress(OSError):
            self.head(status, {**own, **(headers or {})})
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing: requests are recorded in `Kaggle.log`."""


@contextmanager
def serve(archives: dict[str, bytes]) -> Iterator[Kaggle]:
    """A server on a free port, until the block ends."""
    server = Kaggle(archives)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
