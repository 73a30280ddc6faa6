"""Where PyAV ends: what its calls raise becomes an error for a person, with the file's name.

PyAV promises `av.FFmpegError`; damaged files also bring up what its own code did not expect (an
index of a stream that appeared midway, a number no table holds, text that is not UTF-8). Only
PyAV's own calls go inside, never this program's logic, whose mistakes must stay visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Stream

from vidrestore.errors import VidRestoreError

__all__ = [
    "AV_ERRORS",
    "UNEXPECTED",
    "av_boundary",
    "read_packets",
    "reason_of",
    "unexpected",
    "wind",
]

UNEXPECTED = (
    ArithmeticError,
    BufferError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What PyAV's calls raise on damaged files beyond `av.FFmpegError`."""

AV_ERRORS = (av.FFmpegError, *UNEXPECTED)
"""All that PyAV's calls raise."""


@contextmanager
def av_boundary(kind: type[VidRestoreError], doing: str) -> Iterator[None]:
    """Turn all that PyAV raises inside into one error.

    Args:
        kind: the error.
        doing: what could not be done, with the file's name; the reason follows in brackets.

    Raises:
        VidRestoreError: of that kind.
    """
    try:
        yield
    except VidRestoreError:
        raise
    except (*AV_ERRORS, OSError) as error:
        raise kind(f"{doing} ({reason_of(error)})") from error


@contextmanager
def unexpected(kind: type[VidRestoreError], doing: str) -> Iterator[None]:
    """As `av_boundary`, but lets FFmpeg's and the system's own errors pass, for a caller that knows
    what to say of those.
    """
    try:
        yield
    except (VidRestoreError, av.FFmpegError, OSError):
        raise
    except UNEXPECTED as error:
        raise kind(f"{doing} ({reason_of(error)})") from error


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[AvPacket[Any]]:
    """Packets of some streams up to the end, or to where the file cannot be read any more."""
    packets = iter(container.demux(*streams))
    while True:
        try:
            packet = next(packets, None)
        except AV_ERRORS:
            return
        if packet is None:
            return
        yield packet


def wind(container: InputContainer, ticks: int, stream: Stream | None = None) -> None:
    """Go to the last key frame at or before a time, or to the first one where none is before.

    Args:
        container: the open file.
        ticks: in the stream's time base; without a stream, in microseconds.
        stream: whose key frames count.
    """
    try:
        container.seek(ticks, stream=stream)
    except av.FFmpegError:  # AVI refuses a time before its first key frame
        container.seek(ticks, stream=stream, backward=False)


def reason_of(error: BaseException) -> str:
    """The system's or FFmpeg's words for an error, else its kind and text; one line."""
    told = getattr(error, "strerror", None)
    text = told or f"{type(error).__name__}: {error}"
    return " ".join(str(text).split())
