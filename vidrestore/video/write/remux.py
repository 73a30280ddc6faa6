"""Copy every other stream of a file, packet by packet, beside the picture that is encoded.

The input is opened a second time and read along as the encoded picture proceeds, so that packets
interleave in the output as they did in the input and memory stays bounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av import CodecContext
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Discard, Stream

from vidrestore.errors import VideoWriteError
from vidrestore.video.boundary import unexpected, wind
from vidrestore.video.container.mp4 import read_movie, sample_count
from vidrestore.video.read.clock import Clock
from vidrestore.video.read.ledger import READ_WHOLE, Ledger, is_indexed
from vidrestore.video.read.promise import missing_packets
from vidrestore.video.read.shortfall import Shortfall
from vidrestore.video.read.window import Window
from vidrestore.video.write.sound import SoundConverter

__all__ = ["StreamCopier"]

Packet: TypeAlias = "AvPacket[Any]"

_REPEATS = ("matroska", "webm", "nut")
"""Formats in which two packets of a stream may have the same time."""

_LEAD_S = Fraction(1, 10)
"""Sound that decoders hear before the first sample that counts."""


@dataclass(slots=True)
class _Copied:
    """One stream on its way."""

    output: Stream
    is_video: bool
    is_subtitle: bool
    repeats: bool
    """Whether two packets may have the same time."""
    cuts_samples: bool
    """Whether its converter leaves out samples, so that it wants the packets before a part, too."""
    pads_gaps: bool
    """Whether the muxer itself writes the empty samples between lines (timed text of MP4)."""
    started: bool = False
    last_dts: int | None = None
    """In the input's time base, before any shift."""
    written: int = 0
    """Packets given to the muxer."""
    went_back: int = 0
    """Packets whose times go back by more than their duration."""


