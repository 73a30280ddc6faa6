"""Packets in, pictures out, and an account of the packets that gave none.

A decoder answers late (it reorders, and works on several frames at once) and not always: a damaged
packet raises, or is skipped in silence. `PacketDecoder.pictures` gives every picture in order of
presentation together with the times of the packets that were skipped before it. What a packet
promises is read from its own headers where they tell, so that a packet without a picture is no
damage by itself.

AVI has no times but the order of its chunks: a picture's time is that of the chunk with which the
decoder gives it. So it is with packed B-frames that were copied into another container.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.read.coded_pictures import picture_counter
from vidrestore.video.read.decoders import VideoDecoder, decoder_of
from vidrestore.video.read.ledger import Ledger

__all__ = ["Decoded", "PacketDecoder"]

Packet: TypeAlias = "AvPacket[Any]"

_HIDDEN_FRAMES = frozenset({"vp8", "libvpx"})
"""Decoders of a codec that has packets which show nothing, and whose headers damage may make so."""

_PACKS = re.compile(rb"DivX\d+(?:Build|b)\d+p")
"""In the user's data of streams by DivX's encoders that pack."""

_CONCEALS = ("mpegts", "mpeg")
"""Formats that flag a packet as corrupt when a part is lost; the decoder makes the best of it.
Elsewhere a corrupt packet is one that the end of the file cuts off."""


@dataclass(slots=True)
class Decoded:
    """One answer of the decoder."""

    frame: av.VideoFrame | None
    """None after the last one, where packets were skipped."""
    pts: int | None
    """Its time; None where nothing tells."""
    skipped: list[int]
    """Times of packets before this one that gave no picture though they should have."""
    silent: list[int]
    """Times of packets before this one that promise no picture."""
    is_corrupt: bool = False
    """Whether the decoder concealed errors."""


class PacketDecoder:
    """Decode one stream from the file's current position on.

    Args:
        container: the open file.
        stream: its video stream, not opened yet.
        ledger: counts the packets that are read.
        decoder: takes the packets; None for software.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        ledger: Ledger,
        decoder: VideoDecoder | None = None,
    ) -> None:
        self.ledger = ledger
        self._stream = stream
        self._decoder = decoder or decoder_of(stream)
        self._is_indexed = container.format.name.startswith("mov")
        self._conceals = container.format.name in _CONCEALS
        self._is_avi = self._by_chunk = container.format.name == "avi"
        context = stream.codec_context
        codec = context.codec.canonical_name
        self._counter = picture_counter(codec, context.extradata)
        # By chunks, a picture that is late cannot be told from one that is lost, until the end.
        self._hides = context.name in _HIDDEN_FRAMES or (self._by_chunk and self._counter.is_exact)
        self._is_packed = not self._is_avi and bool(_PACKS.search(context.extradata or b""))
        """Whether it is DivX that may pack two pictures into one packet."""
        self._waiting: list[int] = []
        self._silent: list[int] = []
        self._of_two: set[int | None] = set()
        """Times of pictures of two packets, which FFmpeg's threads call corrupt without reason."""
        self._last_sent: int | None = None
        self._keys: set[int] = set()
        self._given_up: set[int] = set()
        self._sent = 0
        self._skipped = 0
        self._promised = 0
        self._given = 0
        self._last_chunk: int | None = None
        self._chunk_step = 1
        self._began = False
        self._ended = False
        self.errors = 0
        """Packets that the decoder refused."""
        self.key_packets_skipped = 0
        """Those before the first picture, from which decoding could have begun."""

    @property
    def unanswered(self) -> int:
        """Pictures promised by the chunks of a file that was read to its end, and told nowhere."""
        if not (self._ended and self._by_chunk and self._counter.is_exact):
            return 0
        return max(0, self._promised - self._given - len(self._given_up))

    def pictures(self) -> Iterator[Decoded]:
        """Give every picture that can be decoded, in order of presentation."""
        for packet in self._packets():
            for frame in self._decode(packet):
                self._given += 1
                pts = self._time(frame)
                if pts in self._given_up:  # out of order after damage, and replaced already
                    continue
                corrupt = bool(frame.is_corrupt) and pts not in self._of_two
                yield Decoded(frame, pts, self._account(pts), self._take_silent(pts), corrupt)
                self._of_two.discard(pts)
        self._ended = True
        tail = self._account(None)
        if tail:
            yield Decoded(None, None, tail, [])

    def _time(self, frame: av.VideoFrame) -> int | None:
        if not self._by_chunk:
            return frame.pts if frame.pts is not None else frame.dts
        before, told = self._last_chunk, frame.dts if frame.dts is not None else frame.pts
        if frame.dts is not None or before is None:
            self._last_chunk = told
            if told is not None and before is not None and told > before:
                self._chunk_step = told - before
        else:  # what the decoder held at the end
            self._last_chunk = before + (1 if self._is_avi else self._chunk_step)
        return self._last_chunk

    def _packets(self) -> Iterator[Packet | None]:
        """The stream's packets, then None to flush the decoder."""
        yield from self.ledger.packets([self._stream])
        yield None

    def _decode(self, packet: Packet | None) -> list[av.VideoFrame]:
        if packet is not None:
            if packet.is_corrupt and not self._conceals:
                self.errors += 1
                if not self._is_indexed:  # else the index has told of it
                    self._expect(packet, 1)
                return []
            self._expect(packet, self._promised_by(packet))
        try:
            frames = self._decoder.decode(packet)
        except EOFError:
            return []
        except AV_ERRORS:
            self.errors += 1
            return []
        for frame in frames:  # PyAV takes it from the packet, which those held to the end lack
            frame.time_base = self._stream.time_base
        return frames

    def _promised_by(self, packet: Packet) -> int:
        """Pictures that a packet promises.

        Packed B-frames in another container than AVI have the times of their packets, too: those of
        decoding.
        """
        if not self._counter.is_exact:
            return 1
        data = bytes(packet)
        if not self._sent and not self._is_avi:
            self._is_packed |= bool(_PACKS.search(data))
        count = self._counter.count(data)
        self._by_chunk |= self._is_packed and count > 1
        if self._is_packed and self._by_chunk and packet.pts is not None:
            self._hides, packet.dts = True, packet.pts
        return count

    def _expect(self, packet: Packet, promised: int) -> None:
        if packet.is_discard:
            return
        time = packet.dts if self._by_chunk else packet.pts
        self._promised += promised
        if not promised:
            if time is not None:
                insort(self._silent, time)
            self._of_two.add(self._last_sent)
            return
        self._last_sent = time
        self._sent += 1
        if time is not None:
            insort(self._waiting, time)
            if packet.is_keyframe and not self._began:
                self._keys.add(time)

    def _take_silent(self, pts: int | None) -> list[int]:
        """Forget the packets without a picture up to `pts`, and give their times."""
        count = bisect_left(self._silent, pts) if pts is not None else 0
        taken, self._silent = self._silent[:count], self._silent[count:]
        return taken

    def _account(self, pts: int | None) -> list[int]:
        """Forget the packets up to `pts` (None: all), and gives those that are really lost.

        Where packets tell what they promise, one without its picture is a loss. Elsewhere it is one
        once the decoder has complained (as often as it did, where packets may show nothing), or if
        nearly all others gave a picture, or fewer than half, which fields do not explain.
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
        elif self._counter.is_exact:
            pass
        elif not self.errors and answered + 1 >= self._skipped * 2 > answered / 2:
            return []
        self._given_up.update(skipped)
        return skipped
