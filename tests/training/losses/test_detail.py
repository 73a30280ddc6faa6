"""Local energy: as much detail as in the truth, wherever exactly it lies."""

from __future__ import annotations

import math

import pytest
import torch

from vidrestore.training.losses.detail import (
    grid_distance,
    local_energy_distance,
    local_log_energies,
)


@pytest.fixture
def texture() -> torch.Tensor:
    return torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(0)) * 0.3


def test_equal_pictures_are_at_no_distance(texture: torch.Tensor) -> None:
    assert local_energy_distance(texture, texture).item() == 0


def test_half_the_amplitude_is_a_logarithm_of_two_away(texture: torch.Tensor) -> None:
    grey = texture.mean(1, keepdim=True).expand_as(texture)
    grey = 30 * grey  # far above what cannot be seen
    distance = local_energy_distance(grey / 2, grey)
    assert distance.item() == pytest.approx(math.log(2), rel=0.05)


def test_where_detail_lies_hardly_matters(texture: torch.Tensor) -> None:
    moved, flat = texture.roll(3, 3), torch.zeros_like(texture)
    assert local_energy_distance(moved, texture) < 0.1 * local_energy_distance(flat, texture)
    assert (moved - texture).abs().mean() > 1.3 * (flat - texture).abs().mean()


def test_bands_are_an_octave_apart() -> None:
    x = torch.arange(128.0)
    for band, period in enumerate((3, 7, 14)):
        wave = torch.sin(2 * math.pi * x / period).expand(1, 3, 128, 128)
        means = [energies.mean().item() for energies in local_log_energies(wave)]
        assert means.index(max(means)) == band


def test_flat_pictures_have_a_gradient() -> None:
    flat = torch.zeros(1, 3, 32, 32, requires_grad=True)
    local_energy_distance(flat, torch.ones(1, 3, 32, 32)).backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_pattern_that_repeats_is_seen_and_an_error_that_does_not_is_not(period: int) -> None:
    truth = torch.zeros(1, 3, 128, 128)
    seeded = torch.Generator().manual_seed(0)
    tile = torch.randn(1, 1, period, period, generator=seeded)
    repeated = tile.repeat(1, 3, 128 // period, 128 // period)
    once = torch.randn(1, 1, 128, 128, generator=seeded).expand(-1, 3, -1, -1)
    assert grid_distance(repeated, truth) > 3 * grid_distance(once, truth)
    assert grid_distance(truth + 0.3, truth) < 1e-6
