"""Feature matching: the discriminator's inner maps as a measure of likeness.

Salimans et al., arXiv:1606.03498; layer by layer with L1 as in pix2pixHD (Wang et al.,
arXiv:1711.11585, equation 3). GPEN (arXiv:2105.06070, section 3.3) has the same term.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["feature_matching"]


def feature_matching(own: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean absolute difference, in float32.

    Args:
        own: features of restored pictures, as in `Verdict.features`.
        wanted: features of the true ones, from the same discriminator; they get no gradient.
    """
    terms = [
        (x.float() - y.detach().float()).abs().mean() for x, y in zip(own, wanted, strict=True)
    ]
    return torch.stack(terms).sum()
