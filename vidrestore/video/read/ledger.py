"""What one pass over a file meets: the packets of each stream, and signs that some are missing.

    ledger = Ledger(container, path)
    for packet in ledger.packets(streams):
        ...
    ledger.missing_from_index(stream)

Two passes are made, one for the picture and one for what is copied; each keeps its own ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Stream

from vidrestore.video.boundary import UNEXPECTED
from vidrestore.video.read.clock import Clock, Retimer
from vidrestore.video.read.damage import (
    cut_within_packets,
    first_byte_of_data,
    has_cut_index,
    is_cut_off,
    is_open_ended,
    promised_streams,
)
from vidrestore.video.read.streams import is_cover
from vidrestore.video.read.tally import StreamTally
from vidrestore.video.read.transport import LateStream, late_streams

__all__ = ["READ_WHOLE", "Ledger", "is_indexed"]

Packet: TypeAlias = "AvPacket[Any]"

_TILED = ("matroska,webm", "flv")
"""Formats in which packets lie one after the other, with little between."""

READ_WHOLE = (*_TILED, "mpegts", "mpeg")
"""Formats without an index: all their streams are read, for each is a witness of the others."""

_LEAST_HOLE = 128
"""Bytes between two packets that no headers between them explain."""

_LEAST_UNREAD = 0.02
"""Share of a file that may lie behind its last packet."""

_MOST_STRAYS = 10_000
"""Errors of PyAV itself, as for streams it does not know; after more than that, it has failed."""


class Ledger:
    """The account of one pass.

    Args:
        container: the open file.
        path: where it is.
        from_start: whether nothing has been read of it, and it was not wound.
        end_s: packets from this decoding time on do not count; on the container's clock.
        clock: moves the packets, where the file's own clock jumps; needs `from_start`.
    """

    def __init__(
        self,
        container: InputContainer,
        path: Path,
        *,
        from_start: bool = True,
        end_s: Fraction | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._container = container
        self._retimer = Retimer(clock or Clock())
        self._format = container.format.name
        self._pids = {stream.id for stream in container.streams}
        self._end_s = end_s
        self._path = path
        self._size = path.stat().st_size
        self._tiled = self._format in _TILED
        self._reads_all = self._format in READ_WHOLE
        self._read_to = first_byte_of_data(path) if from_start else None
        self._at = -1
        self.streams = {
            stream.index: StreamTally(stream.type == "audio") for stream in container.streams
        }
        self.holes = 0
        """Places at which bytes between packets belong to none."""
        self.lacks_beginning = False
        """Whether one of them lies before the first packet."""
        self.corrupt = 0
        """Packets that the format flags as incomplete."""
        self._strays = 0
        self._late: list[LateStream] | None = None
        self.broke_off = False
        """Whether reading ended with an error."""
        self.reached_end = False
        """Whether all was read."""
        self.cut_off = is_cut_off(path)
        """Whether the file is shorter than its own structure says."""
        self.is_open_ended = is_open_ended(path)
        """Whether the lengths in its header are placeholders."""
        is_ts = self._format == "mpegts"
        cuts = cut_within_packets(path) if is_ts else (False, False)
        self.begins_within_packet = cuts[0] and from_start
        self._cut_within_packets = any(cuts)
        self.wild_delays = False
        """Whether a packet is shown so long after it is decoded that its times are damaged."""
        self.has_cut_index = self.cut_off and has_cut_index(path)
        """Whether even the list of its streams may be cut off."""
        tracks = sum(
            not (stream.type == "attachment" or is_cover(stream)) for stream in container.streams
        )
        self.lost_streams = max(0, promised_streams(path) - tracks)
        """Streams that the header promises and does not describe."""

    def packets(self, streams: Sequence[Stream]) -> Iterator[Packet]:
        """Give and count the packets of `streams` from the file's current position on.

        Other streams that FFmpeg does not discard are counted and not given.
        """
        wanted = {stream.index for stream in streams}
        for packet in self._demuxed(self._counted_streams(wanted)):
            if packet.size == 0:  # asks decoders to flush
                continue
            is_joined = self._retimer.move(packet)
            if packet.is_discard and self._retimer.is_behind_join(packet.stream.index):
                packet = _undiscarded(packet)
            self._count(packet, is_joined=is_joined)
            if packet.stream.index in wanted:
                yield packet

    @property
    def shrank_by(self) -> int:
        """Bytes that the file has lost since it was opened."""
        try:
            return max(0, self._size - self._path.stat().st_size)
        except OSError:
            return self._size

    @property
    def unread(self) -> float:
        """Share of an FLV file behind its last packet: another file, joined to it with its header.

        FFmpeg stops there without a word.
        """
        if not (self._format == "flv" and self.reached_end and self._read_to and self._size):
            return 0.0
        return max(0.0, 1 - self._read_to / self._size)

    @property
    def is_suspect(self) -> bool:
        """Whether anything but missing times says that the file is damaged."""
        return bool(
            self.holes
            or self.corrupt
            or self.broke_off
            or self.cut_off
            or self.shrank_by
            or self.wild_delays
            or self._cut_within_packets
        )

    @property
    def times_count(self) -> bool:
        """Whether gaps between packets are losses: in damaged files, and in broadcasts, which have
        no other sign where whole packets are gone.
        """
        return self.is_suspect or self._format in ("mpegts", "mpeg")

    @property
    def end_s(self) -> Fraction | None:
        """The latest end of a packet of any stream."""
        return max((one.end_s for one in self.streams.values() if one.end_s), default=None)

    def start_of_others_s(self, stream: Stream) -> Fraction | None:
        """The earliest start of the other streams of picture and sound."""
        starts = (
            self.streams[other.index].first_s
            for other in self._container.streams
            if other.index != stream.index and other.type in ("audio", "video")
        )
        return min((start for start in starts if start is not None), default=None)

    def end_of_others_s(self, stream: Stream) -> Fraction | None:
        """The latest end of the other streams of picture and sound."""
        ends = (
            self.streams[other.index].end_s
            for other in self._container.streams
            if other.index != stream.index and other.type in ("audio", "video")
        )
        return max((end for end in ends if end is not None), default=None)

    def notes(self, start_s: Fraction, *, already_told: bool = False) -> list[str]:
        """What a person should know of the file as a whole.

        Args:
            start_s: the beginning of the file, on the container's clock.
            already_told: whether it was said that the file ends early.
        """
        notes = []
        if self.has_cut_index:
            notes.append("the file's index is cut off: whole streams may be missing")
        if self.lost_streams:
            notes.append(
                f"{self.lost_streams} of the streams that the header promises cannot be read"
            )
        elif (self.cut_off or self.broke_off) and not already_told:
            notes.append("the file ends early")
        if self.holes:
            places = "a place" if self.holes == 1 else f"{self.holes} places"
            notes.append(f"the file is damaged: data of no stream at {places} between packets")
        if self.unread > _LEAST_UNREAD:
            notes.append(
                f"{self.unread:.0%} of the file behind its last packet cannot be read, as where "
                "files are joined byte by byte; join them with a program that knows FLV"
            )
        if self.shrank_by:
            notes.append(f"the file became {self.shrank_by} bytes shorter while it was read")
        for late in self._late_streams():
            at = "" if late.at_s is None else f" at {float(late.at_s - start_s):.3f} s"
            notes.append(
                f"a stream that appears{at} (PID {late.pid}) is left out, {late.packets} packets: "
                "it is not in the file's header"
            )
        return notes

    def missing_from_index(self, stream: Stream) -> int:
        """Packets that the index lists in the part that was read, and that did not come."""
        tally = self.streams[stream.index]
        if not is_indexed(self._container):
            return 0
        first, last = tally.first_ticks, tally.last_ticks
        listed = sum(
            entry.size > 0
            and self._counts(entry.timestamp, stream.time_base)
            and (first is None or entry.timestamp >= first)
            and (self.reached_end or (last is not None and entry.timestamp <= last))
            for entry in stream.index_entries
        )
        return max(0, listed - tally.packets)

    def _late_streams(self) -> list[LateStream]:
        """Streams that appear midway, before the end of the part; looked for once."""
        if self._late is None:
            self._late = []
            if self._format == "mpegts":
                found = late_streams(self._path, self._pids)
                self._late = [one for one in found if self._is_inside(one.at_s)]
        return self._late

    def _is_inside(self, at_s: Fraction | None) -> bool:
        return self._end_s is None or at_s is None or at_s < self._end_s

    def _counted_streams(self, wanted: set[int]) -> list[Stream]:
        return [
            stream
            for stream in self._container.streams
            if stream.index in wanted or (self._reads_all and stream.type != "attachment")
        ]

    def _demuxed(self, streams: list[Stream]) -> Iterator[Packet]:
        """Packets of PyAV, past those that it cannot hold."""
        packets = iter(self._container.demux(streams))
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self.broke_off = True
                return
            except UNEXPECTED:
                self._strays += 1
                if self._strays > _MOST_STRAYS:
                    self.broke_off = True
                    return
                packets = iter(self._container.demux(streams))  # goes on where it stopped
                continue
            if packet is None:
                self.reached_end = True
                return
            yield packet

    def _counts(self, ticks: int | None, time_base: Fraction | None) -> bool:
        return self._end_s is None or (ticks or 0) * (time_base or 1) < self._end_s

    def _count(self, packet: Packet, *, is_joined: bool = False) -> None:
        tally = self.streams[packet.stream.index]
        if is_joined:  # the headers of the next part are no hole
            self._read_to = None
        if packet.is_corrupt:
            self.corrupt += 1
        if packet.pts is not None and packet.dts is not None:
            delay_s = (packet.pts - packet.dts) * packet.time_base
            self.wild_delays |= packet.stream.type == "video" and delay_s > _LONGEST_DELAY_S
        if packet.is_corrupt and is_indexed(self._container):
            tally.cut_off += 1
        elif self._counts(packet.dts if packet.dts is not None else packet.pts, packet.time_base):
            tally.add(packet, is_joined=is_joined)
        if self._tiled and packet.pos is not None and packet.pos >= 0:
            beside = sum(one.buffer_size for one in packet.iter_sidedata())  # alpha in Matroska
            self._look_for_hole(packet.pos, packet.size + beside)

    def _look_for_hole(self, at: int, size: int) -> None:
        if at == self._at:  # several packets share a block
            self._read_to = (self._read_to or at) + size
            return
        if self._read_to is not None and at - self._read_to > _LEAST_HOLE:
            self.holes += 1
            self.lacks_beginning |= self._at < 0
        self._at, self._read_to = at, at + size


def _undiscarded(packet: Packet) -> Packet:
    """A packet that is shown: of joined MP4, FFmpeg would drop what it takes for times gone by."""
    shown: Packet = AvPacket(bytes(packet))
    shown.stream, shown.time_base = packet.stream, packet.time_base
    shown.pts, shown.dts, shown.duration = packet.pts, packet.dts, packet.duration
    shown.is_keyframe = packet.is_keyframe
    return shown


_LONGEST_DELAY_S = 60
"""From decoding to showing; pictures are reordered by a second or two."""


def is_indexed(container: InputContainer) -> bool:
    """Whether the file lists all its packets."""
    name = container.format.name
    return name.startswith("mov") or name == "avi"
