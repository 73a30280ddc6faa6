"""Whether a file is whole: what its own structure promises, against the bytes that are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from av.video.stream import VideoStream

if TYPE_CHECKING:
    from vidrestore.video.read.info import VideoInfo
    from vidrestore.video.read.window import Window

__all__ = [
    "cut_within_packets",
    "first_byte_of_data",
    "frames_beyond_end",
    "has_cut_index",
    "is_cut_off",
    "is_open_ended",
    "joined_behind",
    "promised_streams",
]

_EBML = b"\x1a\x45\xdf\xa3"
_CLUSTER = b"\x1f\x43\xb6\x75"
_BEFORE_CLUSTERS = frozenset(
    bytes.fromhex(name)
    for name in ("114d9b74", "1549a966", "1654ae6b", "1043a770", "1c53bb6b", "1941a469", "1254c367")
) | {b"\xec", b"\xbf"}
"""Elements that may lie before Matroska's clusters (RFC 9559, section 5.1), filling included."""

_TRACKS, _TRACK = b"\x16\x54\xae\x6b", b"\xae"

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""Boxes with which MP4 and MOV files begin."""

_MOST_STREAMS = 100
"""More is a damaged number."""

_MOST_BOXES = 100_000


def frames_beyond_end(stream: VideoStream, info: VideoInfo, window: Window) -> int:
    """Frames of the window that the index of an MP4 or MOV file places beyond the file's end.

    Args:
        stream: the video stream of the open file.
        info: what `probe` found.
        window: the part that counts.
    """
    if not info.container.startswith("mov"):
        return 0
    size = info.path.stat().st_size
    return sum(
        entry.pos + entry.size > size and not entry.is_discard and window.holds(entry.timestamp)
        for entry in stream.index_entries
    )


def is_cut_off(path: Path) -> bool:
    """Whether a Matroska, AVI, MP4 or MOV file is shorter than its own structure says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"RIFF":
            if is_open_ended(path):
                return False
            return int.from_bytes(head[4:8], "little") + 8 > size
        if head[4:8] in _FIRST_BOXES:
            return any(end > size for _, end in _boxes(file))
    segment = _segment(head)
    return segment is not None and segment[1] is not None and segment[1] > size


def is_open_ended(path: Path) -> bool:
    """Whether an AVI file was written down a pipe: its sizes and lengths are placeholders."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") in (0, 0xFFFFFFFF)


def joined_behind(path: Path) -> Literal["read", "unread"] | None:
    """Whether another file lies behind a Matroska, MP4 or MOV file, joined to it byte by byte.

    FFmpeg reads on in Matroska and in MP4 that is written in fragments, with times that start anew;
    of others it reads the first file only.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        if head[4:8] in _FIRST_BOXES:
            kinds = [kind for kind, _ in _boxes(file)]
            if kinds.count(b"moov") < 2:
                return None
            return "read" if b"moof" in kinds else "unread"
        segment = _segment(head)
        if segment is None or segment[1] is None:
            return None
        file.seek(segment[1])
        return "read" if file.read(4) == _EBML else None


def has_cut_index(path: Path) -> bool:
    """Whether the end of an MP4 or MOV file cuts off its index, so that whole streams may lack."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] not in _FIRST_BOXES:
            return False
        return any(kind == b"moov" and end > size for kind, end in _boxes(file))


def cut_within_packets(path: Path) -> tuple[bool, bool]:
    """Whether an MPEG transport stream begins, and ends, in the middle of one of its packets."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(2048)
    for length, first in ((188, 0), (192, 4), (204, 0)):
        for start in range(length):
            marks = head[start::length]
            if len(marks) > 5 and set(marks) == {_SYNC}:
                return start != first, (size - start + first) % length != 0
    return False, False


_SYNC = 0x47
"""With which packets of a transport stream begin (ISO/IEC 13818-1, section 2.4.3.2)."""


def promised_streams(path: Path) -> int:
    """How many streams the header of an AVI or Matroska file promises; 0 for other files."""
    with path.open("rb") as file:
        head = file.read(60)
        if head[:4] == b"RIFF" and head[24:28] == b"avih":
            count = int.from_bytes(head[56:60], "little")
        else:
            file.seek(0)
            count = _tracks(file)
    return count if count <= _MOST_STREAMS else 0


def _tracks(file: BinaryIO) -> int:
    """Entries in Matroska's list of tracks, whatever their kind."""
    for one in _top_elements(file):
        if one.name == _TRACKS and one.end is not None:
            return sum(entry.name == _TRACK for entry in _elements(file, one.begin, one.end))
    return 0


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(kind, where it ends) of the outermost boxes: ISO/IEC 14496-12, section 4.2."""
    at, length = 0, file.seek(0, os.SEEK_END)
    for _ in range(_MOST_BOXES):
        if at >= length:
            return
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or size < 8 or not kind.isalnum():
            return
        at += size
        yield kind, at


def first_byte_of_data(path: Path) -> int | None:
    """Where the first cluster of a Matroska file begins, or what should be one and is not.

    None for other files, and where the file does not tell.
    """
    with path.open("rb") as file:
        for one in _top_elements(file):
            if one.name not in _BEFORE_CLUSTERS:
                return one.at + 16 if one.name == _CLUSTER else one.at
    return None


@dataclass(frozen=True, slots=True)
class _Element:
    """An EBML element of Matroska (RFC 8794), and where it and its content lie."""

    name: bytes
    at: int
    begin: int
    end: int | None
    """None where its length is unknown or its header is broken; nothing is found after it."""


def _top_elements(file: BinaryIO) -> Iterator[_Element]:
    """The elements of Matroska's Segment; none of other files."""
    segment, length = _segment(file.read(4096)), file.seek(0, os.SEEK_END)
    if segment is not None:
        yield from _elements(file, segment[0], length)


def _elements(file: BinaryIO, at: int, end: int) -> Iterator[_Element]:
    for _ in range(_MOST_BOXES):
        if at >= end:
            return
        file.seek(at)
        head = file.read(16)
        name = head[: _length(head, 0)]
        content = _element_size(head, len(name))
        if content is None:
            yield _Element(name, at, at + len(name) + _length(head, len(name)), None)
            return
        begin, size = content
        yield _Element(name, at, at + begin, at + begin + size)
        at += begin + size


def _segment(head: bytes) -> tuple[int, int | None] | None:
    """(where the content of Matroska's Segment begins, where it ends), from a file's first bytes.

    The end is None where the file does not tell; all is None where it is no Matroska file.
    """
    header = _element_size(head, 4) if head[:4] == _EBML else None
    if header is None:
        return None
    at = header[0] + header[1]
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return None
    content = _element_size(head, at + 4)
    if content is None:
        return at + 4 + _length(head, at + 4), None
    return content[0], content[0] + content[1]


def _length(data: bytes, at: int) -> int:
    """Bytes of the number of variable length at `at`; 0 where there is none."""
    first = data[at] if at < len(data) else 0
    return 9 - first.bit_length() if first else 0


def _element_size(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the content begins, its length) of an EBML element whose length field is at `at`.

    None where the length is unknown (RFC 8794, section 6).
    """
    length = _length(data, at)
    field = data[at : at + length]
    if not length or len(field) < length:
        return None
    value = int.from_bytes(field, "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else (at + length, value)
