"""Kaggle on loopback: the endpoints that the official client calls, for the unmodified client."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Kaggle(ThreadingHTTPServer):
    """Serves competitions' archives; remembers what was asked for."""

    daemon_threads = True

    def __init__(self, archives: dict[str, bytes]) -> None:
        """`archives` by competition; a competition that is not there is 404."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.archives = archives
        self.requests: list[str] = []
        self.status: int | None = None  # answered to every call instead, if set
        self.storage: int | None = None  # answered where the archive lies, if set

    def environment(self, home: Path) -> dict[str, str]:
        """What leads the client here: it speaks to http://localhost through us as its proxy."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
        return {
            **dict.fromkeys(names, proxy),
            "NO_PROXY": "",
            "no_proxy": "",
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": "someone",
            "KAGGLE_KEY": "0123456789abcdef",
            "KAGGLE_CONFIG_DIR": str(home),
            "HOME": str(home),
        }


class Handler(BaseHTTPRequestHandler):
    server: Kaggle

    def do_POST(self) -> None:
        method = urlsplit(self.path).path.rsplit("/", 1)[-1]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(f"{method} {body.get('competitionName', '')}")
        if self.server.status is not None:
            self.answer(self.server.status, b'{"message": "no"}')
        elif method == "DownloadDataFiles" and body["competitionName"] in self.server.archives:
            self.send_response(302)
            slug = body["competitionName"]
            self.send_header("Location", f"http://localhost/files/{slug}.zip?X-Goog-Signature=0123")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(404, b'{"message": "not found"}')

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        self.server.requests.append(f"GET {name}")
        if self.server.storage is not None:
            self.answer(self.server.storage, b"")
            return
        data = self.server.archives[name.removesuffix(".zip")]
        self.send_response(200)
        for header, value in (
            ("Content-Type", "application/zip"),
            ("Content-Length", str(len(data))),
            ("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT"),
            ("Accept-Ranges", "bytes"),
            ("ETag", '"1"'),
        ):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(data)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: what was asked for stands in `Kaggle.requests`."""


@contextmanager
def serve(archives: dict[str, bytes]) -> Iterator[Kaggle]:
    """A server on a free port, until the block ends."""
    server = Kaggle(archives)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
