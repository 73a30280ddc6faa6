"""Lines down the frame go where they stand still; lines of the face and faint ones stay."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from vidrestore.degradations.film import Scratch, scratches
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._scratches import Ridges, find_ridges, find_scratches, scratch_light

SIZE, FRAME = 256, 400
_Image = NDArray[np.float32]
PORTRAIT = data.astronaut()[:SIZE, 96 : 96 + SIZE].astype(np.float32) / 255
MASK = crop_mask(SIZE, 0.12).numpy()


def face_at(x: float, y: float) -> _Image:
    """(FRAME, FRAME, 3): the portrait at a place of the frame."""
    move = np.array([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(PORTRAIT, move, (FRAME, FRAME), borderMode=cv2.BORDER_REPLICATE)


def to_crop(x: float, y: float, degrees: float = 0.0) -> NDArray[np.float64]:
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), degrees, 1)
    turn[:, 2] += turn[:, :2] @ [-x, -y]
    return turn


def cut_out(frame: _Image, crop_from_frame: NDArray[np.float64]) -> _Image:
    return cv2.warpAffine(frame, crop_from_frame, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)


def ridges(crop: _Image, crop_from_frame: NDArray[np.float64]) -> Ridges:
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return find_ridges(gray, MASK, crop_from_frame, (FRAME, FRAME))


PLACES = [(60.0, 70.0), (68.0, 72.0), (75.0, 73.0)]
"""Where the face is in three frames: it moves."""


def cases(
    lines: Sequence[Scratch], degrees: float = 0.0
) -> tuple[list[_Image], list[_Image], list[Ridges]]:
    """Crops with scratches, without, and ridges of the first."""
    dirty, clean, found = [], [], []
    for x, y in PLACES:
        matrix, frame = to_crop(x, y, degrees), face_at(x, y)
        clean.append(cut_out(frame, matrix))
        dirty.append(cut_out(scratches(frame, lines, FRAME / 1000), matrix))
        found.append(ridges(dirty[-1], matrix))
    return dirty, clean, found


def rms(values: _Image) -> float:
    return float(np.sqrt(np.mean(np.square(values) * MASK[..., None])))


def line(x: float, depth: float, slant: float = 0.002) -> Scratch:
    return Scratch(x / FRAME, slant, 5.0, depth, -1.0, 2.0)


@pytest.mark.parametrize("degrees", [0.0, 12.0])
@pytest.mark.parametrize("depth", [0.25, -0.3])
def test_a_scratch_is_found_and_what_it_adds_subtracted(depth: float, degrees: float) -> None:
    dirty, clean, found = cases([line(180, depth), line(230, -depth, -0.004)], degrees)
    lines = find_scratches(found[1], [found[0], found[2]])
    assert len(lines) == 2
    left = dirty[1] - scratch_light(dirty[1], found[1], lines) - clean[1]
    assert rms(left) < 0.65 * rms(dirty[1] - clean[1])


def test_a_clean_face_has_none() -> None:
    _, _, found = cases([])
    assert find_scratches(found[1], [found[0], found[2]]) == []


def test_a_line_that_moves_with_the_face_is_no_scratch() -> None:
    found = []
    for x, y in PLACES:
        frame, matrix = face_at(x, y), to_crop(x, y)
        frame = scratches(frame, [line(x + 120, 0.3)], FRAME / 1000)
        found.append(ridges(cut_out(frame, matrix), matrix))
    assert find_scratches(found[1], [found[0], found[2]]) == []


def test_a_line_of_one_frame_alone_or_without_neighbours_is_not_taken_for_one() -> None:
    _, _, dirty = cases([line(180, 0.3)])
    _, _, clean = cases([])
    assert find_scratches(dirty[1], [clean[0], clean[2]]) == []
    assert find_scratches(dirty[1], []) == []


def test_repeated_edges_beyond_the_picture_are_no_lines() -> None:
    """Above the top of the frame the crop repeats its first row, which makes columns."""
    rng = np.random.default_rng(0)
    frame = np.full((FRAME, FRAME, 3), 0.5, np.float32)
    frame[0] = rng.random((FRAME, 1))
    matrices = [to_crop(x, -200.0) for x in (60.0, 61.0)]
    found = [ridges(cut_out(frame, matrix), matrix) for matrix in matrices]
    assert find_scratches(found[0], [found[1]]) == []


@pytest.mark.parametrize("size", [16, 32, 64])
def test_crops_of_small_networks_are_searched(size: int) -> None:
    """The thinnest lines looked for are less than a pixel wide in them."""
    rng = np.random.default_rng(0)
    luma, mask = rng.random((size, size), np.float32), np.ones((size, size), np.float32)
    found = find_ridges(luma, mask, np.eye(2, 3), (size, size))
    assert found.heights.shape[1:] == found.inside.shape
    assert np.isfinite(found.heights).all()
