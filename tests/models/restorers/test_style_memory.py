"""A person's style codes are followed steadily, and nobody else's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vidrestore.models.interfaces import CropKey
from vidrestore.models.registry import build
from vidrestore.models.restorers.network import NetworkRestorer, NetworkRun
from vidrestore.models.restorers.style_memory import WINDOW_FRAMES, StyleMemory

NETWORKS = {
    "GFPGANv1Clean": {"out_size": 64, "narrow": 0.0625, "num_style_feat": 16},
    "GPEN FullGenerator": {"size": 64, "narrow": 0.0625, "style_dim": 16, "n_mlp": 2},
}


def network(arch: str) -> nn.Module:
    torch.manual_seed(3)
    return build(arch, **NETWORKS[arch])  # type: ignore[arg-type]


def restorer(made: nn.Module, strength: float, batch_size: int = 1) -> NetworkRun:
    shared = NetworkRestorer(
        copy.deepcopy(made), size=64, precision="float32", batch_size=batch_size
    )
    return shared.start_run(style_strength=strength)


def keys(count: int, first: int = 0) -> list[CropKey]:
    """Of one person in frames one after the other."""
    return [CropKey(0, 7, frame) for frame in range(first, first + count)]


def noisy_crops(count: int) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return (0.5 + 0.2 * torch.randn(count, 3, 64, 64, generator=draw)).clamp(0, 1)


@pytest.mark.parametrize("arch", NETWORKS)
def test_only_the_codes_are_smoothed(arch: str) -> None:
    """The first crop and unnamed ones come out as ever; equal crops stay equal; later ones differ
    from what they would be alone, as their codes do."""
    made, crops = network(arch), noisy_crops(3)
    alone = restorer(made, 0.0)(crops)
    steady = restorer(made, 1.0)
    assert torch.equal(steady(crops), alone)
    followed = steady(crops, keys(3))
    assert torch.equal(followed[0], alone[0])
    assert not torch.equal(followed[1], alone[1])
    same = restorer(made, 1.0)(crops[:1].expand(4, -1, -1, -1), keys(4))
    assert torch.equal(same, alone[:1].expand(4, -1, -1, -1))
    assert torch.equal(restorer(made, 0.0)(crops, keys(3)), alone)


@pytest.mark.parametrize("arch", NETWORKS)
def test_neither_company_nor_a_cut_leaks(arch: str) -> None:
    made, crops = network(arch), noisy_crops(4)
    apart = restorer(made, 1.0)(crops[:2], keys(2))
    together = restorer(made, 1.0)(
        crops[[0, 2, 1, 3]], [CropKey(0, track, frame) for frame in (0, 1) for track in (7, 8)]
    )
    torch.testing.assert_close(together[[0, 2]], apart, rtol=0, atol=1e-5)
    after_cut = restorer(made, 1.0)(crops[:2], [CropKey(0, 7, 0), CropKey(1, 7, 1)])
    assert torch.equal(after_cut, restorer(made, 0.0)(crops[:2]))
    in_batches = restorer(made, 1.0, batch_size=3)(crops, keys(4))
    one_by_one = restorer(made, 1.0)(crops, keys(4))
    torch.testing.assert_close(in_batches, one_by_one, rtol=0, atol=1e-5)


def run(memory: StyleMemory, codes: Tensor, first: int = 0) -> Tensor:
    given = []
    for code, key in zip(codes, keys(len(codes), first), strict=True):
        given.append(memory.steering([key], "cpu")(code[None])[0])
        memory.commit()
    return torch.stack(given)


def test_noise_falls_and_jumps_are_followed() -> None:
    draw = torch.Generator().manual_seed(0)
    truth = torch.randn(32, generator=draw)
    codes = truth + 0.1 * torch.randn(60, 32, generator=draw)
    codes[30:] += 5
    given = run(StyleMemory(1.0), codes)
    left = (given[10:30] - truth).norm(dim=1).mean() / (codes[10:30] - truth).norm(dim=1).mean()
    assert left < 0.6
    assert torch.equal(given[30], codes[30])
    assert (given[35:] - truth - 5).norm(dim=1).max() < (codes[35:] - truth - 5).norm(dim=1).max()
    assert torch.equal(run(StyleMemory(0.0), codes), codes)


def test_what_was_not_drawn_does_not_count() -> None:
    """A batch that ran out of memory is begun again from the same codes."""
    memory, codes = StyleMemory(1.0), torch.tensor([[0.0, 0], [1, 0], [1, 1]])
    memory.steering(keys(1), "cpu")(codes[:1])
    memory.commit()
    first = memory.steering(keys(2, 1), "cpu")(codes[1:])
    again = memory.steering(keys(2, 1), "cpu")(codes[1:])
    assert torch.equal(first, again)


def test_codes_that_are_no_numbers_are_left_out() -> None:
    memory = StyleMemory(1.0)
    codes = torch.tensor([[1.0, 2], [torch.nan, 2], [1, 2]])
    given = run(memory, codes)
    assert torch.equal(given[2], codes[2])


def test_a_code_depends_on_its_window_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randn(40, 8, generator=draw)
    codes[25:] += 20
    whole = run(StyleMemory(1.0), codes)
    for first in (3, 20, 24):
        part = run(StyleMemory(1.0), codes[first:], first)
        assert torch.equal(part[WINDOW_FRAMES - 1 :], whole[first + WINDOW_FRAMES - 1 :])
    assert not torch.equal(run(StyleMemory(1.0), codes[20:], 20)[1], whole[21])
