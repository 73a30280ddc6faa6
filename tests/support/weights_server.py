"""A server that stands in for the network, and rows of the zoo that point to it."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vidrestore.models.weights import download
from vidrestore.models.zoo import ModelSpec


@dataclass
class WeightsServer:
    """Serves `files`, badly where told."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    supports_range: bool = True
    tells_size: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    """Where else some names are to be found, as release pages answer."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers breaks off."""
    stalls_s: list[float] = field(default_factory=list)
    """Seconds for which each of the next answers falls silent in its middle."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next answers instead of a file."""
    header_pause_s: float = 0.0
    """Seconds from one byte of an answer's headers to the next."""
    redirect_body_s: float = 0.0
    """Seconds for which the body of a redirect goes on."""
    drips_chunk_size: bool = False
    """Whether an answer comes in chunks, of which the first one's size comes byte by byte."""
    chunk_pause_s: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""


def _handler(server: WeightsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            server.requests.append((name, wanted))
            content = server.files.get(name)
            if name in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[name])
                self.end_headers()
                return self._drip(server.redirect_body_s)
            status = server.statuses.pop(0) if server.statuses else None
            if status or content is None:
                return self.send_error(status or 404)
            start = 0
            if wanted and server.supports_range:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content) and start:
                return self.send_error(416)
            self.send_response(206 if start else 200)
            if server.drips_chunk_size:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                return self._drip(2.0)
            if server.tells_size:
                self.send_header("Content-Length", str(len(content) - start))
            if start:
                last, total = len(content) - 1, len(content)
                self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
            self.end_headers()
            self._send(content[start:])

        def flush_headers(self) -> None:
            head, self._headers_buffer = b"".join(self._headers_buffer), []
            if not server.header_pause_s:
                self.wfile.write(head)
                return
            with suppress(OSError):
                for place in range(len(head)):
                    self.wfile.write(head[place : place + 1])
                    time.sleep(server.header_pause_s)

        def _drip(self, seconds: float) -> None:
            """Zeros, one by one: also the beginning of a chunk's size."""
            end = time.monotonic() + seconds
            with suppress(OSError):
                while time.monotonic() < end:
                    self.wfile.write(b"0")
                    time.sleep(0.01)

        def _send(self, body: bytes) -> None:
            body = body[: server.cuts.pop(0)] if server.cuts else body
            stall_s = server.stalls_s.pop(0) if server.stalls_s else 0.0
            try:
                for place in range(0, len(body), 1 << 14):
                    self.wfile.write(body[place : place + (1 << 14)])
                    time.sleep(server.chunk_pause_s)
                    if place <= len(body) // 2 < place + (1 << 14):
                        time.sleep(stall_s)
            except OSError:  # The client gave up, as some tests want it to.
                pass

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    """A running server, and downloads that lose no time between tries."""
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    state = WeightsServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty VIDRESTORE_HOME."""
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def row(server: WeightsServer) -> Callable[..., ModelSpec]:
    """Makes a row whose file the server has, `**changes` apart."""

    def make(content: bytes = b"weights" * 20_000, **changes: object) -> ModelSpec:
        server.files["tiny.pth"] = content
        known: dict[str, object] = {
            "name": "tiny-1.0",
            "task": "restorer",
            "arch": "Debug",
            "filename": "tiny.pth",
            "licence": "CC0",
            "url": f"{server.url}/tiny.pth",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        return ModelSpec(**(known | changes))  # type: ignore[arg-type]

    return make
