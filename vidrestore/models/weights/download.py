"""Fetch a file over HTTP: resumed, from the first mirror that works, never half-written.

`fetch` tries a list of addresses that all hold the same bytes. What has arrived lies in
`NAME.part` beside the target, so a transfer that breaks goes on where it stopped, now or next
time, with the same server or another. The file gets its own name only after the caller's check
has passed, by an atomic rename. `locked` keeps two processes from fetching the same file at once.

A server is not trusted: addresses are https, also after redirects (plain http only on this
machine); an answer that drips is stopped, in its headers (`connection`) or its content, and what
has arrived is kept; a web page is no weights file; where no size is known, there is a largest one.

Sizes are in bytes. Nothing is printed: progress goes to a callback, retries to `logging`.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from vidrestore.errors import DownloadError
from vidrestore.models.weights.connection import open_url
from vidrestore.runtime.file_lock import try_lock, unlock

__all__ = ["Progress", "fetch", "is_web_page", "locked"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes that lie on disk and the total, None if the server does not tell."""

Wrong = Callable[[Path], "str | None"]

_CHUNK = 1 << 18
_TRIES_PER_URL = 4
_PAUSE_S = 0.25
_SILENCE_S = 60.0
_PACE_WINDOW_S = 300.0
_LEAST_BYTES_PER_S = 1000
_MOST_BYTES = 4 << 30
"""Of a file whose size is not known."""
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype|html|head|body|\?xml)\b", re.I | re.S
)


class _Refused(Exception):
    """This address is no use: ask the next one."""


class _Interrupted(Exception):
    """The transfer broke: what has arrived is good, go on from there."""


