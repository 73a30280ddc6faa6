"""Adversarial terms against their formulas; lazy regularisers keep the expected gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vidrestore.training.losses.adversarial import (
    ADVERSARIAL,
    GradientPenalty,
    PathLength,
    lazy_adam,
    path_lengths,
    r1_penalty,
)

LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=6)


class LinearDiscriminator(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3 * size * size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight + self.bias


@pytest.fixture(autouse=True)
def _drawn_weights() -> None:
    torch.manual_seed(0)


@settings(max_examples=40, deadline=None)
@given(real=LOGITS, fake=LOGITS)
def test_losses_equal_their_formulas(real: list[float], fake: list[float]) -> None:
    x, y = torch.tensor(real), torch.tensor(fake)
    a, b = np.array(real, np.float64), np.array(fake, np.float64)
    real_term, fake_term = np.logaddexp(0, -a).mean(), np.logaddexp(0, b).mean()
    for name in ("logistic", "vanilla"):
        loss = ADVERSARIAL[name]
        assert float(loss.discriminator(x, y)) == pytest.approx(
            real_term + fake_term, rel=1e-5, abs=1e-6
        )
        assert float(loss.generator(y)) == pytest.approx(
            np.logaddexp(0, -b).mean(), rel=1e-5, abs=1e-6
        )
    hinge = np.maximum(0, 1 - a).mean() + np.maximum(0, 1 + b).mean()
    assert float(ADVERSARIAL["hinge"].discriminator(x, y)) == pytest.approx(
        hinge, rel=1e-5, abs=1e-5
    )
    assert float(ADVERSARIAL["hinge"].generator(y)) == pytest.approx(-b.mean(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_two_sides_pull_against_each_other(name: str) -> None:
    fake = torch.zeros(3, requires_grad=True)
    ADVERSARIAL[name].generator(fake).backward()
    assert (fake.grad < 0).all(), "the generator wants higher logits"
    fake.grad = None
    real = torch.zeros(3, requires_grad=True)
    ADVERSARIAL[name].discriminator(real, fake).backward()
    assert (fake.grad > 0).all()
    assert (real.grad < 0).all()


def test_short_formats_give_float32_losses() -> None:
    logits = torch.tensor([3.0, -2.0], dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        for loss in ADVERSARIAL.values():
            assert loss.generator(logits).dtype == torch.float32
            assert loss.discriminator(logits, logits).dtype == torch.float32


@pytest.mark.parametrize("autocast", [False, True])
def test_r1_of_a_linear_discriminator_is_the_squared_weight(autocast: bool) -> None:
    discriminator = LinearDiscriminator(8)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        penalty = r1_penalty(discriminator, torch.rand(5, 3, 8, 8))
    assert penalty.dtype == torch.float32
    assert float(penalty) == pytest.approx(float(discriminator.weight.square().sum()), rel=1e-5)
    penalty.backward()
    assert torch.allclose(discriminator.weight.grad, 2 * discriminator.weight.detach(), rtol=1e-5)
    assert discriminator.bias.grad is not None, "a parameter without influence still takes part"
    assert float(discriminator.bias.grad) == 0


def test_r1_is_the_mean_over_pictures() -> None:
    """Of D(x) = sum of x^2 / 2 the gradient is x."""
    pictures = torch.rand(4, 3, 6, 6)
    penalty = r1_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, pictures)
    assert float(penalty) == pytest.approx(float(pictures.square().sum()) / 4, rel=1e-5)


def test_r1_works_where_no_graph_is_kept() -> None:
    with torch.no_grad():
        penalty = r1_penalty(LinearDiscriminator(4), torch.rand(2, 3, 4, 4))
    penalty.backward()


@settings(max_examples=20, deadline=None)
@given(interval=st.integers(1, 16), cycles=st.integers(1, 3))
def test_laziness_keeps_the_expected_gradient(interval: int, cycles: int) -> None:
    discriminator, pictures = LinearDiscriminator(4), torch.rand(2, 3, 4, 4)
    steps = range(interval * cycles)

    def mean_gradient(every: int) -> torch.Tensor:
        penalty = GradientPenalty(weight=10, interval=every)
        total = torch.zeros_like(discriminator.weight)
        for step in steps:
            if penalty.due(step):
                term = penalty(discriminator, pictures)
                total += torch.autograd.grad(term, discriminator.weight)[0]
        return total / len(steps)

    assert torch.allclose(mean_gradient(interval), mean_gradient(1), rtol=1e-4)
    assert torch.allclose(mean_gradient(1), 10 * discriminator.weight.detach(), rtol=1e-4)


def test_a_weight_of_0_is_never_due() -> None:
    assert not any(GradientPenalty(weight=0).due(step) for step in range(40))
    assert not any(PathLength(weight=0).due(step) for step in range(40))


def linear_generator(latents: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(N, L, D) or (N, D) to (N, 3, 4, 4)."""
    return (latents.flatten(1) @ matrix).view(-1, 3, 4, 4)


