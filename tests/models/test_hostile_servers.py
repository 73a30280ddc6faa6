"""No server can hold a download for ever, fill the disk, or pass a web page off as weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_server import WeightsServer

from vidrestore.errors import DownloadError, WeightsError
from vidrestore.models.weights import download
from vidrestore.models.weights import store as weights
from vidrestore.models.zoo import ModelSpec

Row = Callable[..., ModelSpec]
PAGES = [
    b"<!DOCTYPE html><html>log in</html>",
    b"\n\n  <HTML>no</HTML>",
    b"\xef\xbb\xbf<!-- a -->\n<html>",
    b"<?xml version='1.0'?><Error>AccessDenied</Error>",
]


class Leaps:
    """A clock that goes on by so many seconds whenever it is asked."""

    def __init__(self, by_s: float) -> None:
        self.now, self.by_s = 0.0, by_s

    def __call__(self) -> float:
        self.now += self.by_s
        return self.now


def fetch(url: str, target: Path, **settings: object) -> None:
    download.fetch([url], target, wrong=lambda part: None, **settings)  # type: ignore[arg-type]


def test_a_server_that_drips_is_left_and_what_has_arrived_stays(
    server: WeightsServer, tmp_path: Path
) -> None:
    server.files["w"] = bytes(1 << 18)
    server.chunk_pause_s = 0.005
    with pytest.raises(DownloadError, match=r"too slow, .* what has arrived is kept"):
        fetch(f"{server.url}/w", tmp_path / "w", clock=Leaps(100))
    assert 0 < (tmp_path / "w.part").stat().st_size < 1 << 18
    server.chunk_pause_s = 0
    fetch(f"{server.url}/w", tmp_path / "w", clock=Leaps(0.01))
    assert (tmp_path / "w").stat().st_size == 1 << 18
    assert server.requests[-1][1] is not None  # It went on from there.


def test_a_server_that_breaks_off_after_every_few_bytes_is_left(
    server: WeightsServer, tmp_path: Path
) -> None:
    server.files["w"] = bytes(5000)
    server.cuts = [3] * 1000
    with pytest.raises(DownloadError, match="too slow"):
        fetch(f"{server.url}/w", tmp_path / "w", clock=Leaps(30))
    assert len(server.requests) < 30


def test_headers_that_drip_are_left(server: WeightsServer, tmp_path: Path) -> None:
    server.files["w"], server.header_pause_s = bytes(5000), 0.02
    begun = time.monotonic()
    with pytest.raises(DownloadError, match=r"no whole answer within 0\.2 s"):
        fetch(f"{server.url}/w", tmp_path / "w", timeout_s=0.2)
    assert time.monotonic() - begun < 4 * 0.2 + 1.5
    assert len(server.requests) == 4
    server.header_pause_s = 0.001
    fetch(f"{server.url}/w", tmp_path / "w", timeout_s=5.0)
    assert (tmp_path / "w").stat().st_size == 5000


def test_redirects_share_the_time_of_one_answer(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TRIES_PER_URL", 1)
    server.files["w9"], server.header_pause_s = bytes(5000), 0.002
    server.redirects = {f"w{n}": f"/w{n + 1}" for n in range(9)}
    with pytest.raises(DownloadError, match="no whole answer within 1 s"):
        fetch(f"{server.url}/w0", tmp_path / "w", timeout_s=1.0)
    assert 2 < len(server.requests) < 10


def test_what_comes_with_a_redirect_is_not_read(server: WeightsServer, tmp_path: Path) -> None:
    server.files["w"], server.redirects["a"] = bytes(5000), "/w"
    server.redirect_body_s = 5.0
    begun = time.monotonic()
    fetch(f"{server.url}/a", tmp_path / "w")
    assert time.monotonic() - begun < 4


def test_bytes_that_are_no_content_are_no_pace(server: WeightsServer, tmp_path: Path) -> None:
    server.files["w"], server.drips_chunk_size = bytes(5000), True
    with pytest.raises(DownloadError, match="too slow"):
        fetch(f"{server.url}/w", tmp_path / "w", clock=Leaps(10))
    assert len(server.requests) == 1


def test_a_quick_server_has_all_the_time_it_needs(server: WeightsServer, tmp_path: Path) -> None:
    server.files["w"] = bytes(1 << 22)
    fetch(f"{server.url}/w", tmp_path / "w", clock=Leaps(10))
    assert (tmp_path / "w").is_file()


def test_a_silence_of_a_minute_is_the_longest() -> None:
    assert download._SILENCE_S == 60


@pytest.mark.parametrize("tells_size", [True, False])
def test_what_is_endless_is_cut_where_no_size_is_known(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells_size: bool
) -> None:
    monkeypatch.setattr(download, "_MOST_BYTES", 100_000)
    server.files["w"], server.tells_size = bytes(1 << 20), tells_size
    with pytest.raises(DownloadError, match="no weights file has more than 100000"):
        fetch(f"{server.url}/w", tmp_path / "w")


@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_is_never_taken(
    server: WeightsServer, row: Row, home: Path, page: bytes
) -> None:
    spec = row(page, sha256=None, bytes=None)
    with pytest.raises(WeightsError, match="web page"):
        weights.pull(spec, allow_unverified=True)
    assert not weights.path_of(spec).exists()
    weights.path_of(spec).write_bytes(page)  # Or saved by a browser.
    with pytest.raises(WeightsError, match="web page"):
        weights.pull(spec, allow_unverified=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/w",
        "ftp://example.org/w",
        "file:///etc/passwd",
        "data:,weights",
        "http://127.0.0.1.example.org/w",
        "http://localhost@example.org/w",
        "weights",
    ],
)
def test_only_https_is_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="only https is allowed"):
        fetch(url, tmp_path / "w")


@pytest.mark.parametrize("to", ["http://example.org/w", "ftp://example.org/w", "//example.org/w"])
def test_redirects_stay_with_https(server: WeightsServer, tmp_path: Path, to: str) -> None:
    server.redirects["w"] = to
    with pytest.raises(DownloadError, match="only https is allowed"):
        fetch(f"{server.url}/w", tmp_path / "w")


def test_nobody_else_may_redirect_to_this_machine() -> None:
    with pytest.raises(download._Refused, match="only https"):
        download._refuse_insecure("http://127.0.0.1/w", from_here=False)
    download._refuse_insecure("http://[::1]:80/w")
