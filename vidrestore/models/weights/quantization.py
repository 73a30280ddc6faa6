"""Weights in eight bits: a quarter of the bytes, and for convolutions no loss to speak of.

A matrix or kernel is stored as int8 with one scale for each of its outputs, under its name and that
name with `.int8_scale`; the greatest weight of an output becomes 127 (symmetric, per channel, as in
arXiv:1806.08342, section 2.3). Everything else is stored in 16 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["dequantize", "quantize"]

_SCALE = ".int8_scale"
_LEAST_VALUES = 1024
"""Tensors with fewer values are not worth it."""


def quantize(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are to be stored.

    Args:
        state: floating-point tensors by name; others are kept as they are.

    Returns:
        int8 tensors with their float32 scales, and float16 tensors.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            stored[name] = tensor.contiguous()
        elif tensor.ndim < 2 or tensor.numel() < _LEAST_VALUES:
            stored[name] = tensor.half().contiguous()
        else:
            flat = tensor.float().flatten(1)
            scale = flat.abs().amax(1).clamp(min=1e-12) / 127
            stored[name] = (flat / scale[:, None]).round().to(torch.int8).view(tensor.shape)
            stored[name + _SCALE] = scale
    return stored


def dequantize(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a network takes them: what `quantize` stored, in float32 where it was int8.

    Args:
        stored: any tensors by name; those without a scale are kept as they are.

    Raises:
        ValueError: a scale is not one for each output; broadcast, it would take any memory.
    """
    state = {}
    for name, tensor in stored.items():
        scale = stored.get(name + _SCALE)
        if scale is not None:
            _check_scale(name, tensor, scale)
            tensor = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        if not name.endswith(_SCALE):
            state[name] = tensor
    return state


def _check_scale(name: str, tensor: Tensor, scale: Tensor) -> None:
    shapes = tuple(tensor.shape), tuple(scale.shape)
    if tensor.dtype != torch.int8 or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
        raise ValueError(f"{name} of shape {shapes[0]} has scales of shape {shapes[1]}"[:160])
