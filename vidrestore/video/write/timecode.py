"""SMPTE timecodes (ST 12-1): the name of a frame, 'hours:minutes:seconds:frames'.

At 29.97 and 59.94 frames a second, drop-frame timecode (a ';' before the frames) skips the first
two (four) names of every minute but each tenth, so that it keeps up with the clock.
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["advance_timecode"]

_PATTERN = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def advance_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode `frames` later; unchanged where it is none, or the rate has none.

    Args:
        timecode: such as '01:00:00:00' or '01:00:00;00'.
        frames: how many frames later.
        rate: frames per second.
    """
    match = _PATTERN.fullmatch(timecode)
    base = round(rate)
    if match is None or base < 1:
        return timecode
    hours, minutes, seconds, mark, frame = match.groups()
    dropped = base // 15 if mark != ":" and base % 30 == 0 else 0
    total_minutes = int(hours) * 60 + int(minutes)
    number = (total_minutes * 60 + int(seconds)) * base + int(frame)
    number -= dropped * (total_minutes - total_minutes // 10)
    return _name(number + frames, base, dropped, mark)


def _name(number: int, base: int, dropped: int, mark: str) -> str:
    """The name of the frame with this number since midnight."""
    a_minute = base * 60 - dropped
    ten_minutes = a_minute * 10 + dropped
    number %= ten_minutes * 6 * 24
    tens, rest = divmod(number, ten_minutes)
    late = (rest - dropped) // a_minute if rest >= dropped else 0
    number += dropped * (9 * tens + late)
    seconds, frame = divmod(number, base)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{mark}{frame:02}"
