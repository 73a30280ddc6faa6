"""What goes through JSON comes back bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidrestore.plain import (
    array_from_plain,
    array_to_plain,
    face_from_plain,
    face_to_plain,
    noise_from_plain,
    noise_to_plain,
)
from vidrestore.structs import ComponentNoise, Face, NoiseModel

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i8"])
@pytest.mark.parametrize("shape", [(), (0, 2), (3, 4)])
def test_arrays(kind: str, shape: tuple[int, ...]) -> None:
    array = (1e3 * RNG.standard_normal(shape)).astype(kind)
    back = array_from_plain(json.loads(json.dumps(array_to_plain(array))))
    assert (back.shape, back.dtype) == (shape, np.dtype(kind).newbyteorder("="))
    np.testing.assert_array_equal(back, array)


def test_other_types_and_sizes_are_refused() -> None:
    plain = array_to_plain(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="numbers of type '<U3'"):
        array_from_plain(plain | {"type": "<U3"})
    with pytest.raises(ValueError, match="reshape"):
        array_from_plain(plain | {"shape": [2, 4]})


@pytest.mark.parametrize("moved", [False, True])
def test_faces(moved: bool) -> None:
    motion = RNG.random((2, 3)) if moved else None
    face = Face(RNG.random(4), RNG.random((5, 2)), 0.75, 3, not moved, motion)
    back = face_from_plain(json.loads(json.dumps(face_to_plain(face))))
    assert (back.score, back.track_id, back.detected) == (0.75, 3, not moved)
    np.testing.assert_array_equal(back.box_xyxy, face.box_xyxy)
    np.testing.assert_array_equal(back.landmarks, face.landmarks)
    assert (back.motion is not None) == moved
    if back.motion is not None:
        np.testing.assert_array_equal(back.motion, face.motion)


def test_noise() -> None:
    parts = [ComponentNoise(RNG.random(4), RNG.random(4), RNG.random((3, 3))) for _ in range(3)]
    noise = NoiseModel(tuple(parts), 0.25, 0.125)
    back = noise_from_plain(json.loads(json.dumps(noise_to_plain(noise))))
    assert back is not None and (back.detail, back.unrest) == (0.25, 0.125)
    for one, other in zip(back.components, parts, strict=True):
        for name in ("brightness", "sigma", "correlation"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert noise_from_plain(noise_to_plain(None)) is None
