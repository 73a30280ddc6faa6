"""Doubling and halving feature maps, and the convolution of a doubled map at a quarter of its cost.

Two ways of resampling occur in the published networks: FIR filtering with [1, 3, 3, 1]
(StyleGAN2, arXiv:1912.04958) and bilinear interpolation (align_corners False). Away from the border
they are one and the same: bilinear doubling is inserting zeros and filtering with [1, 3, 3, 1] / 4.
Filtering commutes with convolution, so

    conv3x3(double(x)) = filter(conv_transpose3x3(x, stride 2))

needs nine multiplications for four outputs where the left side needs thirty-six, and never
builds the doubled input.

At the border the two sides differ, because interpolation repeats the edge and the left side's
convolution sees zeros beyond it. Along one axis, with T doubling by interpolation, Z by zeros and
filter, and x[0] at the edge: (T x)[0] - (Z x)[0] = x[0] / 4 and (T x)[-1] - (Z x)[-1] = -x[0] / 4,
and nothing else. In two dimensions T T - Z Z = (T - Z) T + Z (T - Z): one term for the
rows at top and bottom, one for the columns at left and right. `conv_of_doubled` adds both.

Convention: feature maps are (N, C, H, W); filters are symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import ModelError
from vidrestore.models.layers.fused import (
    Tail,
    double_edges,
    filter_and_finish,
    finish,
    fuses,
    layout_of,
    may_write_in_place,
)

__all__ = [
    "FIR_TAPS",
    "Filter",
    "FilterDoubled",
    "conv_of_doubled",
    "conv_of_doubled_by_kernels",
    "conv_then_filter_doubled",
    "double",
    "edge_kernels",
    "fir_kernel",
    "halve",
    "separated",
    "transposed_kernel",
]

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(taps: Sequence[float] = FIR_TAPS, gain: float = 1.0) -> Tensor:
    """Outer product of four `taps` with themselves, (4, 4) float32 on the CPU, summing to `gain`.

    Raises:
        ValueError: if there are not four; the layers' padding is for these.
    """
    if len(taps) != 4:
        raise ValueError(f"a resampling filter has four taps, not {len(taps)}: {tuple(taps)}")
    row = torch.tensor(taps, dtype=torch.float32, device="cpu")
    kernel = torch.outer(row, row)
    return kernel * (gain / kernel.sum())


def separated(kernel: Tensor) -> Tensor:
    """(4, 4) as the four taps, float32, whose outer product with themselves it is."""
    kernel = kernel.float()
    return kernel.sum(0) * torch.rsqrt(kernel.sum())


class Filter(nn.Module):
    """A fixed filter over every channel alone, after zero padding.

    Args:
        taps: four taps, applied along both axes.
        gain: sum of the kernel; doubling by inserted zeros wants 4.
        padding: zeros added on every side.
        stored: whether the kernel is an entry of the state dict (GPEN's checkpoints have it).
    """

    kernel: Tensor
    taps: Tensor | None
    """What `freeze` keeps: `separated` of the kernel."""

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
        self.register_buffer("taps", None, persistent=False)

    def freeze(self) -> None:
        """Keep what derives from the kernel, for inference.

        Raises:
            ModelError: a stored kernel is no outer product, as those of all known networks are.
        """
        self.taps = taps = separated(self.kernel)
        if not taps.is_meta and not torch.allclose(
            torch.outer(taps, taps), self.kernel.float(), rtol=0, atol=0.02 * float(taps.max()) ** 2
        ):
            raise ModelError("a resampling filter of the network is no outer product of four taps")

    def separate(self) -> Tensor:
        """The four taps of both axes, float32."""
        return separated(self.kernel) if self.taps is None else self.taps

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Filter (N, C, H, W), and add a bias (C,) on the way."""
        if fuses(x):
            return filter_and_finish(x, self.separate(), self.padding, Tail(bias=bias))
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        return F.conv2d(x, kernel, bias, padding=self.padding, groups=channels)


class FilterDoubled(Filter):
    """Double by inserting zeros and filtering with four taps, whose gain should be 4."""

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Double (N, C, H, W), and add a bias (C,) on the way."""
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1, -1)
        return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1, groups=channels)


def halve(x: Tensor) -> Tensor:
    """Bilinear interpolation to half the size: the mean of two by two pixels."""
    return F.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    """Bilinear interpolation to twice the size, align_corners False."""
    if x.device.type == "cpu" and may_write_in_place():
        return _double_along(_double_along(x, 3), 2)
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def conv_of_doubled(
    x: Tensor,
    transposed: Tensor,
    edges: Tensor,
    blur: Filter,
    tail: Tail,
    into: Tensor | None = None,
) -> Tensor:
    """3x3 convolution, zero padded, of the bilinearly doubled input.

    Args:
        x: (N, C, H, W).
        transposed: (C, O, 3, 3), `transposed_kernel` of the kernel.
        edges: (4, 2O, 3, C), `edge_kernels` of the kernel.
        blur: [1, 3, 3, 1] with gain 4 and padding 1.
        tail: what follows.
        into: see `vidrestore.models.layers.fused.finish`.

    Returns:
        (N, O, 2H, 2W), equal to `conv2d(double(x), kernel, padding=1)` and the tail, but for
        rounding.
    """
    if x.shape[2] == x.shape[3] and fuses(x):
        return conv_of_doubled_by_kernels(x, transposed, edges, blur.separate(), tail, into)
    bias = None
    if tail.factors is None and tail.gain == 1:
        bias, tail = tail.bias, tail._replace(bias=None)
    y: Tensor = blur(F.conv_transpose2d(x, transposed, stride=2), bias)
    rows, columns = _ends(x, 2).permute(2, 0, 3, 1), _ends(x, 3).permute(3, 0, 2, 1)
    first, last = _conv_lines(_beyond_ends(_double_lines(rows)), edges[:2])
    y[:, :, :2] += first.permute(0, 3, 2, 1)
    y[:, :, -2:] += last.permute(0, 3, 2, 1)
    first, last = _conv_lines(_double_lines(_beyond_ends(columns))[:, :, 1:-1], edges[2:])
    y[..., :2] += first.permute(0, 3, 1, 2)
    y[..., -2:] += last.permute(0, 3, 1, 2)
    return finish(y, tail, into)


def conv_of_doubled_by_kernels(
    x: Tensor,
    transposed: Tensor,
    edges: Tensor,
    taps: Tensor,
    tail: Tail,
    into: Tensor | None = None,
) -> Tensor:
    """`conv_of_doubled` of squares by four kernels of a GPU; `taps` are those of its filter."""
    n, _, side, _ = x.shape
    added = double_edges(x) @ edges.flatten(2).transpose(1, 2)
    y = F.conv_transpose2d(x, transposed, stride=2)
    added = added.view(4, n, 2 * side, 2, -1)
    return filter_and_finish(y, taps, 1, tail, added, into)


def conv_then_filter_doubled(
    x: Tensor, transposed: Tensor, blur: Filter, tail: Tail, into: Tensor | None = None
) -> Tensor:
    """Transposed 3x3 convolution of stride 2, then the filter: FIR up-convolution.

    Args:
        x: (N, C, H, W).
        transposed: (C, O, 3, 3), applied as `torch.nn.functional.conv_transpose2d` does.
        blur: four taps with gain 4 and padding 1.
        tail: what follows.
        into: see `vidrestore.models.layers.fused.finish`.

    Returns:
        (N, O, 2H, 2W).
    """
    y = F.conv_transpose2d(x, transposed, stride=2)
    if fuses(x):
        return filter_and_finish(y, blur.separate(), blur.padding, tail, into=into)
    return finish(blur(y), tail, into)


def transposed_kernel(kernel: Tensor) -> Tensor:
    """(O, C, 3, 3) of a convolution as (C, O, 3, 3) of the equal transposed convolution."""
    return kernel.flip(2, 3).transpose(0, 1)


def edge_kernels(kernel: Tensor) -> Tensor:
    """What `conv_of_doubled` adds along the border.

    Args:
        kernel: (O, C, 3, 3).

    Returns:
        (4, 2O, 3, C) for top, bottom, left and right: the kernels that take the doubled edge to the
        two outermost lines of the output, in the order in which they lie.
    """
    top, row, bottom = (kernel / 4).unbind(2)
    left, column, right = (kernel / 4).unbind(3)
    pairs = (
        (row - top, top),
        (bottom, row - bottom),
        (column - left, left),
        (right, column - right),
    )
    return torch.stack([torch.cat(pair).transpose(1, 2) for pair in pairs])


def _ends(x: Tensor, dim: int) -> Tensor:
    """The first and the last line along `dim`."""
    if x.shape[dim] > 1:
        return x[:, :, :: x.shape[2] - 1] if dim == 2 else x[..., :: x.shape[3] - 1]
    return torch.cat((x, x), dim)


def _double_lines(lines: Tensor) -> Tensor:
    """Linear interpolation of (E, N, L, C) to (E, N, 2L, C); the ends repeat."""
    before = torch.cat((lines[:, :, :1], lines[:, :, :-1]), 2)
    after = torch.cat((lines[:, :, 1:], lines[:, :, -1:]), 2)
    return torch.stack((lines.lerp(before, 0.25), lines.lerp(after, 0.25)), 3).flatten(2, 3)


def _beyond_ends(lines: Tensor) -> Tensor:
    """Zeros before and after (E, N, L, C)."""
    return F.pad(lines, (0, 0, 1, 1))


def _conv_lines(lines: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Convolve two edges (2, N, L + 2, C) with (2, 2O, 3, C) to two of (N, L, 2, O)."""
    n, length = lines.shape[1], lines.shape[2] - 2
    windows = torch.stack((lines[:, :, :-2], lines[:, :, 1:-1], lines[:, :, 2:]), 3)
    made = windows.reshape(2, n * length, -1) @ kernels.flatten(2).transpose(1, 2)
    first, last = made.view(2, n, length, 2, -1)
    return first, last


def _double_along(x: Tensor, dim: int) -> Tensor:
    """Linear interpolation of (N, C, H, W) to twice the length along `dim`; the edge repeats.

    Several times faster than `F.interpolate` on CPUs, but `out=` has no gradient.
    """
    n, shape = x.shape[dim], list(x.shape)
    shape[dim] = 2 * n
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout_of(x))
    even, odd = torch.unflatten(y, dim, (n, 2)).unbind(dim + 1)
    even.narrow(dim, 0, 1).copy_(x.narrow(dim, 0, 1))
    odd.narrow(dim, n - 1, 1).copy_(x.narrow(dim, n - 1, 1))
    left, right = x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1)
    torch.lerp(right, left, 0.25, out=even.narrow(dim, 1, n - 1))
    torch.lerp(left, right, 0.25, out=odd.narrow(dim, 0, n - 1))
    return y
