"""The lattice of a pixel-shuffle goes, and nothing else does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vidrestore.models.load import load_restorer
from vidrestore.models.restorers.lattice import without_lattice
from vidrestore.models.restorers.network import NetworkRestorer

SIZE, PERIOD = 256, 4
INNER = (..., slice(80, -80), slice(80, -80))
"""Further in than the neighbourhood that counts as one pattern."""


def noise(seed: int, amount: float = 0.05) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + amount * torch.randn(1, 3, SIZE, SIZE, generator=generator)


def lattice(seed: int, amount: float = 0.02) -> Tensor:
    """(1, 3, SIZE, SIZE): what repeats every `PERIOD` pixels, without a mean."""
    generator = torch.Generator().manual_seed(seed)
    cell = torch.randn(1, 3, PERIOD, PERIOD, generator=generator)
    cell = cell - cell.mean((2, 3), keepdim=True)
    return amount * cell.repeat(1, 1, SIZE // PERIOD, SIZE // PERIOD)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), amount=st.floats(0, 0.1))
def test_a_lattice_over_any_correction_goes(seed: int, amount: float) -> None:
    source, pattern = noise(seed), lattice(seed + 1, amount)
    smooth = torch.linspace(-0.2, 0.2, SIZE) * torch.linspace(-1, 1, SIZE)[:, None]
    found = without_lattice(source + smooth + pattern, source, PERIOD)
    inner = (found - source - smooth)[INNER]
    assert inner.abs().max() < 0.03 * amount + 5e-4


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_detail_hardly_changes(seed: int) -> None:
    source, detail = noise(seed), noise(seed + 1) - 0.5
    found = without_lattice(source + detail, source, PERIOD) - source
    assert (found - detail).square().mean() < 0.015 * detail.square().mean()


@pytest.mark.parametrize("period_px", [3.0, 3.7, 4.4, 6.0, 10.0])
def test_stripes_of_other_periods_stay(period_px: float) -> None:
    source = noise(0)
    stripes = 0.05 * torch.sin(2 * torch.pi * torch.arange(SIZE) / period_px).expand(1, 3, SIZE, -1)
    found = without_lattice(source + stripes, source, PERIOD) - source
    inner = (found - stripes)[INNER]
    assert inner.abs().max() < 0.005


def test_what_the_input_repeats_stays() -> None:
    source = noise(0) + lattice(3)
    assert torch.equal(without_lattice(source, source, PERIOD), source)


class Weave(nn.Module):
    """A network that lays a lattice over what it sees, as a pixel-shuffle does."""

    shuffle_factor = PERIOD

    def __init__(self) -> None:
        super().__init__()
        self.pattern = nn.Parameter(2 * lattice(5))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pattern


def test_networks_that_end_in_a_pixel_shuffle_are_freed_of_it() -> None:
    restorer = NetworkRestorer(Weave(), size=SIZE, precision="float32")
    source = noise(2, 0.02)
    left = (restorer(source) - source)[INNER]
    assert left.abs().max() < 0.003 < 0.01 < lattice(5).abs().max()


def test_the_embedded_network_says_what_it_ends_in() -> None:
    assert load_restorer("embedded").shuffle_factor == 4  # type: ignore[attr-defined]
