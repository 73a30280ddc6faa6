"""The display matrix leads from coded pixels to what a person sees."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from videos import make_video

from vidrestore.geometry import apply
from vidrestore.video.picture.display import IDENTITY_MATRIX, display_of, linear_part, rotation_of
from vidrestore.video.read.probe import probe

ONE = 65536


def test_no_matrix_and_the_identity_are_upright() -> None:
    assert linear_part(None) is None
    assert linear_part(IDENTITY_MATRIX) is None
    assert rotation_of(IDENTITY_MATRIX) == (0, False)


def test_a_matrix_that_flattens_the_picture_is_ignored() -> None:
    assert linear_part((ONE, 0, 0, ONE, 0, 0, 0, 0, 1 << 30)) is None


def test_a_slanting_matrix_of_a_damaged_file_is_ignored() -> None:
    assert linear_part((ONE, 0, 0, ONE << 14, ONE, 0, 0, 0, 1 << 30)) is None
    anamorphic = linear_part((2 * ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30))
    assert anamorphic is not None


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_written_rotations_are_read_back(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = make_video(tmp_path / "turned.mp4", pts=range(2), rotation=(degrees, mirrored))
    info = probe(path)
    assert info.mirrored == mirrored
    if not mirrored:
        assert info.rotation % 360 == degrees % 360
    sideways = degrees in (90, -90)
    assert (info.display.width, info.display.height) == ((48, 64) if sideways else (64, 48))


def test_counter_clockwise_turns_right_to_up() -> None:
    """Ninety degrees counter-clockwise: what points right in the file points up on the screen."""
    matrix = (0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30)
    assert rotation_of(matrix) == (90, False)
    shown = display_of(64, 48, Fraction(1), matrix)
    origin, right = apply(shown.display_from_coded, [[0.0, 0.0], [10.0, 0.0]])
    np.testing.assert_allclose(right - origin, [0, -10])


def test_mirroring_comes_before_the_turn() -> None:
    """A flip of the coded picture left to right, then a quarter turn counter-clockwise."""
    matrix = (0, ONE, 0, ONE, 0, 0, 0, 0, 1 << 30)
    assert rotation_of(matrix) == (90, True)
    linear = linear_part(matrix)
    assert linear is not None
    flip, turn = np.diag([-1.0, 1.0]), np.array([[0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(linear, turn @ flip, atol=1e-12)


def test_pixels_are_made_square_before_the_turn() -> None:
    matrix = (0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30)
    shown = display_of(90, 60, Fraction(64, 45), matrix)
    assert (shown.width, shown.height) == (60, 128)


def test_a_phone_clip_is_shown_turned_to_the_left(shared: Path) -> None:
    info = probe(shared / "clips" / "phone_portrait.mp4")
    assert info.rotation == 90
    with av.open(str(info.path)) as container:
        coded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    upright = cv2.warpAffine(
        coded, info.display.display_from_coded, (info.display.width, info.display.height)
    )
    assert np.abs(upright.astype(int) - np.rot90(coded).astype(int)).max() == 0
