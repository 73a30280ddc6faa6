"""One clock for files whose own starts anew, jumps or runs back, as parts joined byte by byte do.

`joins.find_joins` finds the parts before work; `Retimer` moves the packets of every later pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from av.packet import Packet as AvPacket

__all__ = ["Clock", "Join", "Retimer"]

Packet: TypeAlias = "AvPacket[Any]"


@dataclass(frozen=True, slots=True)
class Join:
    """A place at which a part with a clock of its own begins."""

    at_s: Fraction
    """When its first picture is shown, on the clock of the whole."""
    jump_s: Fraction
    """By how much the file's own clock is ahead of where it should be; negative: behind."""
    shift_s: Fraction
    """Added to the file's own times from here on."""
    first: Mapping[int, int]
    """Number of the first packet after it, by stream."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The parts of a file that was read to its end, and what it holds of the picture."""

    joins: tuple[Join, ...] = ()
    pictures: int = 0
    """Packets of the picture; 0 where they were not counted."""
    length_s: Fraction = Fraction(0)
    """From the first picture to the end of the last one."""

    def shift_s(self, index: int, number: int) -> Fraction:
        """What is added to the time of a stream's packet with this number."""
        passed = [one for one in self.joins if one.first.get(index, number + 1) <= number]
        return passed[-1].shift_s if passed else Fraction(0)

    def notes(self, start_s: Fraction) -> list[str]:
        """What a person should know of the file's own clock.

        Args:
            start_s: the beginning of the file.
        """
        if not self.joins:
            return []
        places = [
            f"at {float(one.at_s - start_s):.3f} s (by {float(one.jump_s):+.3f} s)"
            for one in self.joins[:_MOST_TOLD]
        ]
        more = len(self.joins) - len(places)
        told = ", ".join(places) + (f" and at {more} more places" if more else "")
        return [f"the file's clock jumps {told}; picture and sound go on without the jump"]


_MOST_TOLD = 5


class Retimer:
    """Move the packets of one pass, which begins with the file, onto the clock of the whole.

    Args:
        clock: of the file.
    """

    def __init__(self, clock: Clock) -> None:
        self._joins = clock.joins
        self._seen: dict[int, int] = {}
        self._passed: dict[int, int] = {}

    def is_behind_join(self, index: int) -> bool:
        """Whether a stream's last packet lies behind a join."""
        return self._passed.get(index, 0) > 0

    def move(self, packet: Packet) -> bool:
        """Set a packet's times; whether it is the first of its stream after a join."""
        if not self._joins:
            return False
        index = packet.stream.index
        number = self._seen.get(index, 0)
        self._seen[index] = number + 1
        passed = before = self._passed.get(index, 0)
        while passed < len(self._joins):
            first = self._joins[passed].first.get(index)
            if first is None or first > number:
                break
            passed += 1
        self._passed[index] = passed
        if passed and packet.time_base:
            shift = round(self._joins[passed - 1].shift_s / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        return passed > before
