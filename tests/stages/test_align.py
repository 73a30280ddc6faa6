"""A steady alignment: exact on constant input, free of lag, the same from every point of view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vidrestore.config import AlignConfig
from vidrestore.geometry import (
    apply,
    compose,
    compose_similarity,
    display_from_coded,
    identity,
    invert,
    similarity_from_points,
)
from vidrestore.models.templates import landmark_template
from vidrestore.stages.align import align, smooth_landmarks
from vidrestore.structs import Array, Display, Face, Frame

TEMPLATE = landmark_template("ffhq", 512)
FACE = np.array([(147.2, 103.0), (190.0, 103.8), (168.7, 129.6), (145.9, 139.3), (190.0, 139.9)])
CONFIG = AlignConfig(window_s=0.4)
SIMILARITIES = st.builds(
    compose_similarity,
    st.floats(-1, 1),
    st.floats(-3, 3),
    hnp.arrays(np.float64, 2, elements=st.floats(-300, 300)),
)


def shot(points: Array, motions: list[Array], fps: float = 25) -> list[Frame]:
    """Frames with one face: (T, 5, 2) landmarks, and the T - 1 motions between them."""
    display = Display(640, 480, identity())
    frames = []
    for index, five in enumerate(points):
        motion = motions[index - 1] if index else None
        face = Face(np.zeros(4), five, 0.9, 0, index % 5 == 0, motion)
        pts = round(index / fps * 90000)
        frame = Frame(
            index, pts, Fraction(1, 90000), None, display, is_cut=index == 0, faces=(face,)
        )  # type: ignore[arg-type]
        frames.append(frame)
    return frames


def random_shot(seed: int, count: int = 24, noise_px: float = 1.0) -> list[Frame]:
    """A face on a random way, with detector noise on its landmarks."""
    rng = np.random.default_rng(seed)
    motions = [
        compose_similarity(*rng.normal(0, (0.01, 0.02)), rng.normal(0, 3, 2))
        for _ in range(count - 1)
    ]
    points = [FACE]
    for motion in motions:
        points.append(apply(motion, points[-1]))
    return shot(np.stack(points) + rng.normal(0, noise_px, (count, 5, 2)), motions)


def crops(frames: list[Frame], config: AlignConfig = CONFIG) -> Array:
    """(T, 2, 3) the alignments."""
    out = []
    for frame in align(frames, config, TEMPLATE):
        assert frame.faces[0].crop_from_frame is not None
        out.append(frame.faces[0].crop_from_frame)
    return np.stack(out)


def seen_in_crop(alignments: Array, frames: list[Frame]) -> Array:
    """(T, 5, 2) where points that move with the face come to lie in the crop."""
    points = [FACE]
    for frame in frames[1:]:
        points.append(apply(frame.faces[0].motion, points[-1]))  # type: ignore[arg-type]
    return np.stack([apply(c, p) for c, p in zip(alignments, points, strict=True)])


def test_equal_landmarks_give_bitwise_equal_crops() -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(FACE[None] + rng.normal(0, 1, (1, 5, 2)), 30, axis=0)
    alignments = crops(shot(points, [identity()] * 29))
    assert all(np.array_equal(one, alignments[0]) for one in alignments)
    np.testing.assert_array_equal(alignments[0], similarity_from_points(TEMPLATE, points[0]))


@given(st.integers(0, 10**6), SIMILARITIES)
@settings(max_examples=25, deadline=None)
def test_the_point_of_view_does_not_matter(seed: int, view: Array) -> None:
    """Shifting, turning and scaling the whole video does the same to the alignment."""
    frames = random_shot(seed)
    moved = []
    for frame in frames:
        face = frame.faces[0]
        motion = face.motion
        if motion is not None:
            motion = compose(compose(view, motion), invert(view))
        face = replace(face, landmarks=apply(view, face.landmarks), motion=motion)
        moved.append(replace(frame, faces=(face,)))
    for a, b in zip(crops(frames), crops(moved), strict=True):
        np.testing.assert_allclose(apply(a, FACE), apply(compose(b, view), FACE), atol=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_time_has_no_direction(seed: int) -> None:
    """Played backwards, the alignments are the same, backwards: there is no lag."""
    frames = random_shot(seed)
    motions = [invert(f.faces[0].motion) for f in frames[:0:-1] if f.faces[0].motion is not None]
    back = shot(np.stack([f.faces[0].landmarks for f in frames[::-1]]), motions)
    np.testing.assert_allclose(crops(frames), crops(back)[::-1], atol=1e-6)


def test_noise_is_averaged_and_motion_is_not() -> None:
    frames = random_shot(3, count=60)
    steady, raw = (seen_in_crop(crops(frames, AlignConfig(window_s=w)), frames) for w in (1.0, 0.0))
    scatter = [np.abs(np.diff(path, 2, axis=0)).mean() for path in (steady, raw)]
    assert scatter[0] < 0.05 * scatter[1]
    exact = random_shot(3, count=60, noise_px=0)
    still = seen_in_crop(crops(exact, AlignConfig(window_s=1.0)), exact)
    assert np.abs(still - still[0]).max() < 1e-6, "with exact landmarks nothing may lag"


def test_without_a_window_every_frame_stands_alone() -> None:
    frames = random_shot(1)
    for frame, one in zip(frames, crops(frames, AlignConfig(window_s=0)), strict=True):
        expected = similarity_from_points(TEMPLATE, frame.faces[0].landmarks)
        np.testing.assert_array_equal(one, expected)


def test_nothing_is_averaged_across_a_cut_or_a_break() -> None:
    frames = random_shot(2, count=20)
    alone = np.concatenate([crops(frames[:9]), crops(_begun(frames[9:]))])
    np.testing.assert_array_equal(crops([*frames[:9], *_begun(frames[9:])]), alone)
    face = replace(frames[9].faces[0], motion=None)
    broken = [*frames[:9], replace(frames[9], faces=(face,)), *frames[10:]]
    np.testing.assert_array_equal(crops(broken), alone)


def _begun(frames: list[Frame]) -> list[Frame]:
    face = replace(frames[0].faces[0], motion=None)
    return [replace(frames[0], is_cut=True, faces=(face,)), *frames[1:]]


def test_people_do_not_mix() -> None:
    one, other = random_shot(4), random_shot(5)
    both = []
    for a, b in zip(one, other, strict=True):
        face = replace(b.faces[0], track_id=1, landmarks=b.faces[0].landmarks + 200)
        both.append(replace(a, faces=(face, *a.faces)))
    out = list(align(both, CONFIG, TEMPLATE))
    assert all([face.track_id for face in frame.faces] == [1, 0] for frame in out)
    np.testing.assert_array_equal([f.faces[1].crop_from_frame for f in out], crops(one))


def test_one_wild_detection_does_not_drag_its_neighbours() -> None:
    frames = random_shot(6, count=30, noise_px=0)
    wild = replace(frames[15].faces[0], landmarks=frames[15].faces[0].landmarks + 60)
    hit = [*frames[:15], replace(frames[15], faces=(wild,)), *frames[16:]]
    moved = seen_in_crop(crops(hit), frames) - seen_in_crop(crops(frames), frames)
    others = np.abs(np.delete(moved, 15, axis=0)).max()
    assert others < 1.0, f"{others:.2f} px of the crop"


@pytest.mark.parametrize("sar", [1.0, 8 / 9, 64 / 45])
def test_crops_are_aligned_as_shown(sar: float) -> None:
    """In the crop the face has square pixels, and is upright, however it is coded."""
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    shown, width, height = display_from_coded(704, 480, sar=sar, matrix=quarter)
    frames = [replace(f, display=Display(width, height, shown)) for f in random_shot(7)]
    for frame, plain, one in zip(frames, crops(random_shot(7)), crops(frames), strict=True):
        np.testing.assert_allclose(one, compose(plain, frame.display.display_from_coded))


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_the_window_is_in_seconds(fps: float) -> None:
    """Frames wait for `window_s` of video, no longer, whatever the rate."""
    frames = [replace(f, pts=round(f.index / fps * 90000)) for f in random_shot(8, count=100)]
    taken: list[Frame] = []

    def feed() -> Iterator[Frame]:
        for frame in frames:
            taken.append(frame)
            yield frame

    given = []
    for frame in align(feed(), CONFIG, TEMPLATE):
        if len(taken) < len(frames):
            assert taken[-1].pts - frame.pts == pytest.approx(0.4 * 90000, abs=90000 / fps)
        given.append(frame)
    assert [frame.index for frame in given] == list(range(100))


def test_frames_without_faces_pass() -> None:
    frames = [replace(frame, faces=()) for frame in random_shot(9)]
    out = list(align(frames, CONFIG, TEMPLATE))
    assert [frame.index for frame in out] == list(range(len(frames)))


@given(
    hnp.arrays(np.float64, (6, 5, 2), elements=st.floats(-4, 4)),
    hnp.arrays(np.float64, 5, elements=st.floats(0, 1)),
)
@settings(max_examples=50, deadline=None)
def test_a_mean_lies_between(errors: Array, weights: Array) -> None:
    own, carried = FACE + errors[0], FACE + errors[1:]
    mean = smooth_landmarks(own, carried, weights)
    everything = np.concatenate([own[None], carried])
    assert (mean >= everything.min(0) - 1e-9).all() and (mean <= everything.max(0) + 1e-9).all()
    np.testing.assert_allclose(mean, smooth_landmarks(own, carried[::-1], weights[::-1]))
    np.testing.assert_array_equal(smooth_landmarks(own, np.repeat(own[None], 5, 0), weights), own)
