"""One score of a restored face, by which trainings choose their best checkpoint.

Likeness alone (PSNR, SSIM) is highest for soft pictures, sharpness alone for noisy ones. The score
is a geometric mean, in which none of its parts makes up for another.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["restoration_score"]


def restoration_score(ssim: Tensor, sharpness: Tensor, identity: Tensor | None) -> Tensor:
    """The geometric mean of fidelity, sharpness and identity, 1 for the truth itself.

    Args:
        ssim: (N,) of luma; below 0 counts as 0.
        sharpness: (N,) relative to the truth's, 0 or more; twice as sharp counts as half as sharp.
        identity: (N,) cosines to the truth's embedding, below 0 counts as 0; None leaves it out.

    Returns:
        (N,) in [0, 1].
    """
    parts = [ssim.clamp(0, 1), sharpness.minimum(1 / sharpness)]
    if identity is not None:
        parts.append(identity.clamp(0, 1))
    product = parts[0]
    for part in parts[1:]:
        product = product * part
    return product ** (1 / len(parts))
