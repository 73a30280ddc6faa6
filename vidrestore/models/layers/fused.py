"""What surrounds the convolutions of a generator, in one kernel each on GPUs.

    (LeakyReLU(gain * (y * factors + noise * strength + bias), slope) * scale + shift) * after

is six operations of torch, each of which reads and writes a whole feature map, and the FIR filter
before it is a depthwise convolution. On CUDA, in inference, `finish` and `filter_and_finish` do all
of it at once; `fuses` says whether they do. Everywhere else torch's operations compute the same:
gradients need those, and compilers and exporters fuse them by themselves. The meta device counts
as a GPU, on which kernels are counted.

Convention: feature maps are channels last; others are brought into that order first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "Tail",
    "double_edges",
    "filter_and_finish",
    "finish",
    "finish_by_torch",
    "fuses",
    "layout_of",
    "may_write_in_place",
]

_WIDE, _DEEP, _ROWS = 1024, 64, 8
"""Values of a program's tile, most channels of it, and rows of a strip."""


class Tail(NamedTuple):
    """What follows a convolution; what is None is left out."""

    factors: Tensor | None = None
    """(N, C), multiplied."""
    noise: Tensor | None = None
    """(1 or N, 1, H, W), added."""
    strength: Tensor | None = None
    """(1,), of the noise; where there is none, of the map itself."""
    bias: Tensor | None = None
    """C values, added."""
    scale: Tensor | None = None
    """(N, K, H, W): behind the activation, the last K channels are multiplied by it."""
    shift: Tensor | None = None
    """(N, K, H, W): likewise added."""
    after: Tensor | None = None
    """(N, C), multiplied last; where `fuses` says so."""
    gain: float = 1.0
    slope: float = 1.0
    """Of negative values; 1 for no activation."""


def may_write_in_place() -> bool:
    """Whether results may go into memory that is there: neither gradients nor compilers like it."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def layout_of(x: Tensor) -> torch.memory_format:
    """The memory format of a feature map: channels last, or contiguous."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def fuses(x: Tensor) -> bool:
    """Whether what follows a convolution of `x` is one kernel."""
    return may_write_in_place() and _has_kernels(x.device)


def _has_kernels(device: torch.device) -> bool:
    if device.type != "cuda":
        return device.type == "meta"
    from vidrestore.models.layers.kernel_trial import kernels_work

    return kernels_work(device)


def finish(y: Tensor, tail: Tail, into: Tensor | None = None) -> Tensor:
    """Do what a tail says with (N, C, H, W), which may be overwritten unless there is `into`.

    Args:
        y: the output of a convolution.
        tail: what to do; with `into`, there is a bias, and factors or a strength, and no shift.
        into: channels of a map that is channels last on GPUs, in which the result goes.
    """
    if not fuses(y):
        return finish_by_torch(y, tail, into)
    y = y.contiguous(memory_format=torch.channels_last)
    out = y if into is None else into
    torch.ops.vidrestore.finish(out, y, *_operands(tail))
    return out


def filter_and_finish(
    x: Tensor,
    taps: Tensor,
    padding: int,
    tail: Tail,
    edges: Tensor | None = None,
    into: Tensor | None = None,
) -> Tensor:
    """Filter every channel alone, and do what a tail says, where `fuses` says so.

    Args:
        x: (N, C, H, W).
        taps: four, float32, applied along both axes.
        padding: zeros on every side.
        tail: what to do with the filtered map.
        edges: (4, N, L, 2, C), added to the two outermost lines of the filtered map, which is a
            square of side L: top, bottom, left and right.
        into: where the result goes: channels of a map that is channels last.

    Returns:
        (N, C, H + 2 padding - 3, W + 2 padding - 3).
    """
    x = x.contiguous(memory_format=torch.channels_last)
    if into is None:
        n, channels, height, width = x.shape
        shape = (n, channels, height + 2 * padding - 3, width + 2 * padding - 3)
        into = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    torch.ops.vidrestore.filter_and_finish(into, x, taps, edges, padding, *_operands(tail))
    return into


