"""Doubling and halving feature maps, and the convolution of a doubled map at a quarter of its cost.

Two ways of resampling occur in the published networks: FIR filtering with [1, 3, 3, 1]
(StyleGAN2, arXiv:1912.04958) and bilinear interpolation (align_corners False). Away from the border
they are one and the same: bilinear doubling is inserting zeros and filtering with [1, 3, 3, 1] / 4.
Filtering commutes with convolution, so

    conv3x3(double(x)) = filter(conv_transpose3x3(x, stride 2))

needs nine multiplications for four outputs where the left side needs thirty-six, and never
builds the doubled input. The two sides differ only in a border of two pixels, which
`conv_of_doubled` computes the plain way.

Convention: feature maps are (N, C, H, W); a kernel of taps is (K, K) and symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "FIR_TAPS",
    "Filter",
    "FilterDoubled",
    "conv_of_doubled",
    "conv_then_filter_doubled",
    "double",
    "fir_kernel",
    "halve",
    "transposed_kernel",
]

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
_SMALL = 16
"""Below this many pixels the plain way is as fast."""


def fir_kernel(taps: Sequence[float] = FIR_TAPS, gain: float = 1.0) -> Tensor:
    """Outer product of `taps` with itself, (K, K) float32 on the CPU, summing to `gain`."""
    row = torch.tensor(taps, dtype=torch.float32, device="cpu")
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


class Filter(nn.Module):
    """A fixed filter over every channel alone, after zero padding.

    Args:
        taps: One-dimensional taps, applied along both axes.
        gain: Sum of the kernel; doubling by inserted zeros wants 4.
        padding: Zeros added on every side.
        stored: Whether the kernel is an entry of the state dict (GPEN's checkpoints have it).
    """

    kernel: Tensor

    def __init__(
        self,
        taps: Sequence[float] = FIR_TAPS,
        *,
        gain: float = 1.0,
        padding: int = 0,
        stored: bool = False,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("kernel", fir_kernel(taps, gain), persistent=stored)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        return F.conv2d(x, kernel, padding=self.padding, groups=channels)


class FilterDoubled(Filter):
    """Doubles by inserting zeros and filtering with four taps, whose gain should be 4."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1, -1)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def halve(x: Tensor) -> Tensor:
    """Bilinear interpolation to half the size: the mean of two by two pixels."""
    return F.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    """Bilinear interpolation to twice the size, align_corners False."""
    if torch.is_grad_enabled():
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return _double_along(_double_along(x, 3), 2)


def conv_of_doubled(x: Tensor, kernel: Tensor, transposed: Tensor, blur: Filter) -> Tensor:
    """3x3 convolution, zero padded, of the bilinearly doubled input.

    Args:
        x: (N, C, H, W).
        kernel: (O, C, 3, 3).
        transposed: (C, O, 3, 3), from `transposed_kernel(kernel)`.
        blur: [1, 3, 3, 1] with gain 4 and padding 1.

    Returns:
        (N, O, 2H, 2W), equal to `conv2d(double(x), kernel, padding=1)` but for rounding.
    """
    if min(x.shape[2:]) < _SMALL:
        return F.conv2d(double(x), kernel, padding=1)
    y = conv_then_filter_doubled(x, transposed, blur)
    y[:, :, :2] = F.conv2d(double(x[:, :, :2]), kernel, padding=1)[:, :, :2]
    y[:, :, -2:] = F.conv2d(double(x[:, :, -2:]), kernel, padding=1)[:, :, -2:]
    y[..., :2] = F.conv2d(double(x[..., :2]), kernel, padding=1)[..., :2]
    y[..., -2:] = F.conv2d(double(x[..., -2:]), kernel, padding=1)[..., -2:]
    return y


def conv_then_filter_doubled(x: Tensor, transposed: Tensor, blur: Filter) -> Tensor:
    """Transposed 3x3 convolution of stride 2, then the filter: FIR up-convolution.

    Args:
        x: (N, C, H, W).
        transposed: (C, O, 3, 3), applied as `torch.nn.functional.conv_transpose2d` does.
        blur: Four taps with gain 4 and padding 1.

    Returns:
        (N, O, 2H, 2W).
    """
    doubled: Tensor = blur(F.conv_transpose2d(x, transposed, stride=2))
    return doubled


def transposed_kernel(kernel: Tensor) -> Tensor:
    """(O, C, 3, 3) of a convolution as (C, O, 3, 3) of the equal transposed convolution."""
    return kernel.flip(2, 3).transpose(0, 1)


def _double_along(x: Tensor, dim: int) -> Tensor:
    """Linear interpolation to twice the length; several times faster than `F.interpolate` on CPUs.

    `out=` has no gradient, so this serves inference alone.
    """
    n, shape = x.shape[dim], list(x.shape)
    shape[dim] = 2 * n
    dense_last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if dense_last else torch.contiguous_format
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    even, odd = y.unflatten(dim, (n, 2)).unbind(dim + 1)
    even.narrow(dim, 0, 1).copy_(x.narrow(dim, 0, 1))
    odd.narrow(dim, n - 1, 1).copy_(x.narrow(dim, n - 1, 1))
    left, right = x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1)
    torch.lerp(right, left, 0.25, out=even.narrow(dim, 1, n - 1))
    torch.lerp(left, right, 0.25, out=odd.narrow(dim, 0, n - 1))
    return y
