"""Changes of the picture's format in MP4 and MOV, found by the index, without reading the file.

A track may have several sample descriptions, and key frames may bring parameter sets of their own.
Of key frames the beginning is read where the index says, and whole ones are decoded only where
their parameters are new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS, read_packets, wind
from vidrestore.video.container.mp4 import read_movie, sample_descriptions
from vidrestore.video.read.changes import CAPTIONS, ChangeFinder, FormatChange, PictureFormat

__all__ = ["indexed_changes"]

_SAMPLED = 250
"""Pictures at the beginning, of which all are looked at for captions."""

_HEAD_BYTES = 1 << 12
"""Of a key frame; its parameter sets come first."""


def indexed_changes(
    container: InputContainer, stream: VideoStream, path: Path, first: PictureFormat
) -> tuple[tuple[FormatChange, ...], bool]:
    """Where the format of a picture changes, in order, and whether key frames bring captions.

    The container is read on.

    Args:
        container: the open file.
        stream: its video stream.
        path: of the file.
        first: the format of the first picture.
    """
    found = {one[0]: one for one in _by_descriptions(stream, path, first)}
    finder = _look_at_key_frames(stream, path)
    for _, at, before, after in finder.found:  # which know more
        found[int(at)] = (int(at), before, after)
    changes = []
    for ticks, before, after in sorted(found.values(), key=lambda one: one[0]):
        at_s = _shown_s(container, stream, ticks)
        if at_s is not None:
            changes.append(FormatChange(at_s, before, after))
    return tuple(changes), finder.has_captions


_Found = tuple[int, PictureFormat, PictureFormat]
"""(decoding time of the first picture, format before, format after)."""


def _by_descriptions(stream: VideoStream, path: Path, first: PictureFormat) -> Iterator[_Found]:
    entries = stream.index_entries
    before, number = first, 0
    for samples, size in sample_descriptions(read_movie(path), stream.id):
        after = replace(before, width=size[0], height=size[1])
        if number and number < len(entries) and size != (before.width, before.height):
            yield entries[number].timestamp, before, after
            before = after
        number += samples


def _look_at_key_frames(stream: VideoStream, path: Path) -> ChangeFinder:
    """Show key frames to a finder, with their decoding times."""
    finder = ChangeFinder(stream)
    if not finder.reads_headers:
        return finder
    with path.open("rb") as file:
        for number, entry in enumerate(stream.index_entries):
            looked_at = entry.is_keyframe or number < _SAMPLED
            if not looked_at or entry.size <= 0:
                continue
            file.seek(entry.pos)
            data = file.read(min(entry.size, _HEAD_BYTES))
            if not entry.is_keyframe:
                finder.has_captions |= CAPTIONS in data
                continue
            if finder.is_new(data):
                file.seek(entry.pos)
                data = file.read(entry.size)
            finder.look(data, number, Fraction(entry.timestamp))
    return finder


def _shown_s(container: InputContainer, stream: VideoStream, ticks: int) -> Fraction | None:
    """When the picture that is decoded at a time is shown."""
    try:
        wind(container, ticks, stream)
    except AV_ERRORS:
        return None
    for packet in read_packets(container, stream):
        if packet.dts is not None and packet.dts >= ticks:
            return None if packet.pts is None else Fraction(packet.pts * packet.time_base)
    return None
