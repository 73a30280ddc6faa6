"""The sliced Wasserstein distance against scipy's, direction by direction, and its laws."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from vidrestore.metrics.sliced import sliced_wasserstein


def pictures(seed: int, count: int = 2, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    fine = torch.rand(count, 3, size, size, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") + 0.1 * fine


def levels(batch: torch.Tensor) -> list[np.ndarray]:
    """Detail at 32 px, and the picture at 16 px, by OpenCV; (N, S, S, 3)."""
    whole = batch.permute(0, 2, 3, 1).numpy()
    half = np.stack([cv2.resize(one, (16, 16), interpolation=cv2.INTER_AREA) for one in whole])
    back = np.stack([cv2.resize(one, (32, 32), interpolation=cv2.INTER_LINEAR) for one in half])
    return [whole - back, half]


def patches(level: np.ndarray, places: np.ndarray) -> np.ndarray:
    cut = np.concatenate([level[:, y : y + 7, x : x + 7] for y, x in places])
    cut = (cut - cut.mean((0, 1, 2))) / cut.std((0, 1, 2), ddof=1)
    return cut.transpose(0, 3, 1, 2).reshape(len(cut), -1)


def test_it_is_the_mean_of_scipys_distances() -> None:
    own, wanted, rng, distances = pictures(1), pictures(2), np.random.default_rng(5), []
    for mine, theirs in zip(levels(own), levels(wanted), strict=True):
        directions = rng.standard_normal((147, 128)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        places = rng.integers(0, mine.shape[1] - 7, (128, 2), endpoint=True)
        projected = [patches(level, places) @ directions for level in (mine, theirs)]
        distances += [
            wasserstein_distance(a, b) for a, b in zip(*(p.T for p in projected), strict=True)
        ]
    found = sliced_wasserstein(own, wanted, seed=5)
    assert found == pytest.approx(1000 * float(np.mean(distances)), rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_laws(seed: int) -> None:
    """Nothing from itself, the same both ways, blind to brightness and contrast, and greater for
    pictures whose detail is gone."""
    own, wanted = pictures(seed), pictures(seed + 1)
    assert sliced_wasserstein(own, own) == 0
    there = sliced_wasserstein(own, wanted)
    assert sliced_wasserstein(wanted, own) == pytest.approx(there, rel=1e-5)
    assert sliced_wasserstein(0.5 * own + 0.2, wanted) == pytest.approx(there, rel=1e-2)
    soft = torch.nn.functional.avg_pool2d(own, 3, 1, 1)
    assert sliced_wasserstein(soft, wanted) > there
