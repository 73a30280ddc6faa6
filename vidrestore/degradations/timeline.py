"""Random numbers that belong to a frame's number, so that nothing depends on where reading began.

A step that varies over time asks its `Timeline`: for a generator of the frame's own, for values
that drift smoothly from frame to frame, or for a generator of a stretch of time. Every answer
follows from the seed and the number alone; frames may be asked for in any order, in any windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.ramps import smooth_step

__all__ = ["Moment", "Timeline"]

_FRAME, _KNOT, _STRETCH = range(3)
_BEFORE_ZERO = 16
"""Stretches may begin before frame 0; keys of generators are not negative."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The random numbers of one step over a whole video."""

    seed: tuple[int, ...]
    height: int
    """Of the frames as they came in, before any step, in pixels."""
    width: int

    def of_frame(self, index: int) -> np.random.Generator:
        """A frame's own generator, always at its beginning."""
        return np.random.default_rng([*self.seed, _FRAME, index])

    def of_stretch(self, number: int) -> np.random.Generator:
        """A stretch's own generator; numbers from -16 on."""
        return np.random.default_rng([*self.seed, _STRETCH, number + _BEFORE_ZERO])

    def drift(self, index: int, period_frames: float, count: int = 1) -> NDArray[np.float64]:
        """(count,) standard normals that vary smoothly over time.

        Value noise: independent normals a, b at every `period_frames`, between them
        ``(u a + v b) / sqrt(u^2 + v^2)`` with ``u = 1 - v`` and v the `smooth_step`, so that the
        variance is 1 at every time.
        """
        knot, place = divmod(index, max(1.0, period_frames))
        v = smooth_step(place / max(1.0, period_frames), 0, 1)
        before, after = (
            np.random.default_rng([*self.seed, _KNOT, int(knot) + step]).standard_normal(count)
            for step in (0, 1)
        )
        drifted: NDArray[np.float64] = ((1 - v) * before + v * after) / np.hypot(1 - v, v)
        return drifted


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame's place in a timeline."""

    times: Timeline
    index: int

    @property
    def rng(self) -> np.random.Generator:
        """The frame's own generator, always at its beginning."""
        return self.times.of_frame(self.index)

    def drift(self, period_frames: float, count: int = 1) -> NDArray[np.float64]:
        """See `Timeline.drift`."""
        return self.times.drift(self.index, period_frames, count)
