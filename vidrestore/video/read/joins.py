"""Find where a file's clock starts anew, jumps or runs back: where parts are joined byte by byte.

`find_joins` reads the packets of all streams once. Where the times of picture and sound break, a
new part begins, and all its streams move together: its first picture follows the last one of the
part before, later by whole frames where the sound of that part still lasts.

Sparse streams (subtitles, data) belong to the part in which the picture is. A stream's times are
whole ticks of its own, since a file of hours has a million packets; fractions of a second are for
what compares streams.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from av.packet import Packet as AvPacket

from vidrestore.video.read.clock import Clock, Join

__all__ = ["find_joins"]

Packet: TypeAlias = "AvPacket[Any]"

_LONGEST_GAP_S = 10
"""A step ahead that is longer, and taken by all streams, is one of the clock."""

_FEW = 8
"""Packets that are too few to show how long a stream's steps are."""

_ALONE = 2
"""Packets whose times are wrong, where the ones after them go on as before."""

_CERTAIN_GAP_S = 60
"""A longer one is so even if no key frame follows it, as it would after a loss."""

_REORDERING_S = Fraction(1)
"""Steps back of the picture that are shorter count only at a key frame."""

_ROUNDING_S = Fraction(1, 20)
"""Steps back of sound that are shorter do not count by themselves."""

_BETWEEN_STREAMS_S = Fraction(1)
"""Streams of one part begin and end within so much of each other."""

_HEARD_S = Fraction(1, 1000)
"""Sound that overlaps by less needs no place."""


@dataclass(slots=True)
class _Stretch:
    """One stream's packets in one part, times as in the file."""

    base: Fraction
    """Seconds a tick."""
    first: int
    """Number of the first packet."""
    start: int
    """Ticks, as all times here."""
    end: int
    begins_with_key: bool
    last_dts: int
    packets: int = 1

    def add(self, dts: int, pts: int, length: int) -> None:
        self.packets += 1
        self.start = min(self.start, pts)
        self.end = max(self.end, pts + length)
        self.last_dts = dts

    @property
    def start_s(self) -> Fraction:
        return self.start * self.base

    @property
    def end_s(self) -> Fraction:
        return self.end * self.base

    @property
    def last_dts_s(self) -> Fraction:
        return self.last_dts * self.base


@dataclass(slots=True)
class _Part:
    """A part with a clock of its own."""

    shift_s: Fraction = Fraction(0)
    """That lets the stream which begins it go on."""
    ahead_s: Fraction = Fraction(0)
    """Of the clock before; negative where it goes back."""
    place: int = -1
    """Of its first packet in the file; -1 where nothing tells."""
    streams: dict[int, _Stretch] = field(default_factory=dict)


class _Parts:
    """The parts of a file, found packet by packet."""

    def __init__(self, kinds: Mapping[int, str]) -> None:
        self.kinds = kinds
        self.parts = [_Part()]
        self._at: dict[int, int] = {}
        """The part that each stream is in."""
        self._numbers: dict[int, int] = {}
        self._longest_step: dict[int, int] = {}
        self._bases: dict[int, Fraction] = {}

    def add(self, packet: Packet) -> None:
        index = packet.stream.index
        number = self._numbers.get(index, 0)
        self._numbers[index] = number + 1
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return
        base = self._bases.get(index)
        if base is None:
            base = self._bases[index] = packet.time_base
        pts = ticks if packet.pts is None else packet.pts
        length = packet.duration or 0
        at = self._part_of(packet, index, ticks)
        self._at[index] = at
        stretch = self.parts[at].streams.get(index)
        if stretch is None:
            self.parts[at].streams[index] = _Stretch(
                base, number, pts, pts + length, packet.is_keyframe, ticks
            )
        else:
            step = ticks - stretch.last_dts
            self._longest_step[index] = max(step, self._longest_step.get(index, step))
            stretch.add(ticks, pts, length or max(step, 0))

    def packets_of(self, index: int) -> int:
        """How many packets a stream has."""
        return self._numbers.get(index, 0)

    def _part_of(self, packet: Packet, index: int, dts: int) -> int:
        """The part to which a packet belongs; a new one where its time fits none."""
        current, newest = self._at.get(index, 0), len(self.parts) - 1
        if index not in self.kinds:
            return max((self._at.get(one, 0) for one in self.kinds), default=0)
        stretch = self.parts[current].streams.get(index)
        if stretch is None:
            return newest
        place = packet.pos if packet.pos is not None else -1
        if current < newest:
            last = self.parts[newest]
            if -_REORDERING_S < last.ahead_s <= 0 and place >= last.place >= 0:
                return newest  # times tell too little
            return self._nearest(stretch, current, newest, dts * stretch.base)
        if not self._breaks(index, stretch, dts, packet):
            return current
        dts_s = dts * stretch.base
        before = self.parts[current - 1].streams.get(index) if current else None
        returns = before is not None and abs(dts_s - before.last_dts_s) < _BETWEEN_STREAMS_S
        if returns and stretch.packets <= _ALONE:
            del self.parts[current].streams[index]  # a single time was wrong
            if not self.parts[current].streams:
                self.parts.pop()
            return current - 1
        ahead_s = dts_s - stretch.last_dts_s
        due_s = stretch.last_dts_s + self._longest_step.get(index, 0) * stretch.base
        self.parts.append(_Part(self.parts[current].shift_s + due_s - dts_s, ahead_s, place))
        return newest + 1

    def _nearest(self, stretch: _Stretch, current: int, newest: int, dts_s: Fraction) -> int:
        """The part in whose clock a packet follows its stream's last one best."""
        due_s = stretch.last_dts_s + self.parts[current].shift_s
        misfits = {
            number: abs(dts_s + self.parts[number].shift_s - due_s)
            for number in range(current, newest + 1)
        }
        return min(misfits, key=lambda number: (misfits[number], -number))

    def _breaks(self, index: int, stretch: _Stretch, dts: int, packet: Packet) -> bool:
        step = dts - stretch.last_dts
        if step <= 0:
            if self.kinds[index] == "video":
                return packet.is_keyframe or step * stretch.base < -_REORDERING_S
            return step * stretch.base < -_ROUNDING_S
        if stretch.packets < _FEW or step <= 10 * self._longest_step.get(index, 0):
            return False
        return step * stretch.base > _LONGEST_GAP_S


