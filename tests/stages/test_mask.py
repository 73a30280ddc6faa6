"""The mask is soft everywhere and holds the face."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.stages._mask import border_fade, crop_mask, smoother_step, support

TEMPLATE_512 = [(193.0, 239.9), (318.9, 240.2), (256.6, 314.0), (201.3, 371.4), (313.1, 371.2)]
"""FFHQ's eyes, nose tip and mouth corners, as the public networks were trained on."""


@pytest.mark.parametrize("size", [64, 256, 512, 1024])
@pytest.mark.parametrize("feather", [0.02, 0.12, 0.3])
def test_mask_is_nothing_near_the_border_and_all_over_the_features(
    size: int, feather: float
) -> None:
    mask = crop_mask(size, feather)
    assert mask.shape == (size, size) and mask.min() >= 0 and mask.max() <= 1
    ring = torch.ones(size, size, dtype=torch.bool)
    ring[size // 64 : -(size // 64), size // 64 : -(size // 64)] = False
    assert (mask[ring] == 0).all()
    for x, y in TEMPLATE_512 if feather < 0.2 else TEMPLATE_512[2:3]:
        assert mask[round(y * size / 512), round(x * size / 512)] == 1


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize("feather", [0.05, 0.12, 0.4])
def test_mask_never_steps(size: int, feather: float) -> None:
    mask = crop_mask(size, feather)
    # The quintic rises by 15/8 of its width at most; the diagonal step is the longest.
    steepest = 15 / 8 / (feather * size)
    for axis in (0, 1):
        assert mask.diff(dim=axis).abs().max() <= steepest * 1.001
    # No visible line where it begins or ends: the slope bends by 10 / sqrt(3) of the width squared.
    bend = 5.774 / (feather * size) ** 2 + steepest / (0.3 * size)
    for axis in (0, 1):
        assert mask.diff(n=2, dim=axis).abs().max() <= bend * 1.01


@pytest.mark.parametrize("size", [64, 512])
def test_nothing_lies_outside_the_support(size: int) -> None:
    x0, y0, x1, y1 = support(size)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    outside = (x < x0) | (x > x1) | (y < y0) | (y > y1)
    assert (crop_mask(size, 0.02)[outside] == 0).all()
    assert 0 < x0 < x1 < size - 1 and 0 < y0 < y1 < size - 1


def test_mask_is_symmetric() -> None:
    mask = crop_mask(512, 0.12)
    torch.testing.assert_close(mask, mask.flip(1))


@given(st.integers(1, 60), st.integers(0, 40), st.floats(0, 30), st.floats(0, 30))
def test_fades_fall_to_the_picture_s_ends_alone(
    length: int, start: int, low: float, high: float
) -> None:
    full = 100
    weights = border_fade(length, start, full, low, high)
    at = torch.arange(start, start + length)
    assert weights.shape == (length,) and weights.min() >= 0 and weights.max() <= 1
    assert (weights[(at + 0.5 >= low) & (full - at - 0.5 >= high)] == 1).all()
    middle = weights[(at + 0.5 >= low)]
    assert (middle.diff() <= 0).all(), "beyond the fade at the beginning it only falls"


def test_no_fade_without_width() -> None:
    assert (border_fade(10, 0, 10, 0, -3) == 1).all()


def test_smoother_step_has_flat_ends() -> None:
    values = torch.linspace(-0.5, 1.5, 2001, dtype=torch.float64)
    step = smoother_step(values)
    assert step[0] == 0 and step[-1] == 1 and (step.diff() >= 0).all()
    slope = step.diff() / 0.001
    for end in (500, 1500):
        assert slope[end] < 1e-4
    torch.testing.assert_close(step + step.flip(0), torch.ones_like(step))
