"""Two people look different, and one person alike in another place, size and light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_face import landmarks, moving_face, pan, placed, turn

from vidrestore.stages._appearance import appearance, likeness
from vidrestore.structs import Array, Frame
from vidrestore.video.picture.samples import picture_from_rgb, picture_to_rgb


def seen(frame: Frame, move: Array) -> np.ndarray:
    return appearance(frame, landmarks([move])[0])


def test_a_person_stays_the_same_on_the_move() -> None:
    moves = [*pan(1), placed(380, 260, scale=1.4), *turn(2, 15)]
    vectors = [seen(f, m) for f, m in zip(moving_face(moves), moves, strict=True)]
    assert all(np.linalg.norm(one) == pytest.approx(1, abs=1e-5) for one in vectors)
    assert min(likeness(vectors[0], one) for one in vectors) > 0.9


def test_a_stranger_is_somebody_else() -> None:
    left, right = placed(170, 240, scale=1.2), placed(470, 240, scale=1.2)
    [frame] = moving_face([[left], [right]], strangers=[1])
    assert likeness(seen(frame, left), seen(frame, right)) < 0.2


def test_the_level_of_light_does_not_matter() -> None:
    move = placed(320, 240)
    [frame] = moving_face([move])
    dim = picture_from_rgb((picture_to_rgb(frame.picture) * 0.6).astype(np.uint8))
    assert likeness(seen(frame, move), seen(replace(frame, picture=dim), move)) > 0.9
