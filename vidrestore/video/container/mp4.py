"""Boxes of MP4 and QuickTime files (ISO/IEC 14496-12): read, found and put together.

A box is its size (32 bits, big-endian), its kind (four bytes) and its content; the size 1 means
that a 64-bit size follows the kind, and 0 that the box goes on to the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "SAMPLE_ENTRY_BYTES",
    "Box",
    "boxes_in",
    "find_box",
    "find_path",
    "locate_movie",
    "read_movie",
    "sample_count",
    "sample_descriptions",
    "sample_kinds",
    "track_number",
]

SAMPLE_ENTRY_BYTES = 78
"""Fields of a video sample entry before its own boxes, without the box's header."""

_MOST_MOVIE_BYTES = 1 << 30
_MOST_BOXES = 100_000


@dataclass(frozen=True, slots=True)
class Box:
    """One box."""

    kind: bytes
    """Four bytes, such as b'clap'."""
    content: bytes

    def to_bytes(self) -> bytes:
        """The whole box, header and all."""
        return (len(self.content) + 8).to_bytes(4, "big") + self.kind + self.content


def boxes_in(data: bytes) -> Iterator[Box]:
    """The boxes that lie one after the other in `data`, up to the first that is none."""
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1 and at + 16 <= len(data):
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            return
        yield Box(data[at + 4 : at + 8], data[at + head : at + size])
        at += size


def find_box(data: bytes, kind: bytes) -> Box | None:
    """The first box of a kind in `data`."""
    return next((box for box in boxes_in(data) if box.kind == kind), None)


def find_path(data: bytes, *kinds: bytes) -> Box | None:
    """The first box at a path of kinds, such as b'mdia', b'minf'."""
    box: Box | None = None
    for kind in kinds:
        box = find_box(data, kind)
        if box is None:
            return None
        data = box.content
    return box


def locate_movie(file: BinaryIO) -> tuple[int, int] | None:
    """(offset of the content, its bytes) of a file's box `moov`; None where it has none."""
    at, end = 0, file.seek(0, 2)
    for _ in range(_MOST_BOXES):
        if at >= end:
            return None
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            return None
        size, head = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(header[8:16], "big"), 16
        size = size or end - at
        if size < head:
            return None
        if header[4:8] == b"moov":
            return at + head, min(size - head, end - at - head)
        at += size
    return None


def read_movie(path: Path) -> bytes:
    """The content of a file's box `moov`; empty where it has none, or one beyond reason."""
    with path.open("rb") as file:
        place = locate_movie(file)
        if place is None or place[1] > _MOST_MOVIE_BYTES:
            return b""
        file.seek(place[0])
        return file.read(place[1])


def track_number(track: Box) -> int | None:
    """The number of a track (`trak`), FFmpeg's `id` of the stream."""
    header = find_box(track.content, b"tkhd")
    if header is None or len(header.content) < 24:
        return None
    at = 20 if header.content[0] == 1 else 12
    return int.from_bytes(header.content[at : at + 4], "big")


def sample_descriptions(movie: bytes, number: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """(samples, (width, height)) of each run of samples with one description, in order.

    Args:
        movie: content of the box `moov`.
        number: of a track of pictures; nothing comes of one with a single description.
    """
    for track in boxes_in(movie):
        if track.kind != b"trak" or track_number(track) != number:
            continue
        table = find_path(track.content, b"mdia", b"minf", b"stbl")
        boxes = {} if table is None else {box.kind: box.content for box in boxes_in(table.content)}
        entries = list(boxes_in(boxes.get(b"stsd", b"")[8:]))
        offsets = boxes.get(b"stco") or boxes.get(b"co64") or b""
        if len(entries) < 2 or len(offsets) < 8:
            return
        sizes = [(int.from_bytes(one.content[24:26], "big"),
                  int.from_bytes(one.content[26:28], "big")) for one in entries]  # fmt: skip
        yield from _runs(boxes.get(b"stsc", b""), int.from_bytes(offsets[4:8], "big"), sizes)


def _runs(
    table: bytes, chunks: int, sizes: list[tuple[int, int]]
) -> Iterator[tuple[int, tuple[int, int]]]:
    """Of the table that tells how many samples each chunk has (`stsc`)."""
    rows = [
        tuple(int.from_bytes(table[at + place : at + place + 4], "big") for place in (0, 4, 8))
        for at in range(8, len(table) - 11, 12)
    ]
    for row, following in zip(rows, [*rows[1:], (chunks + 1, 0, 0)], strict=True):
        first, samples, description = row
        if 1 <= description <= len(sizes) and first <= following[0] <= chunks + 1:
            yield (following[0] - first) * samples, sizes[description - 1]


def sample_kinds(movie: bytes) -> dict[int, str]:
    """The four-character code of each track's first sample entry, by the track's number.

    Args:
        movie: content of the box `moov`.
    """
    found: dict[int, str] = {}
    for track in boxes_in(movie):
        number = track_number(track) if track.kind == b"trak" else None
        table = find_path(track.content, b"mdia", b"minf", b"stbl", b"stsd")
        if number is None or table is None or len(table.content) < 16:
            continue
        code = table.content[12:16].decode("ascii", "replace").strip()
        if code.isascii() and code.isprintable():
            found[number] = code
    return found


def sample_count(movie: bytes, number: int) -> int | None:
    """How many samples the tables of a track promise; None where they do not tell.

    Args:
        movie: content of the box `moov`.
        number: of the track.
    """
    for track in boxes_in(movie):
        if track.kind == b"trak" and track_number(track) == number:
            table = find_path(track.content, b"mdia", b"minf", b"stbl")
            sizes = None if table is None else find_box(table.content, b"stsz")
            content = b"" if sizes is None else sizes.content
            return int.from_bytes(content[8:12], "big") if len(content) >= 12 else None
    return None