def double_edges(x: Tensor) -> Tensor:
    """The outermost lines of (N, C, L, L), doubled, in windows of three; where `fuses` says so.

    Returns:
        (4, 2 N L, 3 C) for top, bottom, left and right. Rows are doubled by interpolation and lie
        between zeros; columns are doubled by inserted zeros and filtering.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    made: Tensor = torch.ops.vidrestore.double_edges(x)
    return made


def finish_by_torch(y: Tensor, tail: Tail, into: Tensor | None = None) -> Tensor:
    """`finish` by torch's operations, in few passes over memory; in place where that may be, since
    fresh memory costs more than the arithmetic.
    """
    # A positive gain goes through the activation, to the small tensors.
    factors, strength, bias = (
        one if one is None or tail.gain == 1 else one * tail.gain
        for one in (tail.factors, tail.strength, tail.bias)
    )
    in_place = may_write_in_place()
    bias = None if bias is None else bias.view(1, -1, 1, 1)
    factors = strength if factors is None else factors.to(y.dtype)[:, :, None, None]
    if tail.noise is not None and factors is not None and strength is not None:
        out = y if in_place else None
        y = torch.addcmul(tail.noise * strength, y, factors, out=out)
        if bias is not None:
            y = y.add_(bias) if in_place else y + bias
    elif factors is not None:
        y = y * factors if bias is None else torch.addcmul(bias, y, factors, out=into)
    elif bias is not None:
        y = torch.add(bias, y, alpha=tail.gain)
    elif tail.gain != 1:
        y = y * tail.gain
    if tail.slope != 1:
        y = F.leaky_relu(y, tail.slope, inplace=True)
    return y if tail.shift is None else _steered(y, tail.scale, tail.shift, in_place)


def _steered(y: Tensor, scale: Tensor | None, shift: Tensor, in_place: bool) -> Tensor:
    n_kept = y.shape[1] - shift.shape[1]
    if scale is None:
        assert not n_kept
        return y + shift
    kept, steered = y[:, :n_kept], y[:, n_kept:]
    if not in_place:
        return torch.cat((kept, torch.addcmul(shift, steered, scale)), 1)
    torch.addcmul(shift, steered, scale, out=steered)
    return y


def _operands(tail: Tail) -> tuple[Any, ...]:
    scale, shift = (
        None if one is None else one.contiguous(memory_format=torch.channels_last)
        for one in (tail.scale, tail.shift)
    )
    noise, after = (None if one is None else one.contiguous() for one in (tail.noise, tail.after))
    tensors = (tail.factors, noise, tail.strength, tail.bias, scale, shift, after)
    return (*tensors, tail.gain, tail.slope)


_OPERANDS = (
    "Tensor? factors, Tensor? noise, Tensor? strength, Tensor? bias, "
    "Tensor? scale, Tensor? shift, Tensor? after, float gain, float slope"
)
_library: Any = torch.library.Library("vidrestore", "DEF")  # type: ignore[no-untyped-call]
_device_of: Any = torch.cuda.device_of
_library.define(f"finish(Tensor(a!) out, Tensor y, {_OPERANDS}) -> ()")
_library.define(
    "filter_and_finish(Tensor(a!) out, Tensor x, Tensor taps, Tensor? edges, int padding, "
    f"{_OPERANDS}) -> ()"
)
_library.define("double_edges(Tensor x) -> Tensor")


def _finish(out: Tensor, y: Tensor, *operands: Any) -> None:
    from vidrestore.models.layers import gpu_kernels

    n, channels, height, width = y.shape
    n_pixels = height * width
    deep, wide = _tile(channels)
    grid = (_parts(n_pixels, wide), _parts(channels, deep), n)
    with _device_of(y):
        gpu_kernels.finish[grid](
            out, y, *operands, channels, n_pixels, *_steps(channels, operands),
            out.stride(3), WIDE=wide, DEEP=deep,
        )  # fmt: skip


def _filter_and_finish(
    out: Tensor, x: Tensor, taps: Tensor, edges: Tensor | None, padding: int, *operands: Any
) -> None:
    from vidrestore.models.layers import gpu_kernels

    n, channels, height, width = out.shape
    deep, wide = _tile(channels)
    grid = (_parts(width, wide) * _parts(channels, deep), _parts(height, _ROWS), n)
    with _device_of(x):
        gpu_kernels.filter_and_finish[grid](
            out, x, taps, edges, *operands, channels, *x.shape[2:], height, width,
            *_steps(channels, operands), out.stride(3),
            PADDING=padding, ROWS=_ROWS, WIDE=wide, DEEP=deep,
        )  # fmt: skip


def _double_edges(x: Tensor) -> Tensor:
    from vidrestore.models.layers import gpu_kernels

    out = _double_edges_shape(x)
    n, channels, side, _ = x.shape
    deep, wide = _tile(channels)
    grid = (_parts(2 * n * side, wide), 12, _parts(channels, deep))
    with _device_of(x):
        gpu_kernels.double_edges[grid](out, x, channels, side, 2 * n * side, WIDE=wide, DEEP=deep)
    return out


def _double_edges_shape(x: Tensor) -> Tensor:
    n, channels, side, _ = x.shape
    return x.new_empty(4, 2 * n * side, 3 * channels)


def _nothing(*_: Any) -> None:
    """A kernel on the meta device."""


_library.impl("finish", _finish, "CUDA")
_library.impl("filter_and_finish", _filter_and_finish, "CUDA")
_library.impl("double_edges", _double_edges, "CUDA")
_library.impl("finish", _nothing, "Meta")
_library.impl("filter_and_finish", _nothing, "Meta")
_library.impl("double_edges", _double_edges_shape, "Meta")


def _tile(channels: int) -> tuple[int, int]:
    """Channels and pixels of a program's tile, powers of two."""
    deep = min(_DEEP, 1 << (channels - 1).bit_length())
    return deep, _WIDE // deep


def _parts(length: int, part: int) -> int:
    return -(-length // part)


def _steps(channels: int, operands: tuple[Any, ...]) -> tuple[int, int]:
    """Values from one sample's noise to the next, and channels that no shift changes."""
    noise, shift = operands[1], operands[5]
    step = 0 if noise is None or len(noise) == 1 else noise[0].numel()
    return step, channels if shift is None else channels - shift.shape[1]
