"""Dirt that lives for one frame goes before the network sees it; what happens in life stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from vidrestore.config import BlendConfig
from vidrestore.geometry import identity
from vidrestore.stages._mask import crop_mask
from vidrestore.stages.blend import face_changes
from vidrestore.stages.conceal import conceal
from vidrestore.structs import Display, Face, Frame, Picture

SIZE = 256
_Image = NDArray[np.float32]
FACE = cv2.GaussianBlur(data.astronaut()[:SIZE, 96 : 96 + SIZE].astype(np.float32) / 255, (0, 0), 1)
CHEEK = 145, 110
PICTURE = Picture(
    tuple(torch.zeros(SIZE, SIZE, dtype=torch.uint8) for _ in range(3)),
    "gbrp", SIZE, SIZE, full_range=True, matrix="rgb", handle=None,
)  # fmt: skip


def moved_face(step: int) -> _Image:
    """The head as it turns and drifts slowly."""
    move = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 0.8 * step, 1 + 0.004 * step)
    move[:, 2] += 1.3 * step, 0.6 * step
    image = cv2.warpAffine(FACE, move, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(step).normal(0, 0.006, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


def spotted(image: _Image, x: int, y: int, radius: int, value: float) -> _Image:
    return cv2.circle(image.copy(), (x, y), radius, (value,) * 3, -1, cv2.LINE_AA)


def frames_of(crops: Sequence[_Image], cuts: Sequence[int] = (0,)) -> list[Frame]:
    display = Display(SIZE, SIZE, identity())
    frames = []
    for index, crop in enumerate(crops):
        source = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))
        face = Face(
            np.zeros(4), np.zeros((5, 2)), 0.9, 0, crop_from_frame=identity(), source_crop=source
        )
        frames.append(
            Frame(
                index, index, Fraction(1, 25), PICTURE, display, is_cut=index in cuts, faces=(face,)
            )
        )
    return frames


def seen(crops: Sequence[_Image], cuts: Sequence[int] = (0,)) -> list[Face]:
    return [frame.faces[0] for frame in conceal(frames_of(crops, cuts), SIZE)]


def untouched(faces: Sequence[Face]) -> bool:
    return all(face.concealed is None for face in faces)


def rms(values: _Image) -> float:
    return float(np.sqrt(np.square(values).mean()))


@settings(max_examples=8, deadline=None)
@given(
    x=st.integers(70, 180),
    y=st.integers(60, 190),
    radius=st.integers(2, 8),
    value=st.sampled_from([0.02, 0.98]),
)
def test_a_speck_goes_wherever_it_stands_out(x: int, y: int, radius: int, value: float) -> None:
    clean = [moved_face(step) for step in range(3)]
    dirty = [clean[0], spotted(clean[1], x, y, radius, value), clean[2]]
    if abs(float(clean[1][y - 9 : y + 10, x - 9 : x + 10].mean()) - value) < 0.35:
        return  # black on black
    faces = seen(dirty)
    assert untouched([faces[0], faces[2]])
    source = faces[1].source_crop
    assert source is not None and faces[1].concealed is not None
    left = source.numpy().transpose(1, 2, 0) - clean[1]
    spot = np.s_[max(0, y - 15) : y + 16, max(0, x - 15) : x + 16]
    assert rms(left[spot]) < 0.35 * rms((dirty[1] - clean[1])[spot])
    np.testing.assert_allclose(
        (source - faces[1].concealed).numpy().transpose(1, 2, 0), dirty[1], atol=1e-6
    )


def test_a_clean_face_is_left_as_it_is() -> None:
    assert untouched(seen([moved_face(step) for step in range(6)]))


def test_what_goes_on_in_a_following_frame_stays() -> None:
    """As a lid that is down for two frames."""
    crops = [moved_face(step) for step in range(5)]
    for k in (2, 3):
        crops[k] = spotted(crops[k], *CHEEK, 7, 0.05)
    assert untouched(seen(crops))


def test_a_flash_stays() -> None:
    crops = [moved_face(step) for step in range(3)]
    side = np.linspace(0.05, 0.2, SIZE, dtype=np.float32)[None, :, None]
    crops[1] = np.clip(crops[1] + side, 0, 1)
    assert untouched(seen(crops))


def test_large_changes_stay() -> None:
    """A hand before the face for one frame is no speck."""
    crops = [moved_face(step) for step in range(3)]
    crops[1] = spotted(crops[1], *CHEEK, 35, 0.9)
    assert untouched(seen(crops))


@pytest.mark.parametrize("cut", [1, 2])
def test_nothing_is_looked_at_across_a_cut(cut: int) -> None:
    crops = [moved_face(step) for step in range(3)]
    crops[1] = spotted(crops[1], *CHEEK, 5, 0.02)
    assert untouched(seen(crops, cuts=(0, cut)))


def test_a_lost_and_found_face_is_not_compared_across_the_gap() -> None:
    crops = [moved_face(step) for step in range(3)]
    crops[1] = spotted(crops[1], *CHEEK, 5, 0.02)
    frames = frames_of(crops)
    empty = Frame(3, 3, Fraction(1, 25), PICTURE, frames[0].display)
    given_back = list(conceal([frames[0], frames[1], empty, frames[2]], SIZE))
    assert untouched([face for frame in given_back for face in frame.faces])
    assert given_back[2] is empty


def test_one_frame_of_delay_and_no_more() -> None:
    pulled: list[int] = []

    def source() -> object:
        for frame in frames_of([moved_face(0)] * 6):
            pulled.append(frame.index)
            yield frame

    for frame in conceal(source(), SIZE):  # type: ignore[arg-type]
        assert len(pulled) <= frame.index + 2
    assert len(pulled) == 6


def test_the_dirt_leaves_the_frame_under_the_mask_alone() -> None:
    """With a network that changes nothing, blending takes the speck out, and only there."""
    crops = [moved_face(step) for step in range(3)]
    dirty = spotted(crops[1], *CHEEK, 5, 0.02)
    [frame] = [f for f in conceal(frames_of([crops[0], dirty, crops[2]]), SIZE) if f.index == 1]
    [face] = frame.faces
    shown = replace(frame, faces=(replace(face, crop=face.source_crop),))
    [change] = face_changes(shown, BlendConfig())
    expected = face.concealed * crop_mask(SIZE, BlendConfig().feather)  # type: ignore[operator]
    rows = slice(change.rect.y0, change.rect.y1)
    columns = slice(change.rect.x0, change.rect.x1)
    torch.testing.assert_close(change.residual, expected[:, rows, columns], atol=2e-3, rtol=0)
