"""Each function does what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from vidrestore.degradations import (
    colour,
    compression,
    film,
    interlacing,
    noise,
    optics,
    pixels,
    sampling,
    tape,
)


def flat(value: float, size: tuple[int, int] = (160, 200)) -> np.ndarray:
    return np.full((*size, 3), value, np.float32)


def correlation(field: np.ndarray, dy: int, dx: int) -> float:
    height, width = field.shape
    a, b = field[: height - dy, : width - dx], field[dy:, dx:]
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-4, 4), st.floats(0.5, 4))
@settings(max_examples=30, deadline=None)
def test_kernels_sum_to_one_and_are_symmetric(
    sigma_x: float, sigma_y: float, angle: float, shape: float
) -> None:
    kernels = [
        optics.gaussian_kernel(sigma_x, sigma_y, angle, 41),
        optics.generalised_kernel(sigma_x, sigma_y, angle, shape, 41),
        optics.plateau_kernel(sigma_x, sigma_y, angle, shape, 41),
        optics.motion_kernel(sigma_x * 3, angle),
    ]
    for kernel in kernels:
        assert kernel.shape[0] % 2 == 1
        assert kernel.sum() == pytest.approx(1, abs=1e-4)
        assert kernel.min() >= 0
        assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-5)
    assert all(kernel.shape == (41, 41) for kernel in kernels[:3])


def test_the_generalised_kernel_of_shape_one_is_the_gaussian() -> None:
    gaussian = optics.gaussian_kernel(2, 1, 0.3, 21)
    assert np.allclose(optics.generalised_kernel(2, 1, 0.3, 1.0, 21), gaussian, atol=1e-7)
    flat_top = optics.generalised_kernel(3, 3, 0, 4.0, 21)
    assert flat_top[10, 11] / flat_top[10, 10] > gaussian[10, 11] / gaussian[10, 10]


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2])
def test_motion_spreads_along_its_direction_only(angle: float) -> None:
    kernel = optics.motion_kernel(12, angle)
    radius = kernel.shape[0] // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    assert (kernel * along**2).sum() == pytest.approx(12**2 / 12, rel=0.06)
    assert (kernel * across**2).sum() < 0.35


@pytest.mark.parametrize("size", [(24, 32), (41, 53), (192, 256)])
def test_antialiased_bicubic_is_pillows(picture: np.ndarray, size: tuple[int, int]) -> None:
    plane = picture[..., 0]
    theirs = Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC)
    ours = sampling.resize(picture, *size, "bicubic-antialiased")[..., 0]
    assert np.allclose(ours, np.clip(np.asarray(theirs), 0, 1), atol=2e-4)


@given(st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_bicubic_weights_keep_a_constant(source: int, target: int) -> None:
    assert np.allclose(sampling.cubic_weights(source, target).sum(axis=1), 1, atol=1e-5)


def test_photons_are_counted() -> None:
    rng = np.random.default_rng(0)
    found = noise.poisson_noise(flat(0.5), 40, rng, gray=False) * 40
    assert found.mean() == pytest.approx(20, rel=0.01)
    assert found.var() == pytest.approx(20, rel=0.03)
    assert np.allclose(found, np.rint(found), atol=1e-3)
    neutral = noise.poisson_noise(flat(0.5), 40, rng, gray=True)
    assert np.ptp(neutral, axis=2).max() < 1e-6


@pytest.mark.parametrize("sigma", [0.0, 0.8, 2.0])
def test_correlated_noise_has_unit_variance_and_its_correlation(sigma: float) -> None:
    field = noise.correlated_noise(300, 400, 1, sigma, np.random.default_rng(3))[..., 0]
    assert field.std() == pytest.approx(1, abs=0.03)
    assert field[:3].std() == pytest.approx(1, abs=0.15)
    wanted = np.exp(-4 / (4 * sigma**2)) if sigma else 0
    assert correlation(field, 0, 2) == pytest.approx(wanted, abs=0.05)
    assert correlation(field, 2, 0) == pytest.approx(wanted, abs=0.05)


def test_grain_is_strongest_in_mid_tones_and_correlated() -> None:
    def grain(value: float) -> np.ndarray:
        return film.film_grain(flat(value), 0.05, 1.5, 0.0, np.random.default_rng(1)) - value

    assert grain(0.5).std() == pytest.approx(0.05, rel=0.08)
    assert grain(0.1).std() == pytest.approx(0.05 * 2 * np.sqrt(0.09), rel=0.1)
    assert np.abs(grain(0.0)).max() == np.abs(grain(1.0)).max() == 0
    assert correlation(grain(0.5)[..., 0], 0, 1) == pytest.approx(np.exp(-1 / 9), abs=0.04)
    assert np.ptp(grain(0.5), axis=2).max() < 1e-6


def test_coloured_grain_has_the_same_strength_and_layers_of_its_own() -> None:
    grain = film.film_grain(flat(0.5), 0.05, 1.0, 0.6, np.random.default_rng(1)) - 0.5
    assert grain.std() == pytest.approx(0.05, rel=0.05)
    layers = np.corrcoef(grain.reshape(-1, 3).T)
    assert layers[0, 1] == pytest.approx(0.4, abs=0.06)


def test_scratches_stay_where_they_are_and_die() -> None:
    def at(index: int) -> list[film.Scratch]:
        return film.scratches_at(
            index,
            lambda number: np.random.default_rng(number + 16),
            count=2,
            life_frames=20,
            width=(1, 3),
            depth=0.4,
            bright=0.5,
        )

    counts = [len(at(index)) for index in range(400)]
    assert np.mean(counts) == pytest.approx(2, rel=0.35)
    assert min(counts) < max(counts)
    steps = [
        min(abs(one.x - other.x) for other in at(index + 1))
        for index in range(0, 400, 7)
        for one in at(index)
        if any(other.depth == one.depth for other in at(index + 1))
    ]
    assert len(steps) > 50 and max(steps) < 0.01


def test_a_scratch_changes_its_columns_only() -> None:
    line = film.Scratch(x=0.5, slant=0, width=4, depth=0.3, top=-1, bottom=2)
    change = film.scratches(flat(0.4), [line]) - 0.4
    energy = np.square(change).sum(axis=(0, 2))
    assert abs(np.average(np.arange(200), weights=energy) - 99.5) < 0.1
    assert energy[85:115].sum() > 0.995 * energy.sum()
    assert change.max() == pytest.approx(0.3, rel=0.3) and change[:, 99].std() < 1e-6
    assert film.scratch_profile(np.zeros(1), 100.0)[0] == pytest.approx(1, abs=0.02)


def test_dust_covers_little_and_lies_between_its_tones() -> None:
    rng = np.random.default_rng(2)
    dusty = film.dust(flat(0.5), specks=20, hairs=1, radius_px=(1, 4), bright=0.0, rng=rng)
    touched = np.abs(dusty - 0.5) > 0.01
    assert 0.001 < touched.mean() < 0.1
    assert dusty.max() <= 0.5 and dusty.min() < 0.16
    assert np.ptp(dusty, axis=2).max() == 0
    mask = film.speck_mask(6, rng)
    assert 0.3 * np.pi * 36 < mask.sum() < 2.5 * np.pi * 36
    assert mask[0].max() == mask[:, -1].max() == 0


def test_flicker_is_gain_and_offset() -> None:
    image = np.linspace(0, 0.8, 48, dtype=np.float32).reshape(4, 4, 3)
    assert np.allclose(film.flicker(image, 1.1, -0.05), np.clip(1.1 * image - 0.05, 0, 1))
    uneven = film.flicker(flat(0.5), 1.0, 0.0, np.array([[0.1, 0.0], [0.0, 0.0]]))
    assert uneven[0, 0, 0] > 0.54 and uneven[-1, -1, 0] < 0.51


def test_faded_dyes_keep_a_share_of_their_density(picture: np.ndarray) -> None:
    image = np.clip(picture, 0.01, 1)
    faded = colour.fade_dyes(image, (0.5, 0.9, 0.7), (0.0, 0.02, 0.1))
    kept, base = np.array([0.5, 0.9, 0.7]), np.array([0.0, 0.02, 0.1])
    assert np.allclose(-np.log10(faded), -np.log10(image) * kept + base, atol=1e-4)
    assert np.allclose(colour.fade_dyes(image, (1, 1, 1), (0, 0, 0)), image, atol=1e-6)


def test_levels_and_jitter(picture: np.ndarray) -> None:
    levels = colour.contrast(picture, 0.1, 0.9)
    assert np.allclose(levels, 0.1 + 0.8 * picture, atol=1e-6)
    assert np.array_equal(colour.colour_jitter(picture, 1, 1, 1, 0), picture)
    gray = colour.colour_jitter(picture, 1, 1, 0, 0)
    assert np.allclose(gray, colour.grayscale(picture), atol=1e-6)
    turned = colour.colour_jitter(picture, 1, 1, 1, 1 / 3)
    assert np.allclose(turned, picture[..., [2, 0, 1]], atol=2e-3)
    orders = {colour.colour_jitter(picture, 1.4, 0.6, 0.5, 0.1, k).tobytes() for k in range(24)}
    assert len(orders) > 4
    for weights in colour.STOCKS.values():
        assert weights.sum() == pytest.approx(1)


def test_luma_and_chroma_come_back(picture: np.ndarray) -> None:
    assert np.allclose(pixels.from_ycc(*pixels.to_ycc(picture)), picture, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: tape.chroma_blur(image, 4, 1),
        lambda image: tape.chroma_shift(image, 3, 1),
        lambda image: tape.chroma_subsample(image, 4, 2),
        lambda image: tape.band_limit(image, 0, 5),
        lambda image: tape.smear(image, 0, 6),
    ],
)
def test_chroma_alone_loses_detail(picture: np.ndarray, change) -> None:
    image = 0.3 + 0.4 * picture
    luma, chroma = pixels.to_ycc(image)
    after_luma, after_chroma = pixels.to_ycc(change(image))
    assert np.allclose(after_luma, luma, atol=1e-5)
    assert not np.allclose(after_chroma, chroma, atol=1e-3)
    gray = colour.grayscale(image)
    assert np.allclose(change(gray), gray, atol=1e-5)


def test_blocks_of_chroma_are_means() -> None:
    image = np.random.default_rng(0).uniform(0.3, 0.7, (9, 11, 3)).astype(np.float32)
    chroma = pixels.to_ycc(image)[1]
    after = pixels.to_ycc(tape.chroma_subsample(image, 4, 2))[1]
    assert np.allclose(after[2:4, 4:8], chroma[2:4, 4:8].mean(axis=(0, 1)), atol=1e-5)


def test_a_band_keeps_half_of_its_last_cycle() -> None:
    width, cycles = 400, 40
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * cycles * np.arange(width) / width)
    image = np.repeat(np.repeat(wave[None, :, None], 8, 0), 3, 2).astype(np.float32)
    limited = tape.band_limit(image, 0.187 * width / cycles, 0.0)
    kept = np.ptp(limited[4, 50:350, 0]) / np.ptp(image[4, 50:350, 0])
    assert kept == pytest.approx(0.5, abs=0.02)


def test_smear_trails_to_the_right() -> None:
    image = flat(0.2, (8, 100))
    image[:, 40:45] = 0.8
    smeared = tape.smear(image, 4.0, 4.0)[4, :, 0]
    assert np.allclose(smeared[:40], 0.2, atol=1e-5)
    trail = smeared[45:55] - 0.2
    assert np.allclose(trail[1:] / trail[:-1], np.exp(-1 / 4), atol=0.01)


def test_tape_noise_has_its_strength_and_runs_along_the_lines() -> None:
    found = tape.tape_noise(flat(0.5), 0.03, 0.02, 3.0, np.random.default_rng(0))
    luma, chroma = pixels.to_ycc(found)
    assert luma.std() == pytest.approx(0.03, rel=0.06)
    assert chroma.std() == pytest.approx(0.02, rel=0.12)
    assert correlation(luma, 0, 1) == pytest.approx(np.exp(-1 / 3), abs=0.04)
    assert correlation(luma, 1, 0) == pytest.approx(0, abs=0.04)


def test_lines_move_as_a_whole() -> None:
    x = np.mgrid[:200, :100][1]
    ramp = np.repeat((x / 100)[..., None], 3, axis=2).astype(np.float32)
    moved = tape.line_jitter(ramp, 2.0, np.random.default_rng(0))
    shifts = 100 * (ramp - moved)[:, 20:80, 0]
    assert np.ptp(shifts, axis=1).max() < 0.1
    assert shifts.mean(axis=1).std() == pytest.approx(2, rel=0.4)
    switched = tape.head_switch(ramp, 10, 8.0, np.random.default_rng(0))
    assert np.allclose(switched[:-10], ramp[:-10], atol=1e-5)
    assert np.abs(switched[-10:] - ramp[-10:]).mean() > 0.02
    assert np.array_equal(tape.head_switch(ramp, 0, 8.0, np.random.default_rng(0)), ramp)


def test_dropouts_are_bright_dashes_on_single_lines() -> None:
    found = tape.dropouts(flat(0.3), 5, 20, np.random.default_rng(1)) - 0.3
    assert found.min() >= 0 and found.max() > 0.4
    assert 1 <= (found.max(axis=(1, 2)) > 0.01).sum() <= 12


def test_combs_take_their_second_field_from_the_next_frame() -> None:
    clip = [flat(value, (6, 4)) for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    comb = list(interlacing.comb(clip))
    assert len(comb) == 6
    for index in range(5):
        assert np.array_equal(comb[index][0::2], clip[index][0::2])
        assert np.array_equal(comb[index][1::2], clip[index + 1][1::2])
    assert np.array_equal(comb[5], clip[5])
    bottom_first = list(interlacing.comb(clip, top_first=False))
    assert np.array_equal(bottom_first[0][1::2], clip[0][1::2])
    telecined = list(interlacing.comb(clip, pulldown=True))
    mixed = [np.ptp(frame) > 0 for frame in telecined]
    assert mixed == [False, False, True, True, False, False]


@pytest.mark.parametrize("height", [1, 2, 7, 8])
@pytest.mark.parametrize("keep_top", [True, False])
def test_lost_lines_come_from_the_field_that_is_kept(height: int, keep_top: bool) -> None:
    image = np.random.default_rng(0).random((height, 5, 3)).astype(np.float32)
    first = 0 if keep_top or height == 1 else 1
    doubled = interlacing.double_lines(image, keep_top=keep_top)
    assert doubled.shape == image.shape
    for row in range(height):
        assert any(np.array_equal(doubled[row], line) for line in image[first::2])
    interpolated = interlacing.interpolate_lines(image, keep_top=keep_top)
    if height > 1:
        assert np.array_equal(interpolated[first::2], image[first::2])
    if height == 8 and keep_top:
        assert np.allclose(interpolated[3], (image[2] + image[4]) / 2)
        blended = interlacing.blend_fields(image)
        assert np.allclose(blended[3], (image[2] + 2 * image[3] + image[4]) / 4)


@given(st.integers(1, 100))
@settings(max_examples=10, deadline=None)
def test_a_jpeg_of_bytes_is_the_jpeg_of_floats(quality: int) -> None:
    coded = np.random.default_rng(quality).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    bgr = compression.jpeg_bytes(coded[..., ::-1], quality)
    expected = compression.jpeg(coded / np.float32(255), quality)
    np.testing.assert_array_equal(pixels.from_bytes(bgr[..., ::-1]), expected)


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_codecs_take_any_size_and_stream(codec: str) -> None:
    rng = np.random.default_rng(0)
    clip = [gaussian_filter(rng.random((21, 35, 3)), (3, 3, 0)).astype(np.float32)] * 30
    taken = 0

    def frames():
        nonlocal taken
        for frame in clip:
            taken += 1
            yield frame

    stream = compression.recode(frames(), codec, quality=4)
    first = next(stream)
    assert first.shape == (21, 35, 3)
    assert np.abs(first - clip[0]).mean() < 0.02
    assert taken < 30 or codec == "h264"
    assert 1 + sum(1 for _ in stream) == 30
    assert list(compression.recode([], codec, quality=4)) == []
