"""A discriminator with its optimiser and its lazy gradient penalty, for the tasks that need one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.models.nets.discriminators import StyleGAN2Discriminator, Verdict
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.adversarial import ADVERSARIAL, GradientPenalty, lazy_adam
from vidrestore.training.tasks.task import build_discriminator, descend, set_rate

__all__ = ["DiscriminatorTrainer", "open_stylegan2_discriminator"]


class DiscriminatorTrainer:
    """What learns to tell generated pictures from true ones.

    Args:
        network: the discriminator, on its device.
        distributed: where it learns.
        loss: which adversarial loss; see `ADVERSARIAL`.
        penalty: R1; None for none.
        betas: of Adam, before the lazy penalty's share.
        share: of the generator's learning rate.
    """

    def __init__(
        self,
        network: nn.Module,
        distributed: Distributed,
        *,
        loss: str = "logistic",
        penalty: GradientPenalty | None = None,
        betas: tuple[float, float] = (0.0, 0.99),
        share: float = 1.0,
    ) -> None:
        self.network, self.distributed, self.penalty = network, distributed, penalty
        self.loss = ADVERSARIAL[loss]
        lazy = penalty.interval if penalty is not None and penalty.weight else 0
        rate_share, betas = lazy_adam(share, betas, lazy)
        groups = [{"params": list(network.parameters()), "share": rate_share}]
        self.optimiser = torch.optim.Adam(groups, lr=0.0, betas=betas)

    def judge(self, pictures: Tensor, *, with_features: bool = False) -> Verdict:
        """The verdict on pictures, in the run's number format."""
        with self.distributed.autocast():
            verdict: Verdict = self.network(pictures, with_features=with_features)
        return verdict

    def learn(
        self, real: Tensor, fake: Tensor, *, step: int, rate: float
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One step, and one more where the penalty is due.

        Args:
            real: true pictures, (N, 3, S, S).
            fake: generated ones, without a graph.
            step: number of the step.
            rate: learning rate of the generator.

        Returns:
            The terms, and the logits of the true pictures.
        """
        set_rate(self.optimiser, rate)
        logits = self.judge(real).logits
        loss = self.loss.discriminator(logits, self.judge(fake).logits)
        descend(loss, self.optimiser, self.distributed)
        terms = {"discriminator": loss}
        if self.penalty is not None and self.penalty.due(step):
            penalty = self.penalty(self._one_logit, real)
            descend(penalty, self.optimiser, self.distributed)
            terms["r1"] = penalty
        return terms, logits.detach()

    def _one_logit(self, pictures: Tensor) -> Tensor:
        """(N,): the sum of a picture's logits over the root of their number, so that the penalty
        means the same for one logit a picture and for one a pixel.
        """
        logits: Tensor = self.network(pictures).logits.flatten(1)
        return logits.sum(1) / math.sqrt(logits.shape[1])

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.network.load_state_dict(state_dict["network"])
        self.optimiser.load_state_dict(state_dict["optimiser"])


def open_stylegan2_discriminator(
    size: int,
    arguments: dict[str, Any],
    distributed: Distributed,
    *,
    seed: int,
    r1: float,
    r1_every: int,
    share: float = 1.0,
) -> DiscriminatorTrainer:
    """StyleGAN2's discriminator with R1.

    Args:
        size: side of the pictures.
        arguments: further arguments of `StyleGAN2Discriminator`.
        distributed: where it learns.
        seed: of its weights.
        r1: weight of R1; 0 for none.
        r1_every: steps from one R1 to the next.
        share: of the generator's learning rate.
    """
    settings = {"size": size, **arguments}
    network = build_discriminator(StyleGAN2Discriminator, settings, seed + 1)
    penalty = GradientPenalty(r1, r1_every)
    return DiscriminatorTrainer(
        network.to(distributed.device), distributed, penalty=penalty, share=share
    )
