"""Whatever is done to a scene, it stays a picture of its size; the seed decides what is done."""

from __future__ import annotations

import numpy as np
import pytest

from vidrestore.training.detector_data import augment
from vidrestore.training.detector_data.augment import augment_image

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
STEPS = ["_light", "_darken", "_make_gray", "_blur", "_rescale", "_vignette", "_add_noise"]
STEPS += ["_scratch", "_compress"]


@pytest.mark.parametrize("name", STEPS)
def test_every_step_changes_the_picture_and_not_its_size(name: str) -> None:
    kept = PICTURE.copy()
    for seed in range(6):
        done = getattr(augment, name)(np.random.default_rng(seed), PICTURE)
        assert (done.shape, done.dtype) == (PICTURE.shape, np.uint8)
        assert np.array_equal(PICTURE, kept)
        assert not np.array_equal(done, PICTURE) or name == "_scratch"


def test_the_seed_decides() -> None:
    once, again, other = (augment_image(np.random.default_rng(s), PICTURE) for s in (1, 1, 2))
    assert np.array_equal(once, again) and not np.array_equal(once, other)
    assert np.array_equal(augment_image(np.random.default_rng(1), PICTURE, most=0), PICTURE)
