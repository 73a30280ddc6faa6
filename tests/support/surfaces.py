"""A stand-in for a GPU's video decoder: software decodes, and gives semi-planar surfaces.

Surfaces are as NVDEC's are, but on the CPU: NV12, P010 or P016, whose planes torch takes through
DLPack. Nothing else is put in the place of the program's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import torch
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.video.read.hardware import Hardware
from vidrestore.video.read.nvdec import context_of

__all__ = ["SURFACE_OF", "stand_in"]

SURFACE_OF = {
    "yuv420p": "nv12",
    "yuvj420p": "nv12",
    "yuv420p10le": "p010le",
    "yuv420p12le": "p016le",
}
_SOFTWARE = {"av1": "libdav1d"}
"""FFmpeg's own decoder of AV1 needs hardware."""


def stand_in(change: Callable[[int, av.VideoFrame], av.VideoFrame] | None = None) -> Hardware:
    """A decoder whose surfaces are on the CPU.

    Args:
        change: takes the number of a surface, from 0, and the surface; what it gives comes out.
    """
    return Hardware("NVDEC", torch.device("cpu"), lambda stream: _Decoder(stream, change))


class _Decoder:
    def __init__(
        self, stream: VideoStream, change: Callable[[int, av.VideoFrame], av.VideoFrame] | None
    ) -> None:
        codec = stream.codec_context.codec.canonical_name
        self._context = context_of(stream, _SOFTWARE.get(codec))
        self._change = change
        self._given = 0

    def decode(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        return [self._surface(frame) for frame in self._context.decode(packet)]

    def _surface(self, frame: av.VideoFrame) -> av.VideoFrame:
        surface = frame.reformat(format=SURFACE_OF.get(frame.format.name, "yuv444p"), threads=1)
        surface.colorspace, surface.color_range = frame.colorspace, frame.color_range
        if self._change is not None:
            surface = self._change(self._given, surface)
        self._given += 1
        return surface
