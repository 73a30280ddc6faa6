"""Style: the difference of feature correlations, whatever the places (Gatys et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["gram", "gram_l1", "style_l1"]


def gram(features: Tensor) -> Tensor:
    """Gram matrices, in float32 under autocast too.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C): F F^T / (C H W), F being the maps as (C, H W).
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


def gram_l1(own: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of the Gram matrices of two maps (N, C, H, W)."""
    return (gram(own) - gram(wanted).detach()).abs().mean()


def style_l1(
    own: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """Weighted sum of `gram_l1` over layers (GFP-GAN, arXiv:2101.04061, section 3.3).

    Args:
        own: features of restored pictures by layer.
        wanted: features of the true ones; they get no gradient.
        weights: layers that count, and how much.
    """
    terms = [weight * gram_l1(own[name], wanted[name]) for name, weight in weights.items()]
    return torch.stack(terms).sum()
