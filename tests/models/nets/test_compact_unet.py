"""The compact generator's network: starts as the identity, knows places, fits its budget."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.nets.compact_unet import CompactUNet, coordinate_grid

SMALL = {"widths": (8, 16), "patch": 2}


def trained(**arguments: object) -> CompactUNet:
    """A small network whose weights are not at their start any more."""
    torch.manual_seed(0)
    network = CompactUNet(**arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def test_an_untrained_network_changes_nothing() -> None:
    x = torch.rand(2, 3, 16, 24) * 2 - 1
    assert torch.equal(CompactUNet(**SMALL)(x), x)


def test_sizes_that_do_not_halve_are_named() -> None:
    with pytest.raises(ValueError, match=r"18x16.*multiples of 4"):
        CompactUNet(**SMALL)(torch.zeros(1, 3, 16, 18))


def test_block_counts_must_match_the_levels() -> None:
    with pytest.raises(ValueError, match="2 levels need 2"):
        CompactUNet(**SMALL, encoder_blocks=(1, 2, 3))


def test_a_window_of_coordinates_is_a_cut_of_the_crops() -> None:
    whole = coordinate_grid(64, 64)
    window = coordinate_grid(16, 24, origin=(8, 32), crop_size=64)
    assert torch.allclose(window, whole[:, 32:48, 8:32])
    assert whole[0, 0, 0] == whole[1, 0, 0] == -1 + 1 / 64
    assert whole[0, 0, -1] == whole[1, -1, 0] == 1 - 1 / 64


def test_a_window_with_its_place_is_restored_as_inside_the_crop() -> None:
    network, crop = trained(**SMALL), torch.rand(1, 3, 128, 128) * 2 - 1
    cut = (..., slice(32, 96), slice(48, 112))
    with torch.no_grad():
        whole = network(crop)[cut]
        placed = network(crop[cut], coordinate_grid(64, 64, origin=(48, 32), crop_size=128))
        lost = network(crop[cut])
    inner = (..., slice(28, 36), slice(28, 36))  # Beyond the reach of the window's border.
    assert torch.allclose(placed[inner], whole[inner], atol=1e-5)
    assert not torch.allclose(lost[inner], whole[inner], atol=1e-3)


def test_faces_of_a_batch_do_not_mix() -> None:
    network, batch = trained(**SMALL), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        together, alone = network(batch), torch.cat([network(one[None]) for one in batch])
    assert torch.allclose(together, alone, atol=1e-6)


def test_the_shipped_size_fits_the_budget() -> None:
    network = CompactUNet((64, 96, 128, 160, 192), 4, (1, 1, 2, 2, 2), (1, 1, 2, 2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 512, 512))
    assert 2 * sum(p.numel() for p in network.parameters()) < 16e6  # Bytes as float16.
    assert counter.get_total_flops() < 25e9
