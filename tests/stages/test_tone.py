"""Toned and hand-coloured pictures keep the colouring that they have; colours stay free."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from torch import Tensor

from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._tone import measure_tone, rgb_from_chroma

SIZE = 128
MASK = crop_mask(SIZE, 0.12)
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])
WARM, COOL = torch.tensor([-0.10, 0.06]), torch.tensor([0.08, -0.05])
"""Cb and Cr of highlights and shadows."""


@pytest.fixture(scope="module")
def face() -> Tensor:
    """(3, 128, 128): the astronaut's head, in colour."""
    pixels = cv2.resize(data.astronaut()[:256, 96:352], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def luma(image: Tensor) -> Tensor:
    return torch.tensordot(LUMA, image, 1)


def chroma(image: Tensor) -> Tensor:
    return image - luma(image)


def soft(image: Tensor) -> Tensor:
    return torch.from_numpy(cv2.GaussianBlur(image.permute(1, 2, 0).numpy(), (0, 0), 2)).permute(
        2, 0, 1
    )


def gray(image: Tensor) -> Tensor:
    return luma(image).expand(3, -1, -1).contiguous()


def split_toned(image: Tensor, amount: float = 1.0) -> Tensor:
    """Warm where it is light and cool where it is dark, by a curve."""
    y = luma(image)
    tone = WARM[:, None, None] * y**1.5 + COOL[:, None, None] * (1 - y) ** 1.5
    return y + amount * rgb_from_chroma(tone)


def sepia(image: Tensor) -> Tensor:
    return luma(image) * torch.tensor([1.12, 1.0, 0.78])[:, None, None]


def hand_coloured(image: Tensor, strength: float = 1.0) -> Tensor:
    """Pink cheeks and red lips, painted with a broad brush, over a blue ground."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    dyes = torch.zeros(2, SIZE, SIZE)
    for (cx, cy, rx, ry), (cb, cr) in (
        ((0.5, 0.5, 2, 2), (0.03, -0.02)),
        ((0.5, 0.55, 0.35, 0.42), (-0.05, 0.05)),
        ((0.5, 0.75, 0.14, 0.05), (-0.01, 0.08)),
    ):
        spot = (np.hypot((x - cx) / rx, (y - cy) / ry) < 1).astype(np.float32)
        spot = torch.from_numpy(cv2.GaussianBlur(spot, (0, 0), 0.03 * SIZE))
        dyes += spot * torch.tensor([cb, cr])[:, None, None]
    return gray(image) + strength * rgb_from_chroma(dyes)


def under_mask(values: Tensor) -> float:
    return float((values.square() * MASK).mean().sqrt())


@pytest.mark.parametrize("tone", [sepia, split_toned])
def test_a_toned_picture_gets_its_tone_at_the_new_luma(tone: object, face: Tensor) -> None:
    seen, truth = tone(soft(face)), tone(face)  # type: ignore[operator]
    residual = matched_residual(face, seen, MASK)  # the network brings colours of its own
    left, kept = chroma(seen + residual - truth), chroma(seen - truth)
    shown = luma(seen + residual)
    expected = chroma(tone(shown.expand(3, -1, -1)))  # type: ignore[operator]
    assert under_mask(chroma(seen + residual) - expected) < 1.5 / 255
    assert under_mask(left) < 0.6 * under_mask(kept), "nearer to the truth than the old chroma"


def test_hand_colouring_stays_as_it_was_painted(face: Tensor) -> None:
    seen = hand_coloured(soft(face))
    residual = matched_residual(face, seen, MASK)
    assert chroma(residual).abs().max() < 0.1 / 255
    assert under_mask(luma(residual)) > 0.01, "and detail comes"


def test_colours_are_told_from_tones_and_dyes(face: Tensor) -> None:
    for picture, toned, coloured in (
        (face, 0, 1),
        (gray(face), 1, 0),
        (sepia(face), 1, 0),
        (split_toned(face), 1, 0),
        (hand_coloured(face), 0, 0),
    ):
        tone = measure_tone(picture, MASK)
        assert float(tone.toned) == pytest.approx(toned, abs=0.05)
        assert float(tone.coloured) == pytest.approx(coloured, abs=0.05)


@settings(max_examples=10, deadline=None)
@given(cb=st.floats(-0.05, 0.05), cr=st.floats(-0.05, 0.05), bend=st.floats(1, 2))
def test_any_tone_is_found_again(cb: float, cr: float, bend: float) -> None:
    y = torch.linspace(0, 1, SIZE).expand(SIZE, SIZE)
    tone = torch.tensor([cb, cr])[:, None, None] * y**bend
    measured = measure_tone(y + rgb_from_chroma(tone), torch.ones(SIZE, SIZE))
    assert float(measured.toned) == 1
    assert (measured.chroma(y) - tone).abs().max() < 1.5 / 255


def test_chroma_has_no_luma() -> None:
    chroma_only = rgb_from_chroma(torch.rand(2, 5, 5) - 0.5)
    assert luma(chroma_only).abs().max() < 1e-6


def test_no_measure_jumps(face: Tensor) -> None:
    """From sepia to hand-coloured to coloured in small steps: small changes."""
    seen = [torch.lerp(sepia(face), hand_coloured(face), k / 12) for k in range(13)]
    seen += [torch.lerp(hand_coloured(face), face, k / 12) for k in range(1, 13)]
    shares = [measure_tone(picture, MASK) for picture in seen]
    for name in ("toned", "coloured"):
        values = np.array([float(getattr(tone, name)) for tone in shares])
        assert np.abs(np.diff(values)).max() < 0.75
