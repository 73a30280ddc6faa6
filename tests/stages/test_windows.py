"""What looks ahead starts anew at every cut, and gives every frame once, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.geometry import identity
from vidrestore.stages._windows import by_shot
from vidrestore.structs import Display, Frame
from vidrestore.video.picture.samples import picture_from_rgb

PICTURE = picture_from_rgb(np.zeros((16, 16, 3), np.uint8))


class Delayed:
    """Hold frames back until some more have come."""

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self.seen: list[int] = []
        self.waiting: deque[Frame] = deque()

    def add(self, frame: Frame) -> Iterator[Frame]:
        self.seen.append(frame.index)
        self.waiting.append(frame)
        if len(self.waiting) > self.reach:
            yield self.waiting.popleft()

    def finish(self) -> Iterator[Frame]:
        while self.waiting:
            yield self.waiting.popleft()


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
def test_frames_pass_through_one_window_a_shot(cuts: list[bool], reach: int) -> None:
    display, shots = Display(16, 16, identity()), list[Delayed]()

    def begin() -> Delayed:
        shots.append(Delayed(reach))
        return shots[-1]

    frames = [
        Frame(i, i, Fraction(1, 25), PICTURE, display, is_cut=i == 0 or cut)
        for i, cut in enumerate(cuts)
    ]
    assert [frame.index for frame in by_shot(frames, begin)] == list(range(len(cuts)))
    seen = [shot.seen for shot in shots if shot.seen]
    assert [index for one in seen for index in one] == list(range(len(cuts)))
    assert [one[0] for one in seen] == [frame.index for frame in frames if frame.is_cut]
