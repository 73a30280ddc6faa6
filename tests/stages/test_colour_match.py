"""Restored crops keep the input's colours and shades, and bring their detail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional

from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._mask import crop_mask

MASK = crop_mask(256, 0.12)
INSIDE = MASK > 0.9
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])


@pytest.fixture(scope="module")
def face() -> Tensor:
    """(3, 256, 256): the astronaut's head, in colour."""
    pixels = np.ascontiguousarray(data.astronaut()[:256, 96:352])
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def blurred(image: Tensor, size: int = 9) -> Tensor:
    pad = size // 2
    return functional.avg_pool2d(
        functional.pad(image[None], (pad,) * 4, mode="replicate"), size, 1
    )[0]


def test_an_unchanged_crop_leaves_nothing(face: Tensor) -> None:
    assert (matched_residual(face, face, MASK) == 0).all()


@pytest.mark.parametrize(
    "drift",
    [
        lambda x: x + 0.1,
        lambda x: x * torch.tensor([1.15, 1.0, 0.85])[:, None, None],
        lambda x: x + torch.linspace(-0.1, 0.1, 256),
    ],
    ids=["brighter", "warmer", "lit from the side"],
)
def test_drifts_of_colour_and_light_are_taken_out(drift: object, face: Tensor) -> None:
    soft = blurred(face, 31)
    drifted = drift(soft)  # type: ignore[operator]
    residual = matched_residual(drifted, soft, MASK)
    before, after = ((drifted - soft) * MASK).abs().mean(), (residual * MASK).abs().mean()
    assert after < 0.25 * before
    assert (residual * MASK).mean((1, 2)).abs().max() < 1 / 255


def test_detail_comes_through_whole(face: Tensor) -> None:
    soft = blurred(face, 7)
    residual = matched_residual(face, soft, MASK)
    detail = face - soft
    error = ((residual - detail) * MASK).square().mean()
    assert error < 0.02 * (detail * MASK).square().mean()


def test_a_black_and_white_input_stays_neutral(face: Tensor) -> None:
    grey = torch.tensordot(LUMA, blurred(face), 1).expand(3, -1, -1)
    residual = matched_residual(face, grey, MASK)  # the network brings colours
    assert (residual - residual.mean(0)).abs().max() < 1e-6
    assert residual.abs().mean() > 0.01, "and detail, which stays"


@pytest.mark.parametrize("tone", [(1.05, 1.0, 0.85), (0.9, 1.0, 1.1)])
def test_a_toned_film_keeps_its_tone(tone: tuple[float, ...], face: Tensor) -> None:
    """Grain and compression in chroma of one code value do not count as colour."""
    grey = torch.tensordot(LUMA, blurred(face), 1)
    noise = torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(0)) / 255
    tint = (torch.tensor(tone) - 1)[:, None, None] * 0.5
    toned = grey + tint + (noise - torch.tensordot(LUMA, noise, 1))
    residual = matched_residual(face, toned, MASK)
    chroma = residual - torch.tensordot(LUMA, residual, 1)
    assert chroma.abs().max() < 0.5 / 255


def test_colours_of_a_coloured_input_may_sharpen(face: Tensor) -> None:
    soft = blurred(face, 7)
    residual = matched_residual(face, soft, MASK)
    chroma = residual - torch.tensordot(LUMA, residual, 1)
    expected = (face - soft) - torch.tensordot(LUMA, face - soft, 1)
    assert ((chroma - expected) * MASK).square().mean() < 0.1 * (expected * MASK).square().mean()


def test_small_changes_of_the_input_make_small_changes(face: Tensor) -> None:
    """Steadiness: no threshold at which a result jumps, from colour to black-and-white."""
    grey = torch.tensordot(LUMA, face, 1).expand(3, -1, -1)
    soft = blurred(face, 7)
    previous = None
    for step in range(30):
        faded = torch.lerp(blurred(grey, 7), soft, step / 200)
        residual = matched_residual(face, faded, MASK) * MASK
        if previous is not None:
            assert (residual - previous).abs().max() < 10 / 255
        previous = residual


@pytest.mark.parametrize("size", [32, 64, 100, 512])
def test_any_crop_size_will_do(size: int, face: Tensor) -> None:
    crop = functional.interpolate(face[None], (size, size), mode="area")[0]
    residual = matched_residual((crop + 0.1).clamp(0, 1), crop, crop_mask(size, 0.12))
    assert residual.shape == (3, size, size) and torch.isfinite(residual).all()
    inside = crop_mask(size, 0.12) > 0.9
    assert residual[:, inside].abs().mean() < 0.03


def test_double_precision_gives_the_same(face: Tensor) -> None:
    sharp = face.double()
    torch.testing.assert_close(
        matched_residual(sharp, blurred(sharp), MASK.double()).float(),
        matched_residual(face, blurred(face), MASK),
        atol=1e-5,
        rtol=0,
    )
