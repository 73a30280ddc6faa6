"""Likeness and sharpness of pictures, on luma.

Pictures are (N, 3, H, W) RGB tensors in [0, 1]; every function gives (N,) values, one a picture.

PSNR and SSIM are not torchmetrics', since trainings validate without that package,
and its SSIM also counts windows mirrored beyond the border; inside it the two agree.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_C1 = 0.01**2
_SSIM_C2 = 0.03**2


def luma(images: Tensor) -> Tensor:
    """ITU-R BT.601 luma, (N, 1, H, W) in [0, 1]."""
    weights = images.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of luma in dB, ``-10 log10(mean squared error)``; infinite for
    equal pictures.
    """
    error = (luma(images) - luma(truth)).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error)


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of luma (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5, population variances.

    Only windows that lie wholly inside the picture count.
    """
    x, y = luma(images), luma(truth)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x.square()
    variance_y = _window_mean(y * y) - mean_y.square()
    covariance = _window_mean(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + _SSIM_C1) / (mean_x.square() + mean_y.square() + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (variance_x + variance_y + _SSIM_C2)
    return (light * structure).mean(dim=(1, 2, 3))


def sharpness(images: Tensor) -> Tensor:
    """Mean absolute four-neighbour Laplacian of luma; the ratio to the truth's is 1 for a picture
    as sharp.
    """
    y = luma(images)
    kernel = y.new_tensor(((0, 1, 0), (1, -4, 1), (0, 1, 0))).view(1, 1, 3, 3)
    return F.conv2d(y, kernel).abs().mean(dim=(1, 2, 3))


def _window_mean(x: Tensor) -> Tensor:
    offsets = torch.arange(_SSIM_WINDOW, device=x.device, dtype=x.dtype) - _SSIM_WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * _SSIM_SIGMA**2))
    line = line / line.sum()
    return F.conv2d(F.conv2d(x, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