class _Pace:
    """How fast bytes come, over windows of time that go on through interruptions."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._bytes = 0

    def add(self, count: int, now: float) -> None:
        """Take note of bytes that have come.

        Raises:
            _Refused: too few came in the last window.
        """
        self._since = now if self._since is None else self._since
        self._bytes += count
        elapsed = now - self._since
        if elapsed < _PACE_WINDOW_S:
            return
        if self._bytes < _LEAST_BYTES_PER_S * elapsed:
            raise _Refused(
                f"too slow, {self._bytes} bytes in {elapsed:.0f} s; what has arrived is kept, and "
                "the next try goes on from there"
            )
        self._since, self._bytes = now, 0


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One target file and how to get it."""

    part: Path
    size: int | None
    """Exact size of the file; None if not known."""
    resumable: bool
    """Whether leftovers may be continued; only if the caller can check the whole."""
    progress: Progress | None
    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    pace: _Pace = field(default_factory=lambda: _Pace())

    @property
    def limit(self) -> int:
        """Bytes that are never exceeded."""
        return _MOST_BYTES if self.size is None else self.size

    def arrived(self, count: int) -> None:
        """Take note of bytes that have come.

        Raises:
            _Refused: they come too slowly.
        """
        self.pace.add(count, self.clock())

    def report(self, received: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(received, total)


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    wrong: Wrong,
    size: int | None = None,
    resumable: bool = True,
    progress: Progress | None = None,
    timeout_s: float = _SILENCE_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Download `target` from the first of `urls` that gives the right bytes.

    Args:
        urls: addresses of the same file, tried in order.
        target: the file to make; its folder exists. Replaced atomically.
        wrong: says what is wrong with the whole file; None if nothing is.
        size: exact size in bytes; an answer of another size is refused before it is read.
        resumable: continue what an earlier transfer left. Turn it off if `wrong` would not notice
            that the parts come from different files.
        progress: see `Progress`.
        timeout_s: longest time until a server's answer begins with whole headers, and longest
            silence behind them, in seconds.
        clock: gives seconds, for the pace.

    Raises:
        DownloadError: if no address gives the file; the message has each one's reason.
    """
    part = target.with_name(target.name + ".part")
    transfer = _Transfer(part, size, resumable, progress, timeout_s, clock)
    if not resumable:
        part.unlink(missing_ok=True)
    reasons = []
    for url in urls:
        try:
            _fetch_checked(url, replace(transfer, pace=_Pace()), wrong)
        except _Refused as error:
            logger.info("%s: %s", url, error)
            reasons.append(f"{url}: {error}" if len(urls) > 1 else str(error))
        else:
            os.replace(part, target)
            return
    raise DownloadError("; ".join(reasons))


def _fetch_checked(url: str, transfer: _Transfer, wrong: Wrong) -> None:
    """Complete and check the part from one address; again from scratch if leftovers spoilt it."""
    continued = transfer.part.exists()
    while True:
        _complete(url, transfer)
        difference = wrong(transfer.part)
        if difference is None:
            return
        transfer.part.unlink(missing_ok=True)
        if not continued:
            raise _Refused(f"wrong content ({difference})")
        logger.info("%s: leftovers of an earlier transfer do not fit, starting again", url)
        continued = False


def _complete(url: str, transfer: _Transfer) -> None:
    """Receive until the part is whole; give up after several tries that got no further."""
    furthest, failures = _size_of(transfer.part), 0
    while True:
        offset = _size_of(transfer.part)
        if offset and offset == transfer.size:
            transfer.report(offset, transfer.size)
            return
        try:
            return _receive(url, transfer, offset)
        except _Interrupted as error:
            reached = _size_of(transfer.part)
            failures = 1 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures == _TRIES_PER_URL:
                raise _Refused(str(error)) from error
            logger.info("%s: %s, trying again", url, error)
            if not transfer.resumable:
                transfer.part.unlink(missing_ok=True)
            time.sleep(_PAUSE_S * 2**failures)


def _receive(url: str, transfer: _Transfer, offset: int) -> None:
    """One request: append what the server sends, or start over if it does not continue."""
    _refuse_insecure(url)
    transfer.arrived(0)
    headers = {"User-Agent": "vidrestore", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        with open_url(
            request, _CheckedRedirects(), timeout_s=transfer.timeout_s, arrived=transfer.arrived
        ) as response:
            if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
                raise _Refused(_IS_PAGE)
            start, total = _extent(response, offset)
            _refuse_other_size(total, transfer.size)
            _refuse_too_large(total or 0, transfer.limit)
            _write(response, transfer, start, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            transfer.part.unlink(missing_ok=True)
            raise _Interrupted("the server has less than what is here") from error
        broken = error.code >= 500 or error.code == 429
        raise (_Interrupted if broken else _Refused)(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Refused(f"cannot be reached ({_reason(error.reason)})") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Interrupted(f"broken off ({_reason(error)})") from error


def _extent(response: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where the answer starts in the file, and the file's size if told."""
    if response.status == http.client.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset:
            raise _Refused("the server continues at another place than asked")
        return offset, None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and length.isdecimal() else None


def _refuse_other_size(total: int | None, size: int | None) -> None:
    if None not in (total, size) and total != size:
        raise _Refused(f"the server has {total} bytes, expected {size}")


def _refuse_too_large(count: int, limit: int) -> None:
    if count > limit:
        raise _Refused(f"{count} bytes or more, and no weights file has more than {limit}")


_IS_PAGE = "the server answers with a web page, which is no weights file"


def is_web_page(path: Path) -> bool:
    """Whether a file is HTML or XML, such as a page that asks for a login."""
    with path.open("rb") as file:
        return _PAGE.match(file.read(4096)) is not None


def _refuse_insecure(url: str, *, from_here: bool = True) -> None:
    """Allow https, and http to this machine, to which no other one may redirect."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (
        parts.scheme == "http" and from_here and _is_loopback(parts.hostname or "")
    ):
        return
    raise _Refused(f"only https is allowed, not {parts.scheme or 'an address without it'}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        from_here = _is_loopback(urllib.parse.urlsplit(req.full_url).hostname or "")
        _refuse_insecure(newurl, from_here=from_here)
        fp.close()  # Else urllib reads all that comes with a redirect.
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _write(
    response: http.client.HTTPResponse, transfer: _Transfer, start: int, total: int | None
) -> None:
    received, total = start, transfer.size if total is None else total
    chunk = _read(response)
    if start == 0 and _PAGE.match(chunk):
        raise _Refused(_IS_PAGE)
    with _open_part(transfer.part, start) as file:
        transfer.report(received, total)
        while chunk:
            received += len(chunk)
            if total is not None and received > total:
                raise _Refused(f"the server sends more than {total} bytes")
            _refuse_too_large(received, transfer.limit)
            file.write(chunk)
            transfer.report(received, total)
            chunk = _read(response)
    if total is not None and received < total:
        raise _Interrupted(f"broken off at {received} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; any failure here is the network's, not the disk's."""
    try:
        return response.read1(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f"broken off ({_reason(error)})") from error


def _open_part(part: Path, start: int) -> IO[bytes]:
    return open(part, "ab" if start else "wb")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: object) -> str:
    """The words of an error without its number, or its kind if it has none."""
    words = getattr(error, "strerror", None) or str(error)
    return words or type(error).__name__


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; waits while another process holds it.

    The operating system frees the lock of a process that dies: a file left behind blocks nobody.
    """
    with open(path, "a+b") as file:
        if (held := try_lock(file.fileno())) is None:
            raise DownloadError(
                f"{path}: cannot be locked against other processes; choose a folder on a disk of "
                "this machine with VIDRESTORE_HOME"
            )
        if not held:
            logger.info("waiting for another process to finish with %s", path.stem)
            while not try_lock(file.fileno()):
                time.sleep(0.1)
        try:
            yield
        finally:
            unlock(file.fileno())
