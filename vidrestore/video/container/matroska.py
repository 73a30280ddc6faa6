"""Elements of Matroska and WebM files (RFC 8794, RFC 9559): read, found and put together.

An element is its number (one to four bytes), the size of its content as a number of variable
length, and the content.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "CRC",
    "TRACKS",
    "VOID",
    "Block",
    "Element",
    "blocks_in",
    "clusters",
    "crc_element",
    "elements_in",
    "find_element",
    "float_of",
    "locate_tracks",
    "read_tracks",
    "uint_of",
    "void_of",
]

SEGMENT, CLUSTER, TRACKS = 0x18538067, 0x1F43B675, 0x1654AE6B
TIMESTAMP, SIMPLE_BLOCK, GROUP, BLOCK, REFERENCE = 0xE7, 0xA3, 0xA0, 0xA1, 0xFB
VOID, CRC = 0xEC, 0xBF
_MOST_TRACKS_BYTES = 1 << 26
_MOST_ELEMENTS = 10_000
_HEADER_BYTES = 32
"""Of an element and of a block in it."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element."""

    number: int
    """With its marker bits, such as 0xAE."""
    content: bytes

    def to_bytes(self) -> bytes:
        """The whole element, header and all."""
        number = self.number.to_bytes((self.number.bit_length() + 7) // 8, "big")
        return number + _size(len(self.content)) + self.content

    @classmethod
    def of_uint(cls, number: int, value: int) -> Element:
        """An element that holds an unsigned integer."""
        return cls(number, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _size(count: int, length: int = 0) -> bytes:
    """A size as a number of variable length, of `length` bytes where that is given."""
    length = length or next(n for n in range(1, 9) if count < (1 << 7 * n) - 1)
    return (count | 1 << 7 * length).to_bytes(length, "big")


def _header(data: bytes, at: int) -> tuple[int, int | None, int] | None:
    """(number, size or None where unknown, bytes of the header); None where there is none."""
    if at >= len(data) or not data[at]:
        return None
    id_length = 9 - data[at].bit_length()
    if at + id_length >= len(data) or not data[at + id_length]:
        return None
    length = 9 - data[at + id_length].bit_length()
    field = data[at + id_length : at + id_length + length]
    if len(field) < length:
        return None
    size = int.from_bytes(field, "big") & ((1 << 7 * length) - 1)
    unknown = size == (1 << 7 * length) - 1
    number = int.from_bytes(data[at : at + id_length], "big")
    return number, None if unknown else size, id_length + length


def elements_in(data: bytes) -> Iterator[Element]:
    """The elements that lie one after the other in `data`, up to the first that is none."""
    at = 0
    while at < len(data):
        header = _header(data, at)
        if header is None or header[1] is None or at + header[2] + header[1] > len(data):
            return
        number, size, head = header
        yield Element(number, data[at + head : at + head + (size or 0)])
        at += head + (size or 0)


def find_element(data: bytes, number: int) -> Element | None:
    """The first element with a number in `data`."""
    return next((one for one in elements_in(data) if one.number == number), None)


def uint_of(data: bytes, number: int, default: int = 0) -> int:
    """The unsigned integer of the first element with a number."""
    found = find_element(data, number)
    return default if found is None else int.from_bytes(found.content, "big")


def float_of(data: bytes, number: int) -> float:
    """The floating-point number of the first element with a number; 0 where there is none."""
    found = find_element(data, number)
    content = b"" if found is None else found.content
    if len(content) not in (4, 8):
        return 0.0
    return float(struct.unpack(">f" if len(content) == 4 else ">d", content)[0])


def locate_tracks(file: BinaryIO) -> tuple[int, int] | None:
    """(offset of the content, its bytes) of the list of tracks, if it lies before the pictures."""
    at, end = 0, file.seek(0, 2)
    for _ in range(_MOST_ELEMENTS):
        if at >= end:
            return None
        file.seek(at)
        header = _header(file.read(16), 0)
        if header is None:
            return None
        number, size, head = header
        if number == TRACKS and size is not None:
            return at + head, min(size, end - at - head)
        if number == CLUSTER or (size is None and number != SEGMENT):
            return None
        at += head + (0 if number == SEGMENT else size or 0)
    return None


def read_tracks(path: Path) -> bytes:
    """The content of a file's list of tracks; empty where it has none before the pictures."""
    with path.open("rb") as file:
        place = locate_tracks(file)
        if place is None or place[1] > _MOST_TRACKS_BYTES:
            return b""
        file.seek(place[0])
        return file.read(place[1])


@dataclass(frozen=True, slots=True)
class Block:
    """A packet of one track."""

    time: int
    """In ticks of the file."""
    is_key: bool
    at: int
    """Where its data lie in the file."""
    size: int


def clusters(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(where its content begins, where it ends) of each cluster, up to one of unknown length."""
    at, end = 0, file.seek(0, 2)
    while at < end:
        file.seek(at)
        header = _header(file.read(_HEADER_BYTES), 0)
        if header is None or (header[1] is None and header[0] != SEGMENT):
            return
        number, size, head = header
        if number == CLUSTER:
            yield at + head, at + head + (size or 0)
        at += head + (0 if number == SEGMENT else size or 0)


def blocks_in(file: BinaryIO, begin: int, end: int, track: int) -> Iterator[Block]:
    """The packets of a track in a cluster, but for those that share a block.

    Args:
        file: the open file.
        begin: where the cluster's content begins.
        end: where it ends.
        track: the track's number.
    """
    time = 0
    for number, at, size, head in _headers(file, begin, end):
        found = None
        if number == TIMESTAMP:
            time = int.from_bytes(head[:size], "big")
        elif number == SIMPLE_BLOCK:
            found = _block(head, at, size, track, time)
        elif number == GROUP:
            found = _block_in_group(file, at, at + size, track, time)
        if found is not None:
            yield found


def _headers(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int, bytes]]:
    """(number, where the content lies, its size, its beginning) of elements, one after another."""
    at = begin
    for _ in range(_MOST_ELEMENTS):
        if at >= end:
            return
        file.seek(at)
        data = file.read(_HEADER_BYTES)
        header = _header(data, 0)
        if header is None or header[1] is None:
            return
        number, size, head = header
        yield number, at + head, size or 0, data[head:]
        at += head + (size or 0)


def _block_in_group(file: BinaryIO, begin: int, end: int, track: int, time: int) -> Block | None:
    inside = list(_headers(file, begin, end))
    is_key = all(number != REFERENCE for number, *_ in inside)
    blocks = (_block(one[3], one[1], one[2], track, time) for one in inside if one[0] == BLOCK)
    found = next((one for one in blocks if one is not None), None)
    return None if found is None else replace(found, is_key=is_key)


def _block(head: bytes, at: int, size: int, track: int, time: int) -> Block | None:
    """A block by its header: number of the track, time after the cluster's, flags."""
    length = 9 - head[0].bit_length() if head and head[0] else 0
    if not length or len(head) < length + 3:
        return None
    number = int.from_bytes(head[:length], "big") & ((1 << 7 * length) - 1)
    flags = head[length + 2]
    if number != track or flags & _LACING:
        return None
    late = int.from_bytes(head[length : length + 2], "big", signed=True)
    skipped = length + 3
    return Block(time + late, bool(flags & _KEY), at + skipped, size - skipped)


_LACING, _KEY = 0x06, 0x80
"""Flags of a block: several packets in it; a key frame."""


def crc_element(data: bytes) -> Element:
    """The checksum of the elements that follow it."""
    return Element(CRC, zlib.crc32(data).to_bytes(4, "little"))


def void_of(count: int) -> bytes:
    """An empty element of `count` bytes in all, at least 9."""
    return bytes([VOID]) + _size(count - 9, 8) + bytes(count - 9)
