"""Picture metrics against scikit-image and arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import laplace
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidrestore.luma import tensor_luma
from vidrestore.metrics import images as metrics
from vidrestore.metrics.identity import identity_angle


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two smooth random pictures and noisy versions of them."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, 3, 8, 9, generator=generator)
    truth = torch.nn.functional.interpolate(coarse, size=(64, 72), mode="bicubic").clamp(0, 1)
    return (truth + 0.05 * torch.randn(truth.shape, generator=generator)).clamp(0, 1), truth


def gray(images: torch.Tensor) -> np.ndarray:
    return tensor_luma(images)[:, 0].numpy().astype(np.float64)


def test_psnr_is_that_of_scikit_image(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    ours = metrics.psnr(*pair)
    for value, image, truth in zip(ours, *map(gray, pair), strict=True):
        assert value == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=1), abs=1e-5)


def test_ssim_is_that_of_scikit_image(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    options = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5}
    for value, image, truth in zip(metrics.ssim(*pair), *map(gray, pair), strict=True):
        theirs = structural_similarity(image, truth, use_sample_covariance=False, **options)
        assert value == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ssim_of_a_single_window_is_the_formula(dtype: torch.dtype) -> None:
    """Eleven pixels hold one window: every mean is a sum under one Gaussian, C1 and C2 are for a
    range of 1."""
    generator = torch.Generator().manual_seed(5)
    pair = torch.rand(2, 1, 3, 11, 11, generator=generator, dtype=dtype)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    x, y = (gray(images)[0] for images in pair)
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    spread_x, spread_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
    both = (window * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    expected *= (2 * both + c2) / (spread_x + spread_y + c2)
    assert metrics.ssim(*pair).item() == pytest.approx(expected, abs=1e-5)


def test_psnr_is_each_picture_s_own(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, truth = pair
    mixed = torch.stack([truth[0], images[1]])
    first, second = metrics.psnr(mixed, truth).tolist()
    assert first == math.inf and second == metrics.psnr(images, truth)[1].item()


@pytest.mark.parametrize("size", [(10, 64), (64, 4)])
def test_ssim_of_a_picture_below_its_window_is_refused(size: tuple[int, int]) -> None:
    image = torch.zeros(1, 3, *size)
    with pytest.raises(ValueError, match=f"needs 11 pixels a side, got {size[1]}x{size[0]}"):
        metrics.ssim(image, image)


def test_equal_pictures(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, truth = pair
    assert metrics.psnr(truth, truth).tolist() == [math.inf, math.inf]
    assert metrics.ssim(truth, truth).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_sharpness_of_a_step() -> None:
    image = torch.zeros(1, 3, 10, 10)
    image[..., 5:] = 1  # |Laplacian| is 1 on both sides of the edge, 0 elsewhere.
    assert metrics.sharpness(image).item() == pytest.approx(2 / 8, abs=1e-6)


def test_torchmetrics_agrees(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    x, y = map(tensor_luma, pair)
    theirs = functional.peak_signal_noise_ratio(
        x, y, data_range=1.0, dim=(1, 2, 3), reduction="none"
    )
    assert metrics.psnr(*pair).tolist() == pytest.approx(theirs.tolist(), abs=1e-4)
    _, map_of_all = functional.structural_similarity_index_measure(
        x, y, data_range=1.0, sigma=1.5, return_full_image=True
    )
    inner = map_of_all[..., 5:-5, 5:-5]  # Theirs counts windows beyond the border, mirrored.
    assert metrics.ssim(*pair).tolist() == pytest.approx(inner.mean((1, 2, 3)).tolist(), abs=2e-4)


def test_sharpness_is_the_mean_of_scipys_laplacian(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    for images in pair:
        theirs = [np.abs(laplace(image)[1:-1, 1:-1]).mean() for image in gray(images)]
        assert metrics.sharpness(images).tolist() == pytest.approx(theirs, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_laws(seed: int) -> None:
    """Both are symmetric, fall under growing noise, and do not care for mirroring."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 6, generator=generator), size=(36, 36), mode="bilinear"
    )
    noise = torch.randn(truth.shape, generator=generator)
    noisy = [truth + amount * noise for amount in (0.01, 0.05, 0.2)]
    for metric in (metrics.psnr, metrics.ssim):
        values = [metric(image, truth).item() for image in noisy]
        assert values == sorted(values, reverse=True)
        assert metric(truth, noisy[1]).item() == pytest.approx(values[1], rel=1e-5)
        assert metric(noisy[1].flip(3), truth.flip(3)).item() == pytest.approx(values[1], rel=1e-4)
    edges = [metrics.sharpness(image).item() for image in (truth, *noisy)]
    assert edges == sorted(edges)
    assert metrics.sharpness(truth + 0.1).item() == pytest.approx(edges[0], rel=1e-3)


@given(st.floats(0, 180))
def test_identity_angle(degrees: float) -> None:
    cosine = torch.tensor([math.cos(math.radians(degrees))], dtype=torch.float64)
    assert identity_angle(cosine).item() == pytest.approx(degrees, abs=1e-5)
    assert identity_angle(torch.tensor([1.0000001, -1.0000001])).tolist() == [0, 180]
