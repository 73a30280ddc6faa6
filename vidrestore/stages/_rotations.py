"""Which rotated copies of a frame the detector is shown, and which lying heads count.

Heads that lean far to the side are looked for in copies rotated by 45 degrees: in the first look of
a shot and every fifth one from there, and in every look as long as there are some. Where a shot has
shown no sure upright face, heads that lie or are upside down are looked for too, in copies rotated
by 90, 180 and 270 degrees: in the looks of `_LYING_LOOKS`, a few of a shot's first ones. Those
found are followed as long as some look of the last five saw one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vidrestore.landmarks import roll_degrees
from vidrestore.models.detectors.rotated import (
    LEAST_ROLL_DEGREES,
    LYING_ROTATIONS_DEGREES,
    ROTATIONS_DEGREES,
)
from vidrestore.models.detectors.suppression import GREATEST_ROLL_DEGREES
from vidrestore.structs import Array, Detections, Face

__all__ = ["SURE_OF_LYING", "Rotations"]

_ROTATED_LOOKS = 5
"""One look in so many is at rotated copies too."""
_LYING_LOOKS = (0, 5, 25, 125)
"""Looks of a shot, counted from 0, that may be at copies for lying heads."""
_SURE_OF_UPRIGHT = 0.85
"""Least score of an upright face that rules out a picture on its side. Faces upside down are taken
for upright ones with up to 0.8."""
SURE_OF_LYING = 0.8
"""Least score of a lying face that nobody has seen before. Those that are one, turned by the
detector's own measure, have 0.86 and more where the upright face has."""


class Rotations:
    """By how much the frames of one shot are rotated in the next look."""

    def __init__(self) -> None:
        self._looks = 0
        self._leaning: tuple[float, ...] = ()
        """The rotations that set leaning heads of the last look upright."""
        self._lying: dict[float, int] = {}
        """The rotations that set lying heads upright, and how many looks ago they last did."""
        self._is_upright = False
        """Whether the shot has shown a sure upright face."""

    def for_look(self) -> Sequence[float]:
        """Degrees, counter-clockwise, of the copies for the next regular look."""
        known = self._leaning if self._looks % _ROTATED_LOOKS else ROTATIONS_DEGREES
        return (*known, *self._lying)

    def known(self) -> Sequence[float]:
        """Degrees of the copies that show the heads known, for a look in between."""
        return (*self._leaning, *self._lying)

    @property
    def max_roll_degrees(self) -> float:
        """Heads that lean further are not answered in the next look."""
        return math.inf if self._lying else GREATEST_ROLL_DEGREES

    def for_lying(self, found: Detections) -> Sequence[float]:
        """Degrees of further copies for this regular look, after what it found so far."""
        if (found.scores >= _SURE_OF_UPRIGHT).any() and not self._lying:
            self._is_upright = True
        if self._is_upright or self._lying or self._looks not in _LYING_LOOKS:
            return ()
        return LYING_ROTATIONS_DEGREES

    def remember(self, faces: Sequence[Face], *, regular: bool) -> None:
        """Take what a look found; only regular ones count."""
        rolls = roll_degrees(np.array([face.landmarks for face in faces]).reshape(-1, 5, 2))
        self._leaning = tuple(
            turn
            for turn in ROTATIONS_DEGREES
            if (rolls * np.sign(turn) >= LEAST_ROLL_DEGREES).any()
        )
        self._looks += regular
        ages = {turn: age + regular for turn, age in self._lying.items() if age < _ROTATED_LOOKS}
        self._lying = ages | dict.fromkeys(_uprighting(rolls), 0)

    def state(self) -> dict[str, Any]:
        """Give what is remembered, as plain values."""
        return {
            "looks": self._looks,
            "leaning": list(self._leaning),
            "lying": list(self._lying.items()),
            "is_upright": self._is_upright,
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._looks, self._is_upright = state["looks"], state["is_upright"]
        self._leaning, self._lying = tuple(state["leaning"]), dict(state["lying"])


def _uprighting(rolls: Array) -> list[float]:
    """The rotation that sets each lying head upright."""
    lying = rolls[np.abs(rolls) >= GREATEST_ROLL_DEGREES]
    turns = np.array(LYING_ROTATIONS_DEGREES)
    apart = np.abs((lying[:, None] - turns + 180) % 360 - 180)
    return [LYING_ROTATIONS_DEGREES[place] for place in sorted(set(apart.argmin(1).tolist()))]