def find_joins(packets: Iterable[Packet], kinds: Mapping[int, str], picture: int) -> Clock:
    """The parts of a file whose packets come in the file's order.

    Args:
        packets: of all streams, from the beginning of the file.
        kinds: 'video' or 'audio' of the streams that have a clock, by index.
        picture: index of the stream that is restored.
    """
    found = _Parts(kinds)
    for packet in packets:
        if packet.size:
            found.add(packet)
    joins = tuple(_joins(found.parts, kinds, picture))
    stretches = [part.streams[picture] for part in found.parts if picture in part.streams]
    length_s = Fraction(0)
    if stretches:
        moved_s = joins[-1].shift_s if joins else Fraction(0)
        length_s = stretches[-1].end_s + moved_s - stretches[0].start_s
    return Clock(joins, found.packets_of(picture), length_s)


def _joins(parts: Sequence[_Part], kinds: Mapping[int, str], picture: int) -> Iterator[Join]:
    step_s, shift_s, ends_s = _step_s(parts, picture), Fraction(0), dict[int, Fraction]()
    for number, part in enumerate(parts):
        if number and _is_join(parts[number:], ends_s, picture):
            before_s = shift_s
            shift_s = _shift_s(part, ends_s, picture, step_s)
            leading = part.streams.get(picture) or next(iter(part.streams.values()))
            first = {
                index: min(
                    one.streams[index].first for one in parts[number:] if index in one.streams
                )
                for index in {index for one in parts[number:] for index in one.streams}
            }
            yield Join(leading.start_s + shift_s, before_s - shift_s, shift_s, first)
        for index in kinds.keys() & part.streams.keys():
            end_s = part.streams[index].end_s + shift_s
            ends_s[index] = max(end_s, ends_s.get(index, end_s))


def _is_join(parts: Sequence[_Part], ends_s: Mapping[int, Fraction], picture: int) -> bool:
    """Whether all streams take the break with which the first of `parts` begins.

    A stream that goes on alone has a gap, or a single wrong time; so has a picture that does not
    begin anew after some time ahead, as where a broadcast was lost.
    """
    part = parts[0]
    begun = [index for index in part.streams if index in ends_s]
    if not begun:
        return False
    due_s = min(ends_s[index] for index in begun)
    later = {index for one in parts for index in one.streams}
    if any(end_s > due_s + _BETWEEN_STREAMS_S for i, end_s in ends_s.items() if i not in later):
        return False
    stretch = part.streams.get(picture)
    begins_anew = stretch is not None and stretch.begins_with_key
    return part.ahead_s <= 0 or begins_anew or part.ahead_s > _CERTAIN_GAP_S


def _shift_s(
    part: _Part, ends_s: Mapping[int, Fraction], picture: int, step_s: Fraction
) -> Fraction:
    """What lets a part follow: its picture at once, or whole steps later, after the sound."""
    begins_s = {index: one.start_s for index, one in part.streams.items() if index in ends_s}
    leading = picture if picture in begins_s else min(begins_s)
    shift_s = ends_s[leading] - begins_s[leading]
    overlap_s = max(ends_s[index] - begin_s - shift_s for index, begin_s in begins_s.items())
    if overlap_s > _HEARD_S and step_s:
        shift_s += math.ceil(overlap_s / step_s) * step_s
    return shift_s


def _step_s(parts: Sequence[_Part], picture: int) -> Fraction:
    """Mean time from picture to picture."""
    stretches = [part.streams[picture] for part in parts if picture in part.streams]
    packets = sum(one.packets for one in stretches)
    return sum((one.end_s - one.start_s for one in stretches), Fraction(0)) / max(packets, 1)
