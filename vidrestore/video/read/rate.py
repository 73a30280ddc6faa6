"""The frame rate as packets have it, where a header tells a default or a placeholder.

FFmpeg calls raw DV 60000 frames a second, FLV and Matroska without a default duration 1000, and raw
streams 25, whatever they say of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

__all__ = ["believed_rate", "rate_of_steps"]

_COMMON = (
    *(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)),
    *(Fraction(n) for n in (10, 12, 15, 16, 18, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)),
    Fraction(25, 2),
)
"""Frames per second of cameras and broadcasts."""

_UNLIKE = Fraction(3, 2)
"""How many times the packets' rate the header's must be not to be believed."""

_ROUNDING = Fraction(1, 50)
"""By so much FFmpeg's mean of a few steps in milliseconds is off: 1000/33 for 30."""

_LEAST_STEPS = 3


def believed_rate(
    told: Fraction | None,
    time_base: Fraction,
    times: Iterable[int | None],
    durations: Iterable[int | None],
) -> Fraction | None:
    """The header's rate, or that of the packets where it is far from them.

    Args:
        told: by the header, in frames per second.
        time_base: of the packets' times.
        times: presentation times of the first packets, in any order.
        durations: of the same packets.
    """
    shown = sorted({time for time in times if time is not None})
    steps = [after - before for before, after in pairwise(shown)]
    if len(steps) < _LEAST_STEPS:
        steps = [] if shown else [one for one in durations if one]
    if len(steps) < _LEAST_STEPS:
        return told
    seen = rate_of_steps(steps, time_base)
    if not shown:  # no times at all: the stream's own headers give the durations
        return seen
    if not told or told / seen > _UNLIKE:  # a header that says too little promises too little
        is_met = told and abs(min(steps) * time_base - 1 / told) <= time_base
        return told if is_met else seen  # where one step meets the header, longer ones are gaps
    is_rounded = told not in _COMMON and seen in _COMMON and abs(told / seen - 1) < _ROUNDING
    return seen if is_rounded else told


def rate_of_steps(steps: Sequence[int], time_base: Fraction) -> Fraction:
    """Frames per second of steps in ticks; a common rate where rounding to ticks explains it."""
    usual = median_low(steps)
    regular = [one for one in steps if abs(one - usual) <= max(1, usual / 20)]
    mean_s = Fraction(sum(regular), len(regular)) * time_base
    slack_s = Fraction(1, len(regular)) * time_base  # each end is off by half a tick
    fitting = [rate for rate in _COMMON if abs(1 / rate - mean_s) <= slack_s]
    if fitting:
        return min(fitting, key=lambda rate: abs(1 / rate - mean_s))
    return (1 / mean_s).limit_denominator(1001)
