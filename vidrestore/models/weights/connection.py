"""Open an address over HTTP with one deadline for all that comes before the content.

The standard library bounds each wait for bytes alone: a server that sends a byte of its headers now
and then would be waited for without end. Here connecting, the TLS handshake, redirects and headers
share one deadline. Of the content, each wait is bounded, and every arrival is told, also of bytes
that are no content (frames of chunks), so that the caller can judge the pace.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["open_url"]

Arrived = Callable[[int], None]
"""Called with the number of bytes that came; what it raises ends the transfer."""


def open_url(
    request: urllib.request.Request,
    *handlers: urllib.request.BaseHandler,
    timeout_s: float,
    arrived: Arrived,
) -> http.client.HTTPResponse:
    """Ask for an address and read the answer's headers.

    Args:
        request: what to ask.
        *handlers: handlers of `urllib.request` that replace usual ones.
        timeout_s: longest time until the headers are whole, and longest silence behind them.
        arrived: see `Arrived`.

    Raises:
        TimeoutError: the headers are not whole in time.
        OSError: the server cannot be reached, or refuses; also as `urllib.error.URLError`.
        http.client.HTTPException: the answer is no HTTP.
    """
    opening = _Opening(timeout_s, arrived)
    opener = urllib.request.build_opener(_Handler(opening), *handlers)
    response: http.client.HTTPResponse = opener.open(request, timeout=timeout_s)
    return response


class _Opening:
    """The time that is left until the headers must be whole."""

    def __init__(self, timeout_s: float, arrived: Arrived) -> None:
        self.timeout_s, self.arrived = timeout_s, arrived
        self._end = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            TimeoutError: no time is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> TimeoutError:
        return TimeoutError(f"no whole answer within {self.timeout_s:g} s")

    def connect(
        self, address: tuple[str, int], timeout: object, source_address: Any = None
    ) -> socket.socket:
        """Try one of a host's addresses after the other, as `socket.create_connection`."""
        failed: OSError | None = None
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                numeric = (str(place[0]), address[1])
                found = socket.create_connection(numeric, self.left_s(), source_address)
                found.settimeout(self.left_s())  # For the TLS handshake.
                return found
            except OSError as error:
                failed = error
        raise failed or OSError("the host has no address")


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, *, opening: _Opening, **settings: Any) -> None:
        super().__init__(host, **settings)
        self._create_connection = opening.connect
        self.response_class = partial(  # type: ignore[assignment]
            _Response, opening=opening
        )


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    """The same with TLS; it takes its default context."""


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, opening: _Opening) -> None:
        super().__init__()
        self._opening = opening

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req, opening=self._opening)  # type: ignore[arg-type]

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req, opening=self._opening)  # type: ignore[arg-type]


class _Response(http.client.HTTPResponse):
    """An answer whose headers are read within the deadline."""

    def __init__(self, sock: socket.socket, *arguments: Any, opening: _Opening, **named: Any):
        self._bytes = _Bytes(sock, opening)
        super().__init__(self._bytes, *arguments, **named)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Read the headers."""
        super().begin()
        self._bytes.opening_is_over()


class _Bytes(io.RawIOBase):
    """What comes from a socket: up to the deadline at first, then in waits of bounded length."""

    def __init__(self, sock: socket.socket, opening: _Opening) -> None:
        self._sock, self._opening = sock, opening
        self._raw = sock.makefile("rb", buffering=0)
        self._is_over = False

    def makefile(self, mode: str) -> io.BufferedReader:
        """Itself, as `http.client` reads from a socket."""
        return io.BufferedReader(self)

    def opening_is_over(self) -> None:
        self._is_over = True
        self._sock.settimeout(self._opening.timeout_s)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._is_over:
            count = self._raw.readinto(buffer)
            self._opening.arrived(count or 0)
            return count
        self._sock.settimeout(self._opening.left_s())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError as error:
            raise self._opening.error() from error

    def close(self) -> None:
        self._raw.close()
        super().close()
