"""Count the packets of one stream, and the time that lies in gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from av.packet import Packet as AvPacket

__all__ = ["StreamTally"]

Packet: TypeAlias = "AvPacket[Any]"

_WILD_S = 60
"""A step so far ahead, and many times all that came before, is a damaged time and no gap."""

_ROUNDING_S = Fraction(1, 100)
"""Times of sound may be off by so much, where a format counts milliseconds or frames."""


@dataclass(slots=True)
class StreamTally:
    """One stream's packets, so far."""

    is_sound: bool = False
    """Whether each packet begins where the one before ends."""
    packets: int = 0
    """Whole packets."""
    cut_off: int = 0
    """Packets of which the end of the file cuts off a part."""
    first_ticks: int | None = None
    """Decoding times of the first and last packet."""
    last_ticks: int | None = None
    first_s: Fraction | None = None
    """Presentation times, on the container's clock."""
    end_s: Fraction | None = None
    """The latest end of a packet."""
    missing_s: Fraction = Fraction(0)
    """Time that lies in gaps between packets."""
    gap_at_s: Fraction | None = None
    """Where the first gap begins."""
    length_s: Fraction = Fraction(0)
    """Sum of the packets' own durations."""

    def add(self, packet: Packet, *, is_joined: bool = False) -> None:
        """Count a packet; between joined parts nothing is missing."""
        self.packets += 1
        ticks = packet.dts if packet.dts is not None else packet.pts
        self.first_ticks = ticks if self.first_ticks is None else self.first_ticks
        self.last_ticks = ticks if ticks is not None else self.last_ticks
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            return
        start_s = pts * packet.time_base
        length_s = Fraction(packet.duration or 0) * packet.time_base
        self.first_s = start_s if self.first_s is None else min(self.first_s, start_s)
        gap_s = start_s - self.end_s if self.end_s is not None else Fraction(0)
        if gap_s > max(Fraction(_WILD_S), 10 * self.length_s):
            return
        if self.is_sound and length_s and not is_joined and gap_s > max(length_s / 2, _ROUNDING_S):
            assert self.end_s is not None
            self.missing_s += start_s - self.end_s
            self.gap_at_s = self.end_s if self.gap_at_s is None else self.gap_at_s
        self.end_s = max(self.end_s or start_s, start_s + length_s)
        self.length_s += length_s

    @property
    def step_s(self) -> Fraction:
        """Mean duration of a packet; 0 where the file does not tell."""
        return self.length_s / self.packets if self.packets else Fraction(0)
