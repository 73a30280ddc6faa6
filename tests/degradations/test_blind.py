"""Degradations keep what they promise: formulas, alignment, seeds, ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass, gaussian_filter

from vidrestore import degradations
from vidrestore.degradations import BlindVideo, Coding, Degradation
from vidrestore.degradations.applying import apply_to_video


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


@given(st.floats(0.8, 4), st.floats(0.8, 4), st.floats(0, np.pi))
@settings(max_examples=50, deadline=None)
def test_kernels_have_the_covariance_of_their_formula(sx: float, sy: float, angle: float) -> None:
    kernel = degradations.gaussian_kernel(sx, sy, angle)
    radius = kernel.shape[0] // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wanted = turn @ np.diag([sx**2, sy**2]) @ turn.T
    found = np.array([[(kernel * u * v).sum() for v in (x, y)] for u in (x, y)])
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(found, wanted, atol=0.03 * max(sx, sy) ** 2)


def test_blur_is_that_of_scipy(picture: np.ndarray) -> None:
    theirs = gaussian_filter(picture, (2, 2, 0), mode="mirror", radius=(6, 6, 0))
    assert np.allclose(degradations.blur(picture, 2, 2), theirs, atol=1e-4)


def test_shift_moves_by_whole_pixels(picture: np.ndarray) -> None:
    moved = degradations.shift(picture, 3, -2)
    assert np.allclose(moved[:-2, 3:], picture[2:, :-3], atol=1e-6)


def test_noise_has_its_deviation() -> None:
    flat = np.full((200, 200, 3), 0.5, np.float32)
    coloured = degradations.gaussian_noise(flat, 0.05, np.random.default_rng(0), gray=False)
    neutral = degradations.gaussian_noise(flat, 0.05, np.random.default_rng(0), gray=True)
    shot = degradations.shot_noise(flat, 200, np.random.default_rng(0))
    assert coloured.std() == pytest.approx(0.05, rel=0.02)
    assert neutral.std() == pytest.approx(0.05, rel=0.02)
    assert np.ptp(neutral, axis=2).max() == 0 < np.ptp(coloured, axis=2).min()
    assert shot.var() == pytest.approx(0.5 / 200, rel=0.03)


def test_grayscale_is_neutral_and_keeps_grays() -> None:
    ramp = np.linspace(0, 1, 30, dtype=np.float32).reshape(2, 5, 3)
    gray = degradations.grayscale(ramp)
    assert np.ptp(gray, axis=2).max() == 0
    assert np.allclose(degradations.grayscale(gray), gray, atol=1e-6)


def test_jpeg_gets_worse_with_lower_quality(picture: np.ndarray) -> None:
    found = [psnr(degradations.jpeg(picture, quality), picture) for quality in (95, 60, 10)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 38


@pytest.mark.parametrize(
    ("codec", "good", "bad"), [("h264", 12, 44), ("mpeg2", 2, 31)], ids=["h264", "mpeg2"]
)
def test_codecs_give_every_frame_in_order(
    picture: np.ndarray, codec: str, good: int, bad: int
) -> None:
    clip = [degradations.shift(picture, 2.0 * step, 0) for step in range(4)]
    fine = degradations.video_codec(clip, codec, quality=good)
    coarse = degradations.video_codec(clip, codec, quality=bad)
    assert len(fine) == len(coarse) == 4
    for index, (near, far) in enumerate(zip(fine, coarse, strict=True)):
        likeness = [psnr(near, truth) for truth in clip]
        assert np.argmax(likeness) == index
        assert max(likeness) > 32
        assert psnr(far, clip[index]) < likeness[index] - 3


def test_a_frame_is_coded_alike_in_clips_of_any_length(picture: np.ndarray) -> None:
    clip = [degradations.shift(picture, 2.0 * step, 0) for step in range(4)]
    first = [degradations.video_codec(clip[:n], "h264", quality=30)[0] for n in (2, 3, 4)]
    likeness = [psnr(one, clip[0]) for one in first]
    assert np.ptp(likeness) < 0.1, likeness


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(sigma_x_px=2, sigma_y_px=1),
        Degradation(factor=3.3, down="area", up="bicubic"),
        Degradation(factor=2, down="bilinear", up="lanczos", coding=Coding("h264", 20)),
        Degradation(
            factor=2,
            recoding=Coding("h264", 20),
            recoding_factor=1.2,
            motion_px=((4.0, 1.0), (0.0, 0.0), (-3.0, 2.0)),
        ),
        Degradation(coding=Coding("mpeg2", 3), motion_px=((0.0, 0.0), (5.0, 5.0))),
    ],
)
def test_faces_stay_where_they_are(degradation: Degradation) -> None:
    y, x = np.mgrid[:96, :128]
    spot = np.exp(-((x - 60) ** 2 + (y - 50) ** 2) / 200).astype(np.float32)
    image = np.repeat(spot[..., None], 3, axis=2)
    out = degradations.apply(image, degradation, np.random.default_rng(0))
    assert out.shape == image.shape
    assert out.dtype == np.float32
    weight = np.clip(out[..., 1] - 0.05, 0, None)
    assert center_of_mass(weight) == pytest.approx((50, 60), abs=0.4)


def test_the_empty_degradation_changes_nothing(picture: np.ndarray) -> None:
    out = degradations.apply(picture, Degradation(), np.random.default_rng(0))
    assert np.array_equal(out, picture)


def test_one_seed_gives_one_result(picture: np.ndarray) -> None:
    def degrade(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return degradations.apply(picture, BlindVideo().draw(rng), rng)

    assert np.array_equal(degrade(4), degrade(4))
    assert not np.array_equal(degrade(4), degrade(5))


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_drawn_values_lie_in_the_documented_ranges(seed: int) -> None:
    mixture = BlindVideo()
    drawn = mixture.draw(np.random.default_rng(seed))
    assert mixture.factor[0] <= drawn.factor <= mixture.factor[1]
    assert 0 <= drawn.sigma_x_px <= mixture.sigma_px[1]
    assert 0 <= drawn.noise <= mixture.noise[1]
    assert (0.0, 0.0) in drawn.motion_px
    assert mixture.frames[0] <= len(drawn.motion_px) <= mixture.frames[1]
    if drawn.coding is not None:
        low, high = mixture.crf if drawn.coding.codec == "h264" else mixture.quantiser
        assert low <= drawn.coding.quality <= high


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_every_drawn_degradation_can_be_applied(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.full((64, 96, 3), 0.5, np.float32)
    mixture = replace(BlindVideo(), nearly_clean=0.1)
    out = degradations.apply(image, mixture.draw(rng), rng)
    assert out.shape == image.shape
    assert np.isfinite(out).all()
    assert out.mean() == pytest.approx(0.5, abs=0.05)


def test_nearly_clean_pictures_stay_nearly_clean(picture: np.ndarray) -> None:
    mixture = BlindVideo(nearly_clean=1.0)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        out = degradations.apply(picture, mixture.draw(rng), rng)
        assert np.array_equal(out, picture) or psnr(out, picture) > 30


def test_the_mixture_is_the_composition_of_its_parts(picture: np.ndarray) -> None:
    """The protocol in words, done by hand: two people who follow it get the same picture."""
    clip_coding, again = Coding("h264", 27, "veryfast"), Coding("mpeg2", 5)
    degradation = Degradation(
        sigma_x_px=1.5,
        sigma_y_px=0.8,
        angle=0.4,
        factor=2.0,
        noise=0.03,
        photons=400.0,
        jpeg_quality=70,
        coding=clip_coding,
        recoding=again,
        recoding_factor=1.5,
        motion_px=((2.0, -1.0), (0.0, 0.0), (-1.5, 0.5)),
    )
    rng = np.random.default_rng(8)
    frames = []
    blurred = degradations.blur(picture, 1.5, 0.8, 0.4)
    for dx, dy in degradation.motion_px:
        moved = degradations.shift(blurred, dx, dy) if (dx, dy) != (0, 0) else blurred
        small = degradations.resize(moved, 48, 64, "area")
        counted = degradations.shot_noise(small, 400.0, rng)
        frames.append(degradations.gaussian_noise(counted, 0.03, rng, gray=False))
    frames = degradations.video_codec(frames, "h264", quality=27, preset="veryfast")
    frames = [degradations.resize(frame, 64, 86, "bilinear") for frame in frames]
    frames = degradations.video_codec(frames, "mpeg2", quality=5)
    by_hand = degradations.resize(degradations.jpeg(frames[1], 70), 96, 128, "bilinear")
    assert np.array_equal(
        degradations.apply(picture, degradation, np.random.default_rng(8)), by_hand
    )


def test_a_video_goes_through_the_same_parts_as_a_picture(picture: np.ndarray) -> None:
    clip = [degradations.shift(picture, 3.0 * step, 0) for step in range(3)]
    degradation = Degradation(
        sigma_x_px=1, sigma_y_px=2, factor=2.0, coding=Coding("h264", 24), jpeg_quality=60
    )
    seen = apply_to_video(clip, degradation, lambda index: np.random.default_rng(index))
    small = [
        degradations.resize(degradations.blur(frame, 1, 2, 0.0), 48, 64, "area") for frame in clip
    ]
    coded = degradations.video_codec(small, "h264", quality=24)
    for frame, wanted in zip(seen, coded, strict=True):
        by_hand = degradations.resize(degradations.jpeg(wanted, 60), 96, 128, "bilinear")
        assert np.array_equal(frame, by_hand)


def test_everything_that_was_public_still_is() -> None:
    for name in degradations.__all__:
        assert getattr(degradations, name) is not None
    assert list(degradations.__all__) == sorted(degradations.__all__)
    with pytest.raises(AttributeError, match="blurr"):
        degradations.blurr  # noqa: B018
