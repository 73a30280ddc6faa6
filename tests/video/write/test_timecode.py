"""Timecodes count frames; drop-frame ones leave names out and keep to the clock."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.video.write.timecode import advance_timecode

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 25, Fraction(25), "01:00:01:00"),
        ("00:59:59:24", 1, Fraction(25), "01:00:00:00"),
        ("23:59:59:23", 1, Fraction(24000, 1001), "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("later", 5, NTSC, "later"),
    ],
)
def test_known_values(timecode: str, frames: int, rate: Fraction, expected: str) -> None:
    assert advance_timecode(timecode, frames, rate) == expected


frames = st.integers(0, 200_000)


@given(first=frames, second=frames, mark=st.sampled_from(":;"))
def test_steps_add_up(first: int, second: int, mark: str) -> None:
    start = f"10:20:30{mark}10"
    there = advance_timecode(advance_timecode(start, first, NTSC), second, NTSC)
    assert there == advance_timecode(start, first + second, NTSC)


@given(count=st.integers(0, 3 * 107892))
def test_drop_frame_keeps_to_the_clock(count: int) -> None:
    hours, minutes, rest = advance_timecode("00:00:00;00", count, NTSC).split(":")
    seconds, frame = rest.split(";")
    told = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(frame) / 30
    assert abs(told - float(count / NTSC)) < 0.08
