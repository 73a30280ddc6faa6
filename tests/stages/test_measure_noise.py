"""Grain is measured around a face, taken out with what is restored, and drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from moving_face import landmarks, moving_face, pan, still
from numpy.typing import NDArray

from vidrestore.config import BlendConfig, TemporalFilterConfig
from vidrestore.geometry import similarity_from_points
from vidrestore.models.templates import landmark_template
from vidrestore.stages.blend import blend, face_mask
from vidrestore.stages.measure_noise import FRAMES, measure_noise
from vidrestore.stages.restore import crop_face
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.structs import Array, Face, Frame

SIZE = 256
TEMPLATE = landmark_template("ffhq", SIZE)
MOVES = still(8)
SIGMA = 9.0


def aligned(frames: Sequence[Frame], moves: Sequence[Array], first: int = 0) -> list[Frame]:
    """The frames with one face, of track 3, from the frame `first` on."""
    found = []
    for index, (frame, points) in enumerate(zip(frames, landmarks(moves), strict=True)):
        face = Face(
            np.concatenate([points.min(0), points.max(0)]), points, 1.0, 3,
            crop_from_frame=similarity_from_points(TEMPLATE, points),
        )  # fmt: skip
        found.append(replace(frame, faces=(face,)) if index >= first else frame)
    return found


def measured(frames: Sequence[Frame]) -> list[Frame]:
    return list(measure_noise(frames, SIZE))


def test_a_track_keeps_the_noise_of_its_first_frames() -> None:
    frames = aligned(moving_face(pan(10), noise=SIGMA), pan(10))
    noises = {id(frame.faces[0].noise) for frame in measured(frames)}
    assert len(noises) == 1
    noise = measured(frames)[0].faces[0].noise
    assert noise is not None
    # White noise of red, green and blue, in luma of 4:2:0.
    expected = SIGMA / 255 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert noise.components[0].sigma.mean() == pytest.approx(expected, rel=0.15)
    later = measured([*frames[:FRAMES], *aligned(moving_face(pan(10), noise=0), pan(10))[FRAMES:]])
    assert later[-1].faces[0].noise is not None
    np.testing.assert_array_equal(
        later[-1].faces[0].noise.components[0].sigma, noise.components[0].sigma
    )


def test_every_shot_is_measured_anew() -> None:
    noisy = aligned(moving_face(still(8), noise=SIGMA), MOVES)[:4]
    clean = aligned(moving_face(still(8), noise=0), MOVES)[4:]
    found = measured([*noisy, replace(clean[0], is_cut=True), *clean[1:]])
    sigmas = [frame.faces[0].noise.components[0].sigma.max() for frame in found]  # type: ignore[union-attr]
    assert min(sigmas[:4]) > 0.01 and max(sigmas[4:]) == 0


def test_a_face_that_comes_later_is_measured_from_there() -> None:
    found = measured(aligned(moving_face(still(8), noise=SIGMA), MOVES, first=5))
    assert [len(frame.faces) for frame in found] == [0] * 5 + [1] * 3
    assert all(frame.faces[0].noise is not None for frame in found[5:])


def test_one_frame_alone_is_not_measured() -> None:
    [frame] = measured(aligned(moving_face(still(1), noise=SIGMA), still(1)))
    assert frame.faces[0].noise is None


def test_faces_that_are_not_restored_are_not_measured() -> None:
    frames = aligned(moving_face(still(3), noise=SIGMA), still(3))
    faint = [replace(f, faces=(replace(f.faces[0], strength=0.0),)) for f in frames]
    assert all(frame.faces[0].noise is None for frame in measured(faint))


def test_no_more_frames_are_held_back_than_are_measured() -> None:
    frames = aligned(moving_face(still(12), noise=SIGMA), still(12))
    taken: list[int] = []

    def source():  # type: ignore[no-untyped-def]
        for frame in frames:
            taken.append(frame.index)
            yield frame

    for frame in measure_noise(source(), SIZE):
        assert taken[-1] <= frame.index + FRAMES - 1


def blended(grain: float) -> tuple[NDArray[np.float32], NDArray[np.float32], Frame]:
    """What a restorer that knows the truth leaves, less the truth: luma of 0 to 255, (T, H, W); and
    the same of the input."""
    clean = aligned(moving_face(MOVES, noise=0), MOVES)
    noisy = measured(aligned(moving_face(MOVES, noise=SIGMA), MOVES))
    restored = [
        replace(
            frame,
            faces=(
                replace(
                    frame.faces[0],
                    source_crop=crop_face(frame.picture, frame.faces[0].crop_from_frame, SIZE),  # type: ignore[arg-type]
                    crop=crop_face(true.picture, frame.faces[0].crop_from_frame, SIZE),  # type: ignore[arg-type]
                ),
            ),
        )
        for frame, true in zip(noisy, clean, strict=True)
    ]
    steady = temporal_filter(restored, TemporalFilterConfig())
    done = list(blend(steady, BlendConfig(grain=grain)))
    errors = [
        np.stack([luma(a) - luma(b) for a, b in zip(frames, clean, strict=True)])
        for frames in (done, noisy)
    ]
    return errors[0], errors[1], restored[0]


def luma(frame: Frame) -> NDArray[np.float32]:
    return frame.picture.planes[0].numpy().astype(np.float32) * np.float32(255 / 219)


@pytest.mark.parametrize("grain", [0.0, pytest.param(0.5, marks=pytest.mark.soak), 1.0])
def test_the_face_gets_the_grain_that_is_wanted(grain: float) -> None:
    """Inside as much as asked for; the soft border goes over into the input without a dip."""
    after, before, frame = blended(grain)
    mask, rect = face_mask(frame.faces[0], frame.picture, BlendConfig())
    part = np.s_[:, rect.y0 : rect.y1, rect.x0 : rect.x1]
    weights = mask.numpy()

    def strength(error: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
        fine = error - np.stack([cv2.GaussianBlur(e, (0, 0), 2) for e in error])
        return float(fine[part][:, where].std())

    inside, border = weights > 0.98, (weights > 0.3) & (weights < 0.7)
    own = strength(before, inside)
    if grain == 0:
        assert strength(after, inside) < 0.3 * own
        return
    assert strength(after, inside) == pytest.approx(grain * own, rel=0.2)
    around = strength(before, border)
    assert strength(after, border) == pytest.approx((0.5 + 0.5 * grain) * around, rel=0.2)
    fresh = np.corrcoef(after[part][:, inside].ravel(), before[part][:, inside].ravel())[0, 1]
    assert fresh < 0.5, "the grain is drawn, not that of the input"


def test_a_clean_recording_is_blended_as_without_a_measurement() -> None:
    frames = measured(aligned(moving_face(MOVES, noise=0), MOVES))
    for frame in frames[:2]:
        [face] = frame.faces
        source = crop_face(frame.picture, face.crop_from_frame, SIZE)  # type: ignore[arg-type]
        whole = replace(face, source_crop=source, crop=(source * 1.2).clamp(0, 1))
        with_it, without = (
            next(blend([replace(frame, faces=(one,))], BlendConfig()))
            for one in (whole, replace(whole, noise=None))
        )
        for a, b in zip(with_it.picture.planes, without.picture.planes, strict=True):
            assert (a == b).all()
