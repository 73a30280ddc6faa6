"""A packet of the encoded picture apart from its container, and the decoding times of all of them.

Every packet goes this way, whether it comes from an encoder or was stored in between, so that both
give the same bytes. FFmpeg's mark of packets that no other one needs is not kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, get_args

from av.packet import Packet, PacketSideData, PktSideDataT
from av.stream import Stream

__all__ = ["DecodingTimes", "EncodedPacket"]

_SIDE_DATA = get_args(PktSideDataT)
"""PyAV's names, in the order of FFmpeg's numbers."""


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One encoded picture, in the order of decoding."""

    data: bytes
    pts: int
    """In ticks of the encoder."""
    duration: int
    is_key: bool
    side_data: tuple[tuple[str, bytes], ...] = ()
    """By PyAV's names."""

    @classmethod
    def of(cls, packet: Packet[Any]) -> EncodedPacket:
        """What an encoder gave."""
        assert packet.pts is not None
        sides = tuple((side.data_type, bytes(side)) for side in packet.iter_sidedata())
        return cls(bytes(packet), packet.pts, packet.duration or 0, packet.is_keyframe, sides)

    def to_packet(self, stream: Stream, time_base: Fraction, dts: int) -> Packet[Any]:
        """For a muxer."""
        packet: Packet[Any] = Packet(self.data)
        packet.stream = stream
        packet.time_base = time_base
        packet.pts, packet.dts, packet.duration = self.pts, dts, self.duration
        packet.is_keyframe = self.is_key
        for name, data in self.side_data:
            side = PacketSideData(_SIDE_DATA.index(name), len(data))  # type: ignore[call-arg]
            side.update(data)
            side.to_packet(packet, move=True)
        return packet


class DecodingTimes:
    """Decoding times of the packets of a video, whichever encoders they come from.

    The n-th packet is decoded when the frame is shown that comes `delay` frames before the n-th;
    the first ones as much earlier than they are numbered as that is. So they wait until `delay`
    further frames are known.

    Args:
        delay: frames by which the encoder reorders at most.
    """

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self._first: list[int] = []
        """Times of the first frames, until there are enough."""
        self._begun = False
        self._times: deque[int] = deque()
        self._waiting: deque[EncodedPacket] = deque()

    def add_frame(self, pts: int) -> None:
        """Take the time of the next frame, in the order of presentation."""
        if self._begun:
            self._times.append(pts)
            return
        self._first.append(pts)
        if len(self._first) > self._delay:
            lag = pts - self._first[0]
            self._begin([one - lag for one in self._first[:-1]])

    def timed(
        self, packets: Iterable[EncodedPacket], *, ends: bool = False
    ) -> Iterator[tuple[EncodedPacket, int]]:
        """Give packets with their decoding times, once those are known.

        Args:
            packets: the next ones; their frames were added.
            ends: whether they are the last.
        """
        self._waiting.extend(packets)
        if ends and not self._begun:  # so few are in order
            self._begin([])
        while self._begun and self._waiting:
            yield self._waiting.popleft(), self._times.popleft()

    def _begin(self, early: list[int]) -> None:
        self._times.extend((*early, *self._first))
        self._begun = True
