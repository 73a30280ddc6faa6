"""What a decoded picture carries beside its samples, by FFmpeg's names of the kinds.

PyAV lists a frame's side data only if it has a name for each kind, and FFmpeg adds kinds before
PyAV does. Such a frame is sent through FFmpeg's filter that deletes side data by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

__all__ = ["known_side_data", "side_data", "side_data_names"]

_FIRST_UNKNOWN = max(int(kind.value) for kind in list(SideDataType)) + 1  # type: ignore[call-overload]
_MOST_UNKNOWN = 24
"""So many kinds newer than PyAV are looked for."""


def known_side_data(frame: av.VideoFrame) -> Iterator[Any]:
    """The frame's side data (`av.sidedata.SideData`) of the kinds that PyAV knows."""
    try:
        held = _listed(frame)
    except ValueError:  # a kind newer than PyAV, and it gives none then
        held = _listed(_without_unknown(frame))
    yield from held


def _listed(frame: av.VideoFrame) -> list[Any]:
    """What `frame.side_data` lists, which the frame would keep, and which keeps the frame: its
    samples would stay in memory until Python looks for cycles, hundreds of frames later.
    """
    return list(SideDataContainer(frame))  # type: ignore[call-arg]


def side_data(frame: av.VideoFrame, name: str, size: int) -> bytes | None:
    """The first `size` bytes of a frame's side data by FFmpeg's name; None where it has none."""
    for data in known_side_data(frame):
        if data.type.name == name and data.buffer_size >= size:
            return bytes(data)[:size]
    return None


def side_data_names(frame: av.VideoFrame) -> frozenset[str]:
    """FFmpeg's names of all the kinds that a frame has and PyAV knows."""
    return frozenset(data.type.name for data in known_side_data(frame))


def _without_unknown(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with the same samples, not copied, without the kinds that PyAV does not know."""
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )
    for number in range(_FIRST_UNKNOWN, _FIRST_UNKNOWN + _MOST_UNKNOWN):
        following = graph.add("sidedata", f"mode=delete:type={number}")
        last.link_to(following)
        last = following
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    graph.push(frame)
    given: av.VideoFrame = graph.pull()  # type: ignore[assignment]
    return given
