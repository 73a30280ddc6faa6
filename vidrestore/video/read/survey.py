"""Read packets before work, where no index tells what a file holds."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import read_packets
from vidrestore.video.read.changes import CAPTIONS, ChangeFinder, FormatChange
from vidrestore.video.read.clock import Clock, find_joins
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.rate import believed_rate

__all__ = ["look_at_packets", "read_clock"]


_SAMPLED = 250
"""Packets that show the frame rate."""


def look_at_packets(path: Path, index: int, told: Fraction | None) -> tuple[Fraction | None, bool]:
    """Of the first packets: frames per second, where the header's number is none of theirs, and
    whether they bring closed captions.
    """
    with open_input(path) as container:
        stream = container.streams[index]
        first = islice((one for one in read_packets(container, stream) if one.size), _SAMPLED)
        seen = [(one.pts, one.duration, CAPTIONS in bytes(one)) for one in first]
        base = Fraction(stream.time_base or 1)
        rate = believed_rate(told, base, (one[0] for one in seen), (one[1] for one in seen))
        return rate, any(one[2] for one in seen)


def read_clock(path: Path, picture: int) -> tuple[Clock, tuple[FormatChange, ...], bool]:
    """Read all packets of a file: where its clock jumps, where the picture's format changes, and
    whether any picture brings closed captions.

    Args:
        path: the file.
        picture: index of the stream that is restored.
    """
    with open_input(path) as container:
        stream = container.streams[picture]
        assert isinstance(stream, VideoStream)
        finder = ChangeFinder(stream)
        kinds = {
            one.index: one.type
            for one in container.streams
            if one.type == "audio" or one.index == picture
        }

        def seen() -> Iterator[AvPacket[Any]]:
            for packet in read_packets(container, *container.streams):
                if packet.size and packet.stream.index == picture:
                    finder.add(packet)
                yield packet

        clock = find_joins(seen(), kinds, picture)
    changes = tuple(
        FormatChange(at_s + clock.shift_s(picture, number), before, after)
        for number, at_s, before, after in finder.found
    )
    return clock, changes, finder.has_captions
