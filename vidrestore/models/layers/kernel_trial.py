"""Whether the kernels of `vidrestore.models.layers.fused` work on a GPU: asked once, by a trial.

Triton, which compiles them, is not in every build of torch, needs a C compiler, and knows some GPUs
only. Where it fails, torch's own operations compute the same, and a warning says so.
"""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.layers.fused import Tail, finish_by_torch
from vidrestore.models.layers.resample import (
    conv_of_doubled_by_kernels,
    edge_kernels,
    fir_kernel,
    separated,
    transposed_kernel,
)

__all__ = ["kernels_work", "try_kernels"]

logger = logging.getLogger(__name__)

_MOST_APART = 0.02
"""Of numbers around 1, where sums may be in TF32."""


@cache
def kernels_work(device: torch.device) -> bool:
    """Whether the kernels compile for a GPU and give what torch gives."""
    try:
        found, wanted = try_kernels(device)
        apart = float((found - wanted).abs().max())
        if not apart <= _MOST_APART:
            raise ArithmeticError(f"results are {apart:.3g} apart")
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # Whatever a compiler or a driver raises.
        words = str(error).strip().splitlines() or [type(error).__name__]
        logger.warning(
            "%s: what follows convolutions takes several operations each, which is slower: Triton "
            "does not work here (%s); it needs a C compiler",
            device,
            words[0][:160],
        )
        return False
    return True


def try_kernels(device: torch.device | str) -> tuple[Tensor, Tensor]:
    """The same small map by all kernels, and by torch."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    n, channels, side = 2, 12, 5
    x, kernel = drawn(n, channels, side, side), drawn(channels, channels, 3, 3) / 10
    around = (n, channels // 2, 2 * side, 2 * side)
    tail = Tail(
        factors=drawn(n, channels),
        noise=drawn(n, 1, 2 * side, 2 * side),
        strength=drawn(1),
        bias=drawn(channels),
        scale=drawn(*around),
        shift=drawn(*around),
        after=drawn(n, channels),
        gain=1.5,
        slope=0.2,
    )
    taps = separated(fir_kernel(gain=4.0)).to(device)
    with torch.inference_mode():
        x = x.contiguous(memory_format=torch.channels_last)
        found = conv_of_doubled_by_kernels(
            x, transposed_kernel(kernel), edge_kernels(kernel), taps, tail
        )
        doubled = F.interpolate(x, scale_factor=2, mode="bilinear")
        wanted = finish_by_torch(F.conv2d(doubled, kernel, padding=1), tail)
    assert tail.after is not None
    return found, wanted * tail.after[:, :, None, None]
