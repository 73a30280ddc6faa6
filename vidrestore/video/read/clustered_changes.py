"""Changes of the picture's format in Matroska and WebM, found without reading the file.

Writers begin a cluster with a key frame. The beginning of each cluster is read; where it differs
from the one before, all key frames between are looked at. One is decoded only where its parameters
are new.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from av.video.stream import VideoStream

from vidrestore.video.container import matroska
from vidrestore.video.read.changes import ChangeFinder, FormatChange

__all__ = ["clustered_changes"]

_TRACK, _TRACK_NUMBER, _TRACK_TYPE, _VIDEO = 0xAE, 0xD7, 0x83, 1

_HEAD_BYTES = 1 << 12
"""Of a key frame; its parameter sets come first."""


def clustered_changes(
    stream: VideoStream, path: Path, place: int
) -> tuple[tuple[FormatChange, ...], bool]:
    """Where the format of a picture changes, in order, and whether key frames bring captions.

    Args:
        stream: of the open file.
        path: of the file.
        place: of the stream among those of pictures.
    """
    finder = ChangeFinder(stream)
    track = _track_number(matroska.read_tracks(path), place)
    if finder.reads_headers and track is not None:
        _look_at_clusters(finder, path, track)
    base = Fraction(stream.time_base or 1)
    return tuple(
        FormatChange(ticks * base, before, after) for _, ticks, before, after in finder.found
    ), finder.has_captions


def _track_number(tracks: bytes, place: int) -> int | None:
    """The number by which blocks name a track; FFmpeg does not tell it."""
    entries = (one.content for one in matroska.elements_in(tracks) if one.number == _TRACK)
    videos = [one for one in entries if matroska.uint_of(one, _TRACK_TYPE) == _VIDEO]
    return matroska.uint_of(videos[place], _TRACK_NUMBER) if place < len(videos) else None


def _look_at_clusters(finder: ChangeFinder, path: Path, track: int) -> None:
    with path.open("rb") as file:
        before: tuple[int, int] | None = None
        for place in matroska.clusters(file):
            block = next(matroska.blocks_in(file, *place, track), None)
            if block is not None and block.is_key:
                if before is not None and finder.differs(_beginning(file, block)):
                    _look_at_all(finder, file, before, track)
                _look(finder, file, block)
            before = place
        if before is not None:
            _look_at_all(finder, file, before, track)


def _look_at_all(finder: ChangeFinder, file: BinaryIO, place: tuple[int, int], track: int) -> None:
    """Look at all key frames of a cluster behind its first packet."""
    for block in islice(matroska.blocks_in(file, *place, track), 1, None):
        if block.is_key:
            _look(finder, file, block)


def _look(finder: ChangeFinder, file: BinaryIO, block: matroska.Block) -> None:
    data = _beginning(file, block)
    if finder.is_new(data):
        file.seek(block.at)
        data = file.read(block.size)
    finder.look(data, 0, Fraction(block.time))


def _beginning(file: BinaryIO, block: matroska.Block) -> bytes:
    file.seek(block.at)
    return file.read(min(block.size, _HEAD_BYTES))
