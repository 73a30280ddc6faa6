"""Packets in, pictures out, and an account of the packets that gave none.

A decoder answers late (it reorders, and works on several frames at once) and not always: a damaged
packet raises, or is skipped in silence. `PacketDecoder.pictures` gives every picture in order of
presentation together with the times of the packets that were skipped before it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.ledger import Ledger

__all__ = ["Decoded", "PacketDecoder"]

Packet: TypeAlias = "AvPacket[Any]"

_HIDDEN_FRAMES = frozenset({"vp8", "vp9", "av1", "libdav1d", "libvpx", "libvpx-vp9"})
"""Decoders of codecs that have packets which show nothing."""

_CONCEALS = ("mpegts", "mpeg")
"""Formats that flag a packet as corrupt when a part is lost; the decoder makes the best of it.
Elsewhere a corrupt packet is one that the end of the file cuts off."""


@dataclass(slots=True)
class Decoded:
    """One answer of the decoder."""

    frame: av.VideoFrame | None
    """None after the last one, where packets were skipped."""
    skipped: list[int]
    """Times of packets before this one that gave no picture though they should have."""


class PacketDecoder:
    """Decode one stream from the file's current position on.

    Args:
        container: the open file.
        stream: its video stream, not opened yet.
        ledger: counts the packets that are read.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, ledger: Ledger) -> None:
        self.ledger = ledger
        self._stream = stream
        self._decoder = decoder_of(stream)
        self._is_indexed = container.format.name.startswith("mov")
        self._conceals = container.format.name in _CONCEALS
        name = stream.codec_context.name
        packed = name == "mpeg4" and container.format.name == "avi"  # DivX: two in one packet
        self._hides = packed or name in _HIDDEN_FRAMES
        self._waiting: list[int] = []
        self._keys: set[int] = set()
        self._given_up: set[int] = set()
        self._sent = 0
        self._skipped = 0
        self._began = False
        self.errors = 0
        """Packets that the decoder refused."""
        self.key_packets_skipped = 0
        """Those before the first picture, from which decoding could have begun."""

    def pictures(self) -> Iterator[Decoded]:
        """Give every picture that can be decoded, in order of presentation."""
        for packet in self._packets():
            for frame in self._decode(packet):
                pts = frame.pts if frame.pts is not None else frame.dts
                if pts in self._given_up:  # out of order after damage, and replaced already
                    continue
                yield Decoded(frame, self._account(pts))
        tail = self._account(None)
        if tail:
            yield Decoded(None, tail)

    def _packets(self) -> Iterator[Packet | None]:
        """The stream's packets, then None to flush the decoder."""
        yield from self.ledger.packets([self._stream])
        yield None

    def _decode(self, packet: Packet | None) -> list[av.VideoFrame]:
        if packet is not None:
            if packet.is_corrupt and not self._conceals:
                self.errors += 1
                if not self._is_indexed:  # else the index has told of it
                    self._expect(packet)
                return []
            self._expect(packet)
        try:
            return self._decoder.decode(packet)
        except EOFError:
            return []
        except AV_ERRORS:
            self.errors += 1
            return []

    def _expect(self, packet: Packet) -> None:
        if packet.is_discard:
            return
        self._sent += 1
        if packet.pts is not None:
            insort(self._waiting, packet.pts)
            if packet.is_keyframe and not self._began:
                self._keys.add(packet.pts)

    def _account(self, pts: int | None) -> list[int]:
        """Forget the packets up to `pts` (None: all), and gives those that are really lost.

        A packet without a picture is no loss by itself: some show nothing, and both fields of a
        picture may come in packets of their own. It is one once the decoder has complained (as
        often as it did, where packets may show nothing), or if nearly all others gave a picture, or
        fewer than half, which fields do not explain.
        """
        skipped = []
        while self._waiting and (pts is None or self._waiting[0] <= pts):
            time = self._waiting.pop(0)
            if time != pts:
                skipped.append(time)
        if not self._began and not self._hides:  # the caller knows whether these were promised
            self._began = pts is not None
            self.key_packets_skipped = len(self._keys.intersection(skipped))
            self._sent -= len(skipped)
            return skipped
        self._skipped += len(skipped)
        answered = self._sent - len(self._waiting)
        if self._hides:
            skipped = skipped[: self.errors - len(self._given_up)]
        elif not self.errors and answered + 1 >= self._skipped * 2 > answered / 2:
            return []
        self._given_up.update(skipped)
        return skipped