def test_path_lengths_of_a_linear_generator() -> None:
    """J^T y of z -> z A is A y; over layers the squared lengths are averaged."""
    matrix, noise = torch.randn(2 * 5, 48), torch.randn(3, 3, 4, 4)
    y = noise.flatten(1) / 4
    latents = torch.randn(3, 10, requires_grad=True)
    found = path_lengths(linear_generator(latents, matrix), latents, noise)
    wanted = (y @ matrix.T).norm(dim=1)
    assert torch.allclose(found, wanted, rtol=1e-5)
    layered = torch.randn(3, 2, 5, requires_grad=True)
    found = path_lengths(linear_generator(layered, matrix), layered, noise)
    assert torch.allclose(found, wanted / math.sqrt(2), rtol=1e-5)


def test_an_orthogonal_generator_has_the_expected_length() -> None:
    """E |A y|^2 = D / (H W) for rows of length 1: what the paper's scaling is for."""
    matrix = torch.linalg.qr(torch.randn(48, 8))[0].T
    latents = torch.randn(4000, 8, requires_grad=True)
    lengths = path_lengths(linear_generator(latents, matrix), latents, torch.randn(4000, 3, 4, 4))
    assert float(lengths.square().mean()) == pytest.approx(8 / 16, rel=0.05)


def test_the_running_mean_moves_and_the_penalty_follows_it() -> None:
    matrix = torch.randn(10, 48, requires_grad=True)
    latents, noise = torch.randn(3, 10, requires_grad=True), torch.randn(3, 3, 4, 4)
    regulariser = PathLength(weight=2, interval=4, decay=0.25)
    lengths = (noise.flatten(1) / 4 @ matrix.T).norm(dim=1).detach()
    mean = 0.0
    for _ in range(3):
        term = regulariser(linear_generator(latents, matrix), latents, noise)
        mean += 0.25 * (float(lengths.mean()) - mean)
        assert float(regulariser.mean) == pytest.approx(mean, rel=1e-5)
        assert float(term) == pytest.approx(8 * float((lengths - mean).square().mean()), rel=1e-4)
    term.backward()
    gradient = matrix.grad.clone()
    direct = matrix.detach().clone().requires_grad_()
    wanted = 8 * ((noise.flatten(1) / 4 @ direct.T).norm(dim=1) - mean).square().mean()
    wanted.backward()
    assert torch.allclose(gradient, direct.grad, rtol=1e-3, atol=1e-5)


def test_a_generator_that_does_not_move_gives_no_nan() -> None:
    matrix = torch.zeros(10, 48, requires_grad=True)
    latents = torch.randn(3, 10, requires_grad=True)
    regulariser = PathLength()
    regulariser(linear_generator(latents, matrix), latents, torch.randn(3, 3, 4, 4)).backward()
    assert matrix.grad.isfinite().all()


def test_the_running_mean_travels_in_the_state() -> None:
    regulariser = PathLength()
    latents = torch.randn(2, 10, requires_grad=True)
    regulariser(linear_generator(latents, torch.randn(10, 48)), latents, torch.randn(2, 3, 4, 4))
    other = PathLength()
    other.load_state_dict(regulariser.state_dict())
    assert float(other.mean) == float(regulariser.mean) > 0


def test_two_halves_with_an_average_equal_the_whole() -> None:
    matrix, noise = torch.randn(10, 48), torch.randn(4, 3, 4, 4)
    start = torch.randn(4, 10)

    def term(rows: slice, average: object = None) -> tuple[float, float]:
        latents, regulariser = start[rows].clone().requires_grad_(), PathLength(decay=0.5)
        pictures = linear_generator(latents, matrix)
        value = regulariser(pictures, latents, noise[rows], average=average)
        return float(value), float(regulariser.mean)

    latents = start.clone().requires_grad_()
    overall = path_lengths(linear_generator(latents, matrix), latents, noise).detach().mean()
    whole, mean = term(slice(0, 4))
    halves = [term(slice(k, k + 2), lambda local: overall) for k in (0, 2)]
    assert [half[1] for half in halves] == pytest.approx([mean, mean])
    assert (halves[0][0] + halves[1][0]) / 2 == pytest.approx(whole, rel=1e-5)


def test_adams_settings_with_a_lazy_regulariser() -> None:
    rate, betas = lazy_adam(2e-3, (0.0, 0.99), 16)
    assert rate == pytest.approx(2e-3 * 16 / 17)
    assert betas == pytest.approx((0.0, 0.99 ** (16 / 17)))
    assert lazy_adam(1e-3, (0.9, 0.99), 0) == (1e-3, (0.9, 0.99))
