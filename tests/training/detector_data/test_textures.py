"""What made-up scenes are filled with: of the size asked for, and by a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portrait_bank import portrait_bank

from vidrestore.training.detector_data import textures

FACE = np.asarray(portrait_bank().pictures[0])

DRAWN: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "blob": textures.draw_blob_mask,
    "oval": lambda rng, px: textures.draw_oval_mask(px),
    "noise": textures.draw_noise,
    "trinket": textures.draw_trinket,
    "skin": lambda rng, px: textures.draw_skin(rng, FACE, px),
    "fist": lambda rng, px: textures.draw_fist(rng, FACE, px),
    "shuffled": lambda rng, px: textures.shuffle_face(rng, FACE, px),
    "cut": lambda rng, px: textures.crop_and_resize(rng, FACE, px),
}


@pytest.mark.parametrize("name", DRAWN)
@given(seed=st.integers(0, 2**32 - 1), px=st.integers(8, 90))
@settings(max_examples=10, deadline=None)
def test_patches_are_of_the_size_asked_for_and_follow_from_the_seed(
    name: str, seed: int, px: int
) -> None:
    one, two = (DRAWN[name](np.random.default_rng(seed), px) for _ in range(2))
    assert one.shape[:2] == (px, px) and one.dtype == np.uint8
    assert np.array_equal(one, two)


def test_masks_are_soft_and_fade_towards_the_corners() -> None:
    oval = textures.draw_oval_mask(60)
    assert oval[30, 30] == 255 and oval[0, 0] == 0
    assert ((oval > 0) & (oval < 255)).any()
    corners = [
        textures.draw_blob_mask(np.random.default_rng(seed), 60)[[0, 0, -1, -1], [0, -1, 0, -1]]
        for seed in range(30)
    ]
    assert np.mean(corners) < 20


def test_toning_keeps_what_is_brighter_brighter() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    for seed in range(20):
        toned = textures.retone(np.random.default_rng(seed), ramp, 0.4)
        assert (np.diff(toned.astype(int), axis=1) >= 0).all()
