"""What a file promised and did not give: counted, dated, and judged by one bound.

The witnesses are the index, the lengths in the headers, the other streams and the packets' own
times. An index and a stream's own length count by themselves; gaps between times only where
something else says that the file is damaged, for many an intact file has gaps on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vidrestore.errors import VideoDecodeError

__all__ = ["FrameTimes", "Shortfall", "refuse_damaged"]

_STEADY = 0.7
"""Share of steps of one length from which on a video counts as one of constant rate."""

_FEW = 3
"""Steps that are too few to show the rate."""

_MOST_STEPS = 4096
"""Different steps that are remembered; a video with more has no constant rate."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is missing of one stream."""

    what: str
    """Such as 'frames' or 'packets of audio stream 1 (aac)'."""
    missing: int
    promised: int
    at_s: float | None = None
    """When the first one is missing, in seconds from the beginning of the file."""
    so_far: bool = False
    """Whether more may be missing in what was not read yet."""

    def is_beyond(self, bound: float) -> bool:
        """Whether more than this share is missing, or all."""
        return self.missing > bound * self.promised or self.missing >= self.promised > 0

    def __str__(self) -> str:
        first = f", the first at {self.at_s:.3f} s" if self.at_s is not None else ""
        least = "at least " if self.so_far else ""
        share = "all" if self.missing >= self.promised else f"{self.missing} of {self.promised}"
        return f"{least}{share} {self.what} are missing or broken{first}"


def refuse_damaged(path: Path, what: Iterable[object], bound: float) -> None:
    """End a run whose input lacks too much.

    Raises:
        VideoDecodeError: always; it says how much is missing where, and what to do.
    """
    told = "; ".join(str(one) for one in what)
    raise VideoDecodeError(
        f"{path} is damaged: {told}; more than {bound:.0%} is too much; get a whole copy, or keep "
        "what there is with --keep-damaged"
    )


@dataclass(slots=True)
class FrameTimes:
    """The steps from frame to frame of one video, in ticks."""

    nominal: int = 0
    """The step that the header tells, for use where there are too few frames to see it."""
    first: int | None = None
    last: int | None = None
    frames: int = 0
    _steps: Counter[int] = field(default_factory=Counter)
    _began: dict[int, int] = field(default_factory=dict)
    """Where the first step of each length begins."""
    _follows_header: bool = False

    def follow_header(self) -> None:
        """Take the rate that the header tells where most frames lie on its grid, however few.

        For damaged files, of which so little may be left that the usual step is itself a gap.
        """
        slack = max(1, self.nominal // 20)
        on_grid = sum(
            n
            for one, n in self._steps.items()
            if abs((one + slack) % self.nominal - slack) <= slack
        )
        total = sum(self._steps.values())
        self._follows_header = not self.is_steady and 0 < _STEADY * total <= on_grid

    def add(self, pts: int, silent: Sequence[int] = ()) -> None:
        """Take the next frame's time.

        Args:
            pts: the time.
            silent: of packets before it that promise no frame, which explain a gap.
        """
        if self.last is not None:
            step = pts - self._explained(pts, silent)
            if step in self._steps or len(self._steps) < _MOST_STEPS:
                self._steps[step] += 1
                self._began.setdefault(step, self.last)
        self.first = pts if self.first is None else self.first
        self.last = pts
        self.frames += 1

    def _explained(self, pts: int, silent: Sequence[int]) -> int:
        """From where the step to `pts` counts: the last frame, or a packet that fills a gap."""
        assert self.last is not None
        since = self.last
        if pts - since > 1.5 * self.nominal > 0:
            for one in silent:
                since = one if since + 0.75 * self.nominal <= one < pts else since
        return since

    def end(self, pts: int) -> None:
        """Take the time at which the frames should have gone on to, a frame or the end."""
        self.add(pts)
        self.frames -= 1

    @property
    def step(self) -> int:
        """The usual step in ticks; 0 where nothing tells."""
        if self._follows_header or sum(self._steps.values()) < _FEW:
            return self.nominal
        half, seen = sum(self._steps.values()) / 2, 0
        for step, count in sorted(self._steps.items()):
            seen += count
            if seen >= half:
                return step
        return 0

    @property
    def is_steady(self) -> bool:
        """Whether frames come at a constant rate, gaps aside."""
        step, total = self.step, sum(self._steps.values())
        if self._follows_header or total < _FEW:
            return step > 0
        slack = max(1, step // 20)
        same = sum(n for one, n in self._steps.items() if abs(one - step) <= slack)
        return same >= _STEADY * total

    def missing(self) -> tuple[int, int | None]:
        """Frames that gaps have room for, and where the first gap begins."""
        step = self.step
        if not self.is_steady or not step:
            return 0, None
        gaps = {one: n for one, n in self._steps.items() if one > 1.5 * step}
        count = sum((round(Fraction(one, step)) - 1) * n for one, n in gaps.items())
        return count, min((self._began[one] for one in gaps), default=None)
