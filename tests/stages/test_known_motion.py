"""A face that moves by known affines holds still in its crop: the promise of a steady alignment.

With perfect alignment `crop_from_frame[t] ∘ (what moved the face until t)` would be constant. How
far it strays from its mean is the error, its second difference over time the jitter; both in
pixels of the 512 px crop, at the five template points.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from moving_face import Moves, moving_face, pan, shake, still, turn, zoom

from vidrestore.config import AlignConfig, DetectConfig, TrackConfig
from vidrestore.geometry import apply, compose, display_from_coded, invert
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.templates import landmark_template
from vidrestore.stages.align import align
from vidrestore.stages.detect import detect
from vidrestore.stages.track import track
from vidrestore.structs import Array, Frame

TEMPLATE = landmark_template("ffhq", 512)
COUNT = 30
MOTIONS: dict[str, Moves] = {
    "still": still(20),
    "pan": pan(COUNT),
    "zoom": zoom(16),
    "shake": shake(COUNT),
    "turn": turn(COUNT),
    "fast": pan(16, 10, x=120),
}
PLUS_90 = np.array([[0.0, -1.0], [1.0, 0.0]])
SHAPES: dict[str, tuple[float, Array | None]] = {
    "+90": (1.0, PLUS_90),
    "-90": (1.0, -PLUS_90),
    "180": (1.0, -np.eye(2)),
    "mirrored": (1.0, np.diag([-1.0, 1.0])),
    "sar 8:9": (8 / 9, None),
    "sar 64:45": (64 / 45, None),
    "sar 64:45, +90": (64 / 45, PLUS_90),
}


def aligned(
    frames: list[Frame],
    detector: FaceDetector,
    looks: DetectConfig = DetectConfig(),  # noqa: B008
    *,
    window_s: float = 1.0,
) -> list[Frame]:
    """Frames with alignments, as the pipeline makes them."""
    looked = detect(frames, detector, looks)
    return list(align(track(looked, TrackConfig()), AlignConfig(window_s=window_s), TEMPLATE))


def path(frames: list[Frame], moves: Moves) -> Array:
    """(T, 5, 2) where points fixed to the face, at the template in the first crop, are in each."""
    crop_from_portrait = []
    for frame, move in zip(frames, moves, strict=True):
        assert len(frame.faces) == 1, f"{len(frame.faces)} faces in frame {frame.index}"
        crop_from_frame = frame.faces[0].crop_from_frame
        assert crop_from_frame is not None
        coded_from_portrait = compose(invert(frame.display.display_from_coded), move)
        crop_from_portrait.append(compose(crop_from_frame, coded_from_portrait))
    points = apply(invert(crop_from_portrait[0]), TEMPLATE)
    return np.stack([apply(one, points) for one in crop_from_portrait])


def error_px(way: Array) -> float:
    """How far the points stray from their mean, rms."""
    return float(np.sqrt(((way - way.mean(0)) ** 2).sum(-1).mean()))


def jitter_px(way: Array) -> float:
    """Second difference over time, rms."""
    return float(np.sqrt((np.diff(way, 2, axis=0) ** 2).sum(-1).mean()))


def per_frame_jitter_px(frames: list[Frame], moves: Moves, detector: FaceDetector) -> float:
    """Of the usual way: every frame is looked at, once, and stands alone."""
    usual = DetectConfig(every_frames=1, refine_passes=0, rotated=False)
    return jitter_px(path(aligned(frames, detector, usual, window_s=0.0), moves))


def named(cases: Mapping[str, object], *, briefly: set[str]) -> list[Any]:
    """All cases, of which those named stand for the others in a short run."""
    return [pytest.param(name, marks=() if name in briefly else pytest.mark.soak) for name in cases]


@functools.cache
def frames_of(name: str) -> list[Frame]:
    return moving_face(MOTIONS[name])


@pytest.mark.parametrize("name", named(MOTIONS, briefly={"zoom"}))
def test_a_moving_face_holds_still_in_its_crop(name: str, detector: FaceDetector) -> None:
    _check(frames_of(name), MOTIONS[name], detector)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["zoom", "shake"])
def test_with_the_public_detector_too(name: str, retinaface: FaceDetector) -> None:
    _check(frames_of(name), MOTIONS[name], retinaface)


@pytest.mark.parametrize("name", named(SHAPES, briefly={"sar 64:45, +90"}))
def test_however_the_picture_is_coded(name: str, detector: FaceDetector) -> None:
    sar, matrix = SHAPES[name]
    _, width, height = display_from_coded(640, 480, sar=sar, matrix=matrix)
    moves = shake(24, x=width / 2, y=height / 2)
    _check(moving_face(moves, sar=sar, matrix=matrix), moves, detector)


@pytest.mark.soak
def test_in_a_larger_picture(detector: FaceDetector) -> None:
    moves = shake(16, 20, x=640, y=360)
    _check(moving_face(moves, 1280, 720), moves, detector)


def _check(frames: list[Frame], moves: Moves, detector: FaceDetector) -> None:
    way = path(aligned(frames, detector), moves)
    usual = per_frame_jitter_px(frames[:10], moves[:10], detector)
    print(f"error {error_px(way):.3f} px, jitter {jitter_px(way):.4f} px, per frame {usual:.3f} px")
    assert error_px(way) <= 0.35
    assert jitter_px(way) <= usual / 8


def test_a_fast_move_is_followed_without_lag(detector: FaceDetector) -> None:
    """A pan that starts and stops at once: the crop neither waits for it nor overshoots."""
    x = np.concatenate([np.full(12, 200.0), 200 + 8 * np.arange(1, 16), np.full(12, 320.0)])
    moves = [pan(1, 0, x=float(at))[0] for at in x]
    way = path(aligned(moving_face(moves), detector), moves)
    assert np.abs(way - way.mean(0)).max() < 1.5
