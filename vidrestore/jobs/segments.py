"""Where the segments of a video begin: at cuts where there are some, by number of frame.

A border is known as soon as its frame comes, whatever follows, so that a run that restores while it
still looks for faces and cuts ends its segments where any other run does.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import JobError
from vidrestore.jobs.store import FolderStore
from vidrestore.structs import Frame

__all__ = ["Borders", "count_segments", "plan_segments"]

_LEAST = Fraction(6, 10)
"""Of the nominal length: from there on a cut ends a segment."""


def count_segments(folder: Path) -> int:
    """How many segments a job has whose analysis is complete.

    Raises:
        JobError: it is not.
    """
    segments = FolderStore(folder).read("segments")
    if segments is None:
        raise JobError(f"{folder}: its analysis is not complete")
    return len(segments["first_frames"])


class Borders:
    """Tell, frame by frame, where a segment begins.

    That is with the first frame, and then at the first cut once 0.6 of the nominal length have
    passed, or once all of it has.

    Args:
        segment_s: nominal length.
    """

    def __init__(self, segment_s: float) -> None:
        self._most_s = Fraction(segment_s)
        self._least_s = _LEAST * self._most_s
        self._begun_s: Fraction | None = None

    def begins_with(self, frame: Frame) -> bool:
        """Whether a segment begins with a frame; see `begins`."""
        return self.begins(frame.pts * frame.time_base, is_cut=frame.is_cut)

    def begins(self, time_s: Fraction, *, is_cut: bool) -> bool:
        """Whether a segment begins with the next frame.

        Args:
            time_s: of the frame.
            is_cut: whether a shot begins with it.
        """
        if self._begun_s is not None:
            passed_s = time_s - self._begun_s
            if passed_s < (self._least_s if is_cut else self._most_s):
                return False
        self._begun_s = time_s
        return True


def plan_segments(
    pts: Sequence[int], time_base: Fraction, cuts: Sequence[int], segment_s: float
) -> list[int]:
    """Give the first frame of every segment, from 0 on; see `Borders`.

    Args:
        pts: times of all frames, rising.
        time_base: their unit, in seconds.
        cuts: frames at which a shot begins, rising, without frame 0.
        segment_s: nominal length.
    """
    borders, at_cut = Borders(segment_s), set(cuts)
    return [
        number
        for number, time in enumerate(pts)
        if borders.begins(time * time_base, is_cut=number in at_cut)
    ]
