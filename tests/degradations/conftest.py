"""Pictures that the degradations are tried on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A smooth coloured picture of 96 x 128 pixels."""
    noise = np.random.default_rng(5).random((96, 128, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.fixture(scope="session")
def gray_clip(picture: np.ndarray) -> np.ndarray:
    """(4, 96, 128, 3): a neutral picture that moves."""
    gray = np.repeat(picture[..., 1:2], 3, axis=2)
    return np.stack([np.roll(gray, 2 * step, axis=1) for step in range(4)])
