"""Adversarial terms, and the two regularisers that keep adversarial training stable.

`ADVERSARIAL[name]` is a pair of losses, for the generator and for the discriminator, of logits of
any shape (positive for real). `GradientPenalty` (R1) and `PathLength` are lazy: they are expensive,
so they run every few steps with a weight that many times larger (Karras et al., arXiv:1912.04958,
appendix B), which keeps the expected gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "ADVERSARIAL",
    "Adversarial",
    "GradientPenalty",
    "PathLength",
    "hinge_discriminator",
    "hinge_generator",
    "lazy_adam",
    "logistic_discriminator",
    "logistic_generator",
    "path_lengths",
    "r1_penalty",
    "vanilla_discriminator",
    "vanilla_generator",
]

_TINY = 1e-16
"""Keeps the gradient of a root finite at 0."""


def logistic_generator(fake: Tensor) -> Tensor:
    """Non-saturating logistic loss, mean of softplus(-D(G(z))) (arXiv:1406.2661, section 3)."""
    return F.softplus(-fake.float()).mean()


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of softplus(-D(x)) plus mean of softplus(D(G(z)))."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def vanilla_generator(fake: Tensor) -> Tensor:
    """Cross-entropy of the logits with the label "real", as for GFP-GAN's components.

    The published codes write the logistic loss in this second way; the values are the same.
    """
    fake = fake.float()
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def vanilla_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Sum of the cross-entropies with the right labels."""
    fake = fake.float()
    wrong = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return vanilla_generator(real) + wrong


def hinge_generator(fake: Tensor) -> Tensor:
    """Mean of -D(G(z)) (Lim and Ye, arXiv:1705.02894)."""
    return -fake.float().mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of max(0, 1 - D(x)) plus mean of max(0, 1 + D(G(z)))."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


class Adversarial(NamedTuple):
    """The two sides of an adversarial loss."""

    generator: Callable[[Tensor], Tensor]
    """From the logits of generated pictures to a scalar."""
    discriminator: Callable[[Tensor, Tensor], Tensor]
    """From the logits of real and of generated pictures to a scalar."""


ADVERSARIAL: Mapping[str, Adversarial] = MappingProxyType(
    {
        "logistic": Adversarial(logistic_generator, logistic_discriminator),
        "vanilla": Adversarial(vanilla_generator, vanilla_discriminator),
        "hinge": Adversarial(hinge_generator, hinge_discriminator),
    }
)
"""Every adversarial loss by its name in a configuration."""


def r1_penalty(judge: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """Mean squared length of the logits' gradient (Mescheder et al., arXiv:1801.04406, eq. 9).

    Computed in float32 under autocast too. Each parameter that `judge` uses takes part in the
    result, though perhaps with gradient 0.

    Args:
        judge: from pictures to logits, of which each picture's own are summed.
        pictures: (N, 3, S, S) real ones, as the discriminator sees them, so augmented already.

    Returns:
        Scalar float32, with a graph for the discriminator's parameters.
    """
    with torch.enable_grad(), torch.autocast(pictures.device.type, enabled=False):
        pictures = pictures.detach().float().requires_grad_(True)
        logits = judge(pictures)
        (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean() + 0 * logits.sum()


@dataclass(frozen=True)
class GradientPenalty:
    """R1, weighted as in StyleGAN2: weight / 2 times the penalty, lazily."""

    weight: float = 10.0
    interval: int = 16
    """Steps from one use to the next."""

    def due(self, step: int) -> bool:
        """Whether step `step` (from 0) is one with the penalty."""
        return self.weight > 0 and step % self.interval == 0

    def __call__(self, judge: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
        """The term of one due step, see `r1_penalty`; already weighted."""
        return self.weight / 2 * self.interval * r1_penalty(judge, pictures)


def path_lengths(pictures: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """|J^T y| of arXiv:1912.04958, equation 4: how far a step in latent space moves a picture.

    Args:
        pictures: (N, 3, H, W), made from `latents`, with a graph.
        latents: (N, D), or (N, L, D) for one a layer, whose squares are averaged over layers.
        noise: y times sqrt(H W): (N, 3, H, W), standard normal.

    Returns:
        (N,) float32, with a graph.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        y = noise.float() / math.sqrt(pictures.shape[2] * pictures.shape[3])
        (gradient,) = torch.autograd.grad((pictures.float() * y).sum(), latents, create_graph=True)
        squares = gradient.float().square().sum(-1).view(len(latents), -1).mean(1)
        return (squares + _TINY).sqrt()


class PathLength(nn.Module):
    """Path-length regularisation: (|J^T y| - a)^2, `a` being the running mean of the lengths.

    `a` is the module's state, and has no gradient.

    Args:
        weight: of the penalty.
        interval: steps from one use to the next.
        decay: share of a new mean in the running one.
    """

    mean: Tensor

    def __init__(self, weight: float = 2.0, interval: int = 4, decay: float = 0.01) -> None:
        super().__init__()
        self.weight, self.interval, self.decay = weight, interval, decay
        self.register_buffer("mean", torch.zeros(()))

    def due(self, step: int) -> bool:
        """Whether step `step` (from 0) is one with the penalty."""
        return self.weight > 0 and step % self.interval == 0

    def forward(
        self,
        pictures: Tensor,
        latents: Tensor,
        noise: Tensor,
        *,
        average: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The term of one due step, already weighted; moves the running mean.

        Args:
            pictures: see `path_lengths`.
            latents: see `path_lengths`.
            noise: see `path_lengths`.
            average: mean of a scalar over all processes, where there are several.
        """
        lengths = path_lengths(pictures, latents, noise)
        newest = lengths.detach().mean()
        newest = newest if average is None else average(newest)
        self.mean.lerp_(newest.to(self.mean), self.decay)
        # A copy: the buffer must not change under the graph.
        penalty = (lengths - self.mean.clone()).square().mean()
        return self.weight * self.interval * penalty


def lazy_adam(
    learning_rate: float, betas: tuple[float, float], interval: int
) -> tuple[float, tuple[float, float]]:
    """Adam's settings for a network with a lazy regulariser (arXiv:1912.04958, appendix B).

    The regulariser's own step is one more in every `interval`, so with c = interval /
    (interval + 1) the rate is multiplied by c and the betas are raised to the power c.

    Args:
        learning_rate: without the regulariser.
        betas: without the regulariser.
        interval: steps from one use to the next; 0 for no regulariser.
    """
    share = interval / (interval + 1) if interval else 1.0
    return learning_rate * share, (betas[0] ** share, betas[1] ** share)
