"""OpenCV resamples as torch does, so that which of them does it cannot be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidrestore.geometry import compose_similarity, invert, sampling_axes, warp_affine
from vidrestore.opencv_warp import suits_opencv, warp_by_opencv

SIZE = (70, 90)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("move", [(0.4, 0.3, (5, -9)), (-0.3, -2.5, (40, 60)), (1.5, 1, (1e5, 3))])
def test_the_same_as_torch(mode: str, move: tuple[float, float, tuple[float, float]]) -> None:
    image = torch.rand(2, 3, 61, 47, generator=torch.Generator().manual_seed(1))
    if not suits_opencv(image, SIZE):
        pytest.skip("OpenCV before 5 rounds places; torch resamples beside it")
    in_from_out = invert(compose_similarity(*move))
    x, y = map(torch.from_numpy, sampling_axes(image.shape[2:], in_from_out, SIZE))
    grid = (x[None] + y[:, None])[None].float().expand(2, -1, -1, -1)
    wanted = functional.grid_sample(
        image, grid, mode=mode, padding_mode="border", align_corners=False
    )
    found = warp_by_opencv(image, in_from_out, SIZE, mode)
    assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [torch.float64, "gradient", "meta"])
def test_what_opencv_does_not_know_is_left_to_torch(kind: torch.dtype | str) -> None:
    image = torch.rand(1, 3, 40, 40, device="meta" if kind == "meta" else "cpu")
    if kind == "gradient":
        image.requires_grad_()
    elif kind != "meta":
        image = image.to(kind)
    assert not suits_opencv(image, SIZE)
    warped = warp_affine(image, np.eye(2, 3), SIZE)
    assert warped.dtype == image.dtype and warped.requires_grad == image.requires_grad
