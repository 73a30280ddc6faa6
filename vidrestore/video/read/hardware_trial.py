"""A hardware decoder is tried before work: its first pictures must be those of software."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice, zip_longest

import torch

from vidrestore.errors import VideoDecodeError
from vidrestore.structs import Picture
from vidrestore.video.picture.side_data import known_side_data
from vidrestore.video.read.hardware import Hardware, HardwareDoubt
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.pictures import PictureStream, TimedPicture, open_stream
from vidrestore.video.read.window import Window

__all__ = ["difference", "try_hardware"]

_PICTURES = 32
"""So many are compared: more than a group of pictures that refer to each other at the most."""


def try_hardware(info: VideoInfo, window: Window, hardware: Hardware, threads: int = 0) -> None:
    """Decode the first pictures of a window both ways, and compare.

    Args:
        info: of the video.
        window: the part that is restored.
        hardware: the decoder.
        threads: of decoding by software; 0 takes all.

    Raises:
        HardwareDoubt: they differ, or the decoder cannot be used.
    """
    found = _pictures(info, window, threads, hardware)
    wanted = _pictures(info, window, threads, None)
    with closing(found), closing(wanted):
        try:
            for own, other in zip_longest(islice(found, _PICTURES), islice(wanted, _PICTURES)):
                _compare(own, other, hardware, info)
        except VideoDecodeError as error:
            raise HardwareDoubt("the file is damaged") from error


def difference(own: Picture, other: Picture) -> str | None:
    """In what two pictures of the same frame differ, for people; None where they are the same."""
    pairs = list(zip(own.planes, other.planes, strict=True))
    if own.decoded is not None:
        there = (plane.cpu() for plane in own.decoded.take())
        pairs += zip(there, other.planes, strict=True)
    if not all(torch.equal(one, another) for one, another in pairs):
        return "samples"
    one, another = own.handle, other.handle
    for name in ("duration", "interlaced_frame", "colorspace", "color_range", "color_primaries"):
        if getattr(one, name) != getattr(another, name):
            return name
    if one.color_trc != another.color_trc:
        return "color_trc"
    beside = (
        sorted((side.type.name, bytes(side)) for side in known_side_data(f)) for f in (one, another)
    )
    return None if next(beside) == next(beside) else "side data"


def _compare(
    own: TimedPicture | None, other: TimedPicture | None, hardware: Hardware, info: VideoInfo
) -> None:
    if own is None or other is None or own.pts != other.pts:
        raise HardwareDoubt(f"{hardware.name} gives pictures at other times")
    differing = difference(own.picture, other.picture)
    if differing is not None:
        at_s = float(own.pts * info.time_base - info.start_s)
        raise HardwareDoubt(f"{hardware.name} gives another picture at {at_s:.3f} s ({differing})")


def _pictures(
    info: VideoInfo, window: Window, threads: int, hardware: Hardware | None
) -> Generator[TimedPicture, None, None]:
    pictures = PictureStream(info, window, threads, hardware)
    with open_input(info.path) as container:
        yield from pictures.pictures(container, open_stream(container, info, threads))
