"""The chart of a video's people over time, as coordinates of an SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vidrestore.visual.palette import get_colour

if TYPE_CHECKING:
    from vidrestore.jobs.samples import FaceSamples

__all__ = ["draw_tracks"]

_WIDTH, _HEIGHT = 960, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 950, 16, 214
_GAP_S = 1.0
"""A line is broken where a person is away for longer, or for a twentieth of the video."""
_MOST_MARKS = 400


def draw_tracks(samples: FaceSamples, repaired_s: Sequence[float]) -> dict[str, Any] | None:
    """Lines, ticks and marks; None where no face was restored.

    Args:
        samples: what a run showed.
        repaired_s: times of repaired frames.
    """
    if not samples.curves:
        return None
    length = max(samples.length_s, 1e-3)
    highest = max(side for curve in samples.curves.values() for _, side in curve.points) or 1.0

    def x_of(time_s: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * min(time_s / length, 1.0), 1)

    def y_of(side: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * side / (1.1 * highest), 1)

    lines = []
    for track, curve in sorted(samples.curves.items()):
        for part in _parts(curve.points, max(_GAP_S, length / 20)):
            places = [(x_of(time_s), y_of(side)) for time_s, side in part]
            lines.append(
                {
                    "points": " ".join(f"{x},{y}" for x, y in places),
                    "colour": get_colour(track),
                    "track": track,
                    "x": places[0][0] + 3,
                    "y": places[0][1] - 4,
                }
            )
    return {
        "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT, "top": _TOP,
        "bottom": _BOTTOM, "lines": lines,
        "ticks": [{"x": x_of(value), "text": f"{value:g}"} for value in _ticks(length, 10)],
        "sides": [{"y": y_of(value), "text": f"{value:g}"} for value in _ticks(highest, 4)],
        "cuts": [x_of(time_s) for time_s in samples.cuts_s[:_MOST_MARKS]],
        "repairs": [x_of(time_s) for time_s in repaired_s[:_MOST_MARKS]],
    }  # fmt: skip


def _parts(
    points: Sequence[tuple[float, float]], gap_s: float
) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for point in points:
        if part and point[0] - part[-1][0] > gap_s:
            yield part
            part = []
        part.append(point)
    yield part


def _ticks(last: float, about: int) -> list[float]:
    """Round numbers from 0 to `last`, about so many."""
    rough = last / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(number * step, 9) for number in range(int(last / step) + 1)]
