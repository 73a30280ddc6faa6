"""Where the segments of a video begin: at cuts where there are some, by number of frame."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import JobError
from vidrestore.jobs.store import FolderStore

__all__ = ["count_segments", "plan_segments"]

_LEAST, _MOST = Fraction(6, 10), Fraction(14, 10)
"""Of the nominal length: a cut between them may end a segment."""


def count_segments(folder: Path) -> int:
    """How many segments a job has whose analysis is complete.

    Raises:
        JobError: it is not.
    """
    segments = FolderStore(folder).read("segments")
    if segments is None:
        raise JobError(f"{folder}: its analysis is not complete")
    return len(segments["first_frames"])


def plan_segments(
    pts: Sequence[int], time_base: Fraction, cuts: Sequence[int], segment_s: float
) -> list[int]:
    """Give the first frame of every segment, from 0 on.

    A border is the cut nearest to the nominal length, between 0.6 and 1.4 of it; else it is exactly
    there.

    Args:
        pts: times of all frames, rising.
        time_base: their unit, in seconds.
        cuts: frames at which a shot begins, rising, without frame 0.
        segment_s: nominal length.
    """
    length = Fraction(segment_s) / time_base
    borders = [0]
    while (border := _next_border(pts, cuts, borders[-1], length)) < len(pts):
        borders.append(border)
    return borders


def _next_border(pts: Sequence[int], cuts: Sequence[int], first: int, length: Fraction) -> int:
    begin = pts[first]
    low = max(bisect_left(pts, begin + _LEAST * length), first + 1)
    high = bisect_right(pts, begin + _MOST * length)
    near = cuts[bisect_left(cuts, low) : bisect_left(cuts, high)]
    if near:
        return min(near, key=lambda cut: abs(pts[cut] - begin - length))
    return max(bisect_left(pts, begin + length), first + 1)
