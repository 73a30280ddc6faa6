"""A discriminator learns to tell pictures apart, and goes on after a stop as if there were none."""

from __future__ import annotations

import copy

import torch

from vidrestore.models.nets.discriminators import StyleGAN2Discriminator
from vidrestore.training.distributed import Distributed
from vidrestore.training.tasks.discriminator import (
    DiscriminatorTrainer,
    open_stylegan2_discriminator,
)

SIZE = 16
ARGUMENTS = {"narrow": 0.03125, "minibatch_stddev": False}


def opened(seed: int = 3, r1: float = 1.0) -> DiscriminatorTrainer:
    return open_stylegan2_discriminator(
        SIZE, dict(ARGUMENTS), Distributed("cpu"), seed=seed, r1=r1, r1_every=4
    )


def pictures(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Bright ones and dark ones."""
    noise = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return noise * 0.5 + 0.4, noise * 0.5 - 0.9


def test_it_learns_to_tell_true_pictures_from_generated_ones() -> None:
    trainer = opened()
    for step in range(12):
        terms, logits = trainer.learn(*pictures(step), step=step, rate=2e-2)
        assert ("r1" in terms) == (step % 4 == 0)
        assert logits.shape == (4, 1) and not logits.requires_grad
    real, fake = (trainer.judge(one).logits.mean() for one in pictures(99))
    assert real > fake + 0.5


def test_a_weight_of_0_has_no_penalty() -> None:
    trainer = opened(r1=0.0)
    assert "r1" not in trainer.learn(*pictures(0), step=0, rate=1e-3)[0]


def test_weights_follow_from_the_seed() -> None:
    one, same, other = (opened(seed).network.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_it_goes_on_from_its_state() -> None:
    trainer, later = opened(), opened(seed=8)
    trainer.learn(*pictures(0), step=0, rate=1e-2)
    later.load_state_dict(copy.deepcopy(trainer.state_dict()))
    for one in (trainer, later):
        one.learn(*pictures(1), step=1, rate=1e-2)
    assert isinstance(later.network, StyleGAN2Discriminator)
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, later.network.state_dict()[name]), name