class StreamCopier:
    """Copy packets of some streams into an output, up to a given time at a time.

    Args:
        source: the open input, of its own; the copier reads it from its beginning.
        streams: stream of an open output by index of the input's stream; headers may be unwritten.
        window: the part to copy. Audio is cut at packet bounds; video streams begin at a key frame.
        origin_s: subtracted from all times, in seconds.
        path: of the input.
        converters: of the streams whose sound is encoded anew, by index of the input's stream.
        clock: of the input, where its own jumps.
    """

    def __init__(
        self,
        source: InputContainer,
        streams: dict[int, Stream],
        window: Window,
        origin_s: Fraction,
        path: Path,
        converters: Mapping[int, SoundConverter] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._converters = converters or {}
        self._source = source
        self._window = window
        self._origin_s = origin_s
        self._streams = {
            index: _copied(source.streams[index], stream, self._converters.get(index))
            for index, stream in streams.items()
        }
        self._reads_all = source.format.name in READ_WHOLE
        self._is_indexed = is_indexed(source)
        self._path = path
        self._start_s = Fraction(source.start_time or 0, av.time_base)
        clock = clock or Clock()
        self._winds = not clock.joins
        self.ledger = Ledger(
            source, path, from_start=window.first_s is None, end_s=window.end_s, clock=clock
        )
        """Of the packets read."""
        self._packets = self._read() if streams else iter(())
        self._next: tuple[Fraction, Packet] | None = next(self._packets, None)

    def advance(self, until_s: Fraction | None) -> None:
        """Copy all packets up to a time of the output, in seconds; None copies the rest."""
        while self._next is not None and (until_s is None or self._next[0] <= until_s):
            self._copy_next(self._next[1])

    def copy_first(self, packets: int) -> None:
        """Copy so many packets, whatever their times, for a trial of the output."""
        for _ in range(packets):
            if self._next is None:
                return
            self._copy_next(self._next[1])

    def _copy_next(self, packet: Packet) -> None:
        with unexpected(VideoWriteError, f"{self._path}: a packet cannot be copied"):
            packet.stream.container.mux(packet)
        self._next = next(self._packets, None)

    def _read(self) -> Iterator[tuple[Fraction, Packet]]:
        """(time in the output, packet of the output) in the input's order."""
        for stream in self._source.streams:
            if stream.index not in self._streams and not self._reads_all:
                stream.discard = Discard.all
        if self._window.first_s is not None and self._winds:
            # Else all is read, and what lies before the part is left out one by one.
            cuts = any(copied.cuts_samples for copied in self._streams.values())
            first_s = self._window.first_s - (_LEAD_S if cuts else 0)
            with contextlib.suppress(av.FFmpegError):
                wind(self._source, int(first_s * av.time_base))
        wanted = [self._source.streams[index] for index in self._streams]
        for packet in self.ledger.packets(wanted):
            copied = self._streams[packet.stream.index]
            if self._is_whole(packet, copied) and self._prepare(packet, copied):
                copied.written += 1
                converter = self._converters.get(packet.stream.index)
                if converter is None:
                    yield self._time_s(packet), self._readdressed(packet, copied)
                else:
                    yield from self._timed(converter.convert(packet))
        for converter in self._converters.values():
            yield from self._timed(converter.finish())

    def _timed(self, packets: Iterable[Packet]) -> Iterator[tuple[Fraction, Packet]]:
        for packet in packets:
            yield self._time_s(packet), packet

    def _is_whole(self, packet: Packet, copied: _Copied) -> bool:
        """Whether the packet holds anything, all of it; the samples between lines do not."""
        if packet.is_corrupt and self._is_indexed:  # the end of the file cuts it off
            return False
        return packet.size > 0 and not (copied.pads_gaps and bytes(packet) == b"\0\0")

    def account(self, index: int, kind: str, name: str) -> tuple[list[str], list[Shortfall]]:
        """Give notes about an input's stream, and what is missing of it, once all is copied.

        Args:
            index: of the stream.
            kind: 'audio', 'subtitle' or another type of stream.
            name: as messages call it.
        """
        notes = self._converters[index].notes(name) if index in self._converters else []
        back = self.went_back(index)
        if back and kind == "audio":
            notes.append(
                f"{back} packets of {name} moved, for their times went back (parts doubled or "
                "joined)"
            )
        missing = self.shortfall(index, name)
        return notes, [missing] if missing else []

    def shortfall(self, index: int, name: str) -> Shortfall | None:
        """What is missing of an input's stream, once all is copied; None where nothing is.

        Args:
            index: of the stream.
            name: as messages call it.
        """
        stream, copied = self._source.streams[index], self._streams[index]
        tally, window = self.ledger.streams[index], self._window
        if not tally.packets and self._is_empty_track(stream):
            return None
        missing, promised, at_s = missing_packets(
            self._source,
            stream,
            self.ledger,
            from_start=window.first_s is None,
            end_s=window.end_s,
        )
        if not copied.written and tally.packets and window == Window() and not copied.pads_gaps:
            missing = promised = tally.packets
        if not missing:
            return None
        when = None if at_s is None else max(0.0, float(at_s - self._start_s))
        return Shortfall(f"packets of {name}", missing, promised, when)

    def _is_empty_track(self, stream: Stream) -> bool:
        """Whether the tables of an MP4 track say that it has no samples."""
        if not self._source.format.name.startswith("mov") or stream.frames:
            return False
        return sample_count(read_movie(self._path), stream.id) == 0

    def end_s(self, index: int) -> Fraction | None:
        """When the last packet of an input's stream ends in the output; None where none came."""
        end_s = self.ledger.streams[index].end_s
        return None if end_s is None else end_s - self._origin_s

    def went_back(self, index: int) -> int:
        """Packets of an input's stream whose times went back, so that they were moved."""
        return self._streams[index].went_back

    def _prepare(self, packet: Packet, copied: _Copied) -> bool:
        """Whether the packet is copied; makes its times complete, increasing and shifted."""
        if packet.pts is None and packet.dts is None:
            packet.dts = packet.pts = (copied.last_dts or 0) + (packet.duration or 1)
        if packet.dts is None:
            packet.dts = packet.pts
        if not self._is_inside(packet, copied):
            return False
        assert packet.dts is not None
        if copied.last_dts is not None:
            copied.went_back += packet.dts < copied.last_dts - (packet.duration or 0)
            packet.dts = max(packet.dts, copied.last_dts + (not copied.repeats))
        copied.last_dts = packet.dts
        if packet.pts is not None and packet.pts < packet.dts:
            packet.pts = packet.dts
        shift = round(self._origin_s / packet.time_base)
        packet.dts -= shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        return True

    def _is_inside(self, packet: Packet, copied: _Copied) -> bool:
        first_s, end_s = self._window.first_s, self._window.end_s
        pts_s = self._time_s(packet, by_pts=True)
        if end_s is not None and pts_s >= end_s:
            return False
        if first_s is None:
            return True
        if copied.is_video and not copied.started:
            copied.started = packet.is_keyframe and pts_s >= first_s
            return copied.started
        if copied.is_subtitle and pts_s < first_s:
            return self._shorten(packet, first_s)
        if copied.cuts_samples:
            return pts_s + (packet.duration or 0) * packet.time_base >= first_s - _LEAD_S
        return pts_s >= first_s

    def _shorten(self, packet: Packet, first_s: Fraction) -> bool:
        """Let a subtitle that is shown when the window begins start with it."""
        if packet.pts is None or not packet.duration:
            return False
        late = round(first_s / packet.time_base) - packet.pts
        if late >= packet.duration:
            return False
        packet.duration -= late
        packet.pts += late
        packet.dts = packet.pts
        return True

    @staticmethod
    def _time_s(packet: Packet, *, by_pts: bool = False) -> Fraction:
        ticks = packet.pts if by_pts and packet.pts is not None else packet.dts
        assert ticks is not None
        return ticks * packet.time_base

    @staticmethod
    def _readdressed(packet: Packet, copied: _Copied) -> Packet:
        packet.stream = copied.output
        return packet


def _copied(source: Stream, output: Stream, converter: SoundConverter | None) -> _Copied:
    context: CodecContext | None = source.codec_context
    is_timed_text = context is not None and context.codec.canonical_name == "mov_text"
    return _Copied(
        output,
        is_video=source.type == "video",
        is_subtitle=source.type == "subtitle",
        repeats=output.container.format.name in _REPEATS,
        cuts_samples=converter is not None and converter.cuts_samples,
        pads_gaps=is_timed_text,
    )
