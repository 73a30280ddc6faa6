"""Streams of an MPEG transport stream that appear after its beginning (ISO/IEC 13818-1).

A broadcast may add a sound track in the middle. FFmpeg notices, but PyAV knows only the streams
of the beginning and drops the packets of others without a word; so the file's own tables are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["LateStream", "late_streams"]

Packets: TypeAlias = npt.NDArray[np.uint8]

_SYNC = 0x47
_SIZES = (188, 192, 204)
"""Bytes from packet to packet."""

_CHUNK_PACKETS = 5000
_MOST_CHUNKS = 256
"""Parts of about 1 MB that are looked at, evenly spread: tables repeat every half second."""


@dataclass(frozen=True, slots=True)
class LateStream:
    """A stream that is not in the file's header."""

    pid: int
    at_s: Fraction | None
    """Time of its first packet seen, on the container's clock."""
    packets: int
    """Packets seen."""


@dataclass(slots=True)
class _Tables:
    """Which packets hold the tables, and which streams those list."""

    programs: set[int] = field(default_factory=set)
    streams: set[int] = field(default_factory=set)


def late_streams(path: Path, known: set[int]) -> list[LateStream]:
    """The streams of a transport stream file beside those that are known.

    Args:
        path: the file.
        known: packet identifiers (PID) of the known streams.
    """
    tables, seen = _Tables(), dict[int, int]()
    first: dict[int, Fraction | None] = {}
    for packets in _chunks(path):
        pids = ((packets[:, 1].astype(np.int64) & 0x1F) << 8) | packets[:, 2]
        begins = (packets[:, 1] & 0x40) > 0
        for row in packets[begins & (pids == 0)]:
            tables.programs |= _programs(_section(row, 0x00))
        for row in packets[begins & np.isin(pids, list(tables.programs))]:
            tables.streams |= _streams(_section(row, 0x02))
        for pid in tables.streams - known:
            for row in packets[begins & (pids == pid)]:
                payload = _payload(row)
                if payload[:3] == b"\0\0\1":
                    seen[pid] = seen.get(pid, 0) + 1
                    first.setdefault(pid, _time_s(payload))
    return [LateStream(pid, first[pid], count) for pid, count in seen.items()]


def _chunks(path: Path) -> Iterator[Packets]:
    """(packets, 188) bytes each, of parts of the file in order."""
    with path.open("rb") as file:
        size = _packet_size(file.read(204 * 6 + 204))
        if size is None:
            return
        length = size * _CHUNK_PACKETS
        total = -(-path.stat().st_size // length)
        for number in range(0, total, max(1, -(-total // _MOST_CHUNKS))):
            file.seek(number * length)
            data = file.read(length + size)
            start = next((i for i in range(size) if _is_aligned(data, i, size)), None)
            if start is None:
                continue
            whole = np.frombuffer(data[start:], np.uint8)[: (len(data) - start) // size * size]
            packets = whole.reshape(-1, size)[:, :188]
            yield packets[packets[:, 0] == _SYNC]


def _packet_size(data: bytes) -> int | None:
    for size in _SIZES:
        if any(_is_aligned(data, start, size) for start in range(size)):
            return size
    return None


def _is_aligned(data: bytes, start: int, size: int) -> bool:
    marks = data[start::size][:5]
    return len(marks) > 1 and marks == bytes([_SYNC]) * len(marks)


def _payload(packet: Packets) -> bytes:
    control = packet[3] >> 4 & 3
    begin = 5 + int(packet[4]) if control & 2 else 4
    return packet[begin:].tobytes() if control & 1 else b""


def _section(packet: Packets, table: int) -> bytes:
    """The table's section that begins in a packet, from its length on; empty if it is another."""
    payload = _payload(packet)
    at = 1 + payload[0] if payload else 0
    return payload[at + 1 :] if payload[at : at + 1] == bytes([table]) else b""


def _entries_end(section: bytes) -> int:
    """Where the entries end, before the checksum."""
    length = (section[0] & 0x0F) << 8 | section[1]
    return min(len(section), 2 + length - 4)


def _programs(section: bytes) -> set[int]:
    """Packet identifiers of the programs' tables, from the section of the association table."""
    if len(section) < 11:
        return set()
    places = range(7, _entries_end(section) - 3, 4)
    pairs = ((section[i : i + 2], section[i + 2 : i + 4]) for i in places)
    return {int.from_bytes(pid, "big") & 0x1FFF for number, pid in pairs if any(number)}


def _streams(section: bytes) -> set[int]:
    """Packet identifiers of a program's streams, from the section of its table."""
    found: set[int] = set()
    if len(section) < 11:
        return found
    at = 11 + ((section[9] & 0x0F) << 8 | section[10])
    end = _entries_end(section)
    while at + 5 <= end:
        found.add((section[at + 1] & 0x1F) << 8 | section[at + 2])
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    return found


def _time_s(payload: bytes) -> Fraction | None:
    """Presentation time of a packet that begins here."""
    if len(payload) < 14 or not payload[7] & 0x80:
        return None
    a, b, c = payload[9], int.from_bytes(payload[10:12], "big"), payload[12:14]
    ticks = (a >> 1 & 7) << 30 | (b >> 1) << 15 | int.from_bytes(c, "big") >> 1
    return Fraction(ticks, 90000)
