"""Read packets before work, where no index tells what a file holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import read_packets
from vidrestore.video.read.changes import CAPTIONS, ChangeFinder, FormatChange
from vidrestore.video.read.clock import Clock
from vidrestore.video.read.joins import find_joins
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.rate import believed_rate

__all__ = ["look_at_packets", "read_clock"]


_SAMPLED = 250
"""Packets that show the frame rate."""

_WATCHED = 1000
"""Packets from one word about the share that was read to the next."""


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


def read_clock(
    path: Path, picture: int, watch: Callable[[float], None] | None = None
) -> tuple[Clock, tuple[FormatChange, ...], bool]:
    """Read all packets of a file: where its clock jumps, where the picture's format changes, and
    whether any picture brings closed captions.

    Args:
        path: the file.
        picture: index of the stream that is restored.
        watch: called now and then with the share of the file that was read, 0 to 1.
    """
    size = max(1, path.stat().st_size)
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
            is_due = False
            for number, packet in enumerate(read_packets(container, *container.streams)):
                if number % _WATCHED == 0:
                    is_due = watch is not None
                if is_due and watch is not None and packet.pos is not None:  # of some it is unknown
                    watch(min(1.0, max(0, packet.pos) / size))
                    is_due = False
                if packet.size and packet.stream.index == picture:
                    finder.add(packet)
                yield packet

        clock = find_joins(seen(), kinds, picture)
    changes = tuple(
        FormatChange(at_s + clock.shift_s(picture, number), before, after)
        for number, at_s, before, after in finder.found
    )
    return clock, changes, finder.has_captions
