"""Likeness and sharpness of pictures, on luma.

Pictures are (N, 3, H, W) RGB tensors in [0, 1]; every function gives (N,) values, one a picture.

PSNR and SSIM are kornia's, which is imported when the first of them is called: it takes half a
second, and restoring a video needs neither. torchmetrics' SSIM also counts windows mirrored beyond
the border; inside it the two agree.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.luma import tensor_luma

_SSIM_WINDOW_PX = 11


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of luma in dB, ``-10 log10(mean squared error)``; infinite for
    equal pictures.
    """
    from kornia.metrics import psnr as psnr_of_all

    # One picture a call: of a batch, kornia takes the mean of all squared errors.
    pairs = zip(tensor_luma(images), tensor_luma(truth), strict=True)
    return torch.stack([psnr_of_all(x, y, max_val=1.0) for x, y in pairs])


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of luma (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5, population variances.

    Only windows that lie wholly inside the picture count.

    Raises:
        ValueError: if pictures are smaller than a window.
    """
    from kornia.metrics import ssim as ssim_map

    height, width = images.shape[-2:]
    if min(height, width) < _SSIM_WINDOW_PX:
        raise ValueError(f"SSIM needs {_SSIM_WINDOW_PX} pixels a side, got {width}x{height}")
    values = ssim_map(
        tensor_luma(images),
        tensor_luma(truth),
        _SSIM_WINDOW_PX,
        max_val=1.0,
        eps=0.0,
        padding="valid",
    )
    return values.mean(dim=(1, 2, 3))


def sharpness(images: Tensor) -> Tensor:
    """Mean absolute four-neighbour Laplacian of luma; the ratio to the truth's is 1 for a picture
    as sharp.
    """
    y = tensor_luma(images)
    kernel = y.new_tensor(((0, 1, 0), (1, -4, 1), (0, 1, 0))).view(1, 1, 3, 3)
    return F.conv2d(y, kernel).abs().mean(dim=(1, 2, 3))
