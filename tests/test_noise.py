"""Noise is measured apart from detail and motion, and grain drawn anew is like that measured."""

from __future__ import annotations

from collections.abc import Sequence

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidrestore.noise import drawn_grain, kept_share
from vidrestore.noise_measurement import measured_noise
from vidrestore.structs import NoiseModel, Picture
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.residual import Change, changed_picture
from vidrestore.video.picture.samples import (
    Rect,
    component_samples,
    component_scale,
    picture_from_av,
)

WIDTH, HEIGHT = 256, 224
WHOLE = Rect(0, 0, WIDTH, HEIGHT)
FACE = Rect(80, 60, 160, 160)
Floats = NDArray[np.float32]


def scene(index: int, size: tuple[int, int], speed_px: float = 0.0) -> Floats:
    """(*size) soft shades of 0.25 to 0.75 that drift, with sharp detail in the middle."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = (x - speed_px * index * width / WIDTH) * (WIDTH / width)
    y = y * (HEIGHT / height)
    shade = 0.5 + 0.25 * np.sin(x / 60) * np.cos(y / 70)
    detail = 0.1 * np.sin(x * 0.9) * np.sin(y * 1.1)
    near = np.exp(-(((x - 120) / 40) ** 4) - ((y - 110) / 50) ** 4)
    return (shade + detail * near).astype(np.float32)


def grain(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> Floats:
    """Correlated noise of unit variance."""
    noise = rng.standard_normal(shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), size_px) if size_px > 0 else noise
    return noise / noise.std()


def pictures_of(planes: Sequence[Sequence[Floats]], format_name: str = "yuv420p") -> list[Picture]:
    """Pictures of given values: luma in [0, 1], chroma around 0."""
    found = []
    for values in planes:
        layout = layout_of(format_name)
        picture = picture_from_av(av.VideoFrame(WIDTH, HEIGHT, format_name))
        for index, value in enumerate(values):
            offset, scale = component_scale(picture, layout, index)
            samples = component_samples(picture, layout, index)
            stored = torch.from_numpy(value) * scale + offset
            samples.copy_(stored.round().clamp(0, (1 << layout.bits) - 1).to(samples.dtype))
        found.append(picture)
    return found


def shapes(format_name: str) -> list[tuple[int, int]]:
    layout = layout_of(format_name)
    return [(HEIGHT >> part.shift_y, WIDTH >> part.shift_x) for part in layout.components]


def noisy_pictures(
    sigmas: Sequence[float],
    size_px: float = 0.6,
    *,
    format_name: str = "yuv420p",
    speed_px: float = 0.0,
    frames: int = 6,
    by_brightness: bool = False,
) -> list[Picture]:
    rng = np.random.default_rng(5)
    planes = []
    for index in range(frames):
        values = []
        for component, shape in enumerate(shapes(format_name)):
            own = scene(index, shape, speed_px)
            value = own if component == 0 else np.full(shape, 0.05, np.float32)
            strength = sigmas[component] * (4 * own * (1 - own) if by_brightness else 1)
            values.append(value + strength * grain(shape, size_px, rng))
        planes.append(values)
    return pictures_of(planes, format_name)


def measured(pictures: Sequence[Picture]) -> NoiseModel:
    count = len(pictures)
    model = measured_noise(pictures, [WHOLE] * count, [FACE] * count, 1.5, 2.0)
    assert model is not None
    return model


@settings(max_examples=6, deadline=None)
@given(
    luma=st.floats(2, 12),
    chroma=st.floats(1.5, 6),
    size_px=st.sampled_from([0.0, 0.5, 1.0]),
    speed_px=st.sampled_from([0.0, 1.0, 2.3]),
    format_name=st.sampled_from(["yuv420p", "yuv422p10le", "yuv411p", "yuv444p"]),
)
def test_the_strength_of_noise_is_found_whatever_moves(
    luma: float, chroma: float, size_px: float, speed_px: float, format_name: str
) -> None:
    sigmas = [luma / 255, chroma / 255, chroma / 255]
    pictures = noisy_pictures(sigmas, size_px, format_name=format_name, speed_px=speed_px)
    for component, sigma in zip(measured(pictures).components, sigmas, strict=True):
        assert component.sigma.mean() == pytest.approx(sigma, rel=0.2)


def test_grain_that_depends_on_brightness_is_measured_so() -> None:
    luma = measured(noisy_pictures([0.05, 0, 0], by_brightness=True)).components[0]
    for brightness, sigma in zip(luma.brightness, luma.sigma, strict=True):
        assert sigma == pytest.approx(0.05 * 4 * brightness * (1 - brightness), rel=0.2)
    assert luma.sigma.min() < 0.9 * luma.sigma.max()


@pytest.mark.parametrize("speed_px", [0.0, 2.0])
def test_clean_pictures_have_no_noise_and_keep_all_their_detail(speed_px: float) -> None:
    model = measured(noisy_pictures([0, 0, 0], speed_px=speed_px))
    assert all((component.sigma == 0).all() for component in model.components)
    assert kept_share(model) == 1


def test_film_that_shows_every_picture_twice_is_as_grainy() -> None:
    once = noisy_pictures([0.04, 0.02, 0.02])
    twice = [picture for picture in once[:3] for _ in range(2)]
    assert measured(twice).components[0].sigma.mean() == pytest.approx(0.04, rel=0.2)


def test_flicker_of_the_light_is_no_noise() -> None:
    planes = [
        [scene(0, shape) * (1 + 0.1 * (index % 2)) if at == 0 else np.zeros(shape, np.float32)
         for at, shape in enumerate(shapes("yuv420p"))]
        for index in range(4)
    ]  # fmt: skip
    assert measured(pictures_of(planes)).components[0].sigma.max() < 1.5 / 255


def test_one_frame_tells_nothing() -> None:
    assert measured_noise(noisy_pictures([0.05, 0, 0], frames=1), [WHOLE], [FACE], 1.5, 2.0) is None


def test_detail_that_stands_out_of_the_noise_is_kept() -> None:
    weak, strong = (measured(noisy_pictures([sigma, 0, 0])) for sigma in (0.01, 0.08))
    assert weak.detail > 0.9 > 0.5 > strong.detail
    assert 0.5 > kept_share(weak) > 0.2 > 0.05 > kept_share(strong)


@settings(max_examples=6, deadline=None)
@given(
    size_px=st.sampled_from([0.0, 0.6, 0.9]),
    format_name=st.sampled_from(["yuv420p", "yuv444p", "yuv422p10le", "gray", "nv12"]),
)
def test_drawn_grain_is_like_the_recordings_in_every_plane(
    size_px: float, format_name: str
) -> None:
    """It has the strength, and the likeness of neighbours, that was measured."""
    sigmas = [0.04, 0.02, 0.03]
    model = measured(noisy_pictures(sigmas, size_px, format_name=format_name))
    [clean] = noisy_pictures([0, 0, 0], format_name=format_name, frames=1)
    added = grain_in(clean, model, (3, 7))
    rng = np.random.default_rng(1)
    for index, shape in enumerate(shapes(format_name)):
        assert added[index].std() == pytest.approx(sigmas[index], rel=0.15)
        wanted = grain(shape, size_px, rng)
        for axis in (0, 1):
            assert alike(added[index], axis) == pytest.approx(alike(wanted, axis), abs=0.15)


def grain_in(
    clean: Picture, model: NoiseModel, seed: tuple[int, int], amount: float = 1.0
) -> list[Floats]:
    """What drawing grain changes in each component of a picture, in its units."""
    base = torch.full((3, HEIGHT, WIDTH), 0.5)
    everywhere = torch.full((HEIGHT, WIDTH), amount)
    residual = drawn_grain(model, everywhere, base, clean, WHOLE, seed)
    changed = changed_picture(clean, [Change(WHOLE, residual, everywhere > 0)])
    layout = layout_of(clean.format)
    found = []
    for index in range(len(layout.components)):
        before, after = (
            component_samples(picture, layout, index).float() for picture in (clean, changed)
        )
        found.append(((after - before) / component_scale(clean, layout, index)[1]).numpy())
    return found


def alike(values: Floats, axis: int) -> float:
    """Correlation of neighbours."""
    a, b = np.moveaxis(values, axis, 0)[:-1], np.moveaxis(values, axis, 0)[1:]
    return float((a * b).mean() / np.square(values).mean())


def test_grain_belongs_to_its_frame_and_face() -> None:
    model = measured(noisy_pictures([0.04, 0.02, 0.02]))
    [clean] = noisy_pictures([0, 0, 0], frames=1)
    first, again, other = (grain_in(clean, model, seed)[0] for seed in ((1, 2), (1, 2), (2, 2)))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_grain_fades_with_its_amount() -> None:
    model = measured(noisy_pictures([0.04, 0.02, 0.02]))
    [clean] = noisy_pictures([0, 0, 0], frames=1)
    none, half = (grain_in(clean, model, (1, 2), amount)[0] for amount in (0.0, 0.5))
    assert not none.any()
    assert half.std() == pytest.approx(0.02, rel=0.15)


def test_rgb_pictures_have_the_grain_of_their_luma() -> None:
    rng = np.random.default_rng(2)
    shape = (HEIGHT, WIDTH)
    planes = []
    for index in range(6):
        value = scene(index, shape) + 0.04 * grain(shape, 0.6, rng)
        planes.append([value] * 3)
    model = measured(pictures_of(planes, "gbrp"))
    assert model.components[0].sigma.mean() == pytest.approx(0.04, rel=0.15)
    assert all(chroma.sigma.max() < 0.002 for chroma in model.components[1:])
    red, green, blue = grain_in(pictures_of([[scene(0, shape)] * 3], "gbrp")[0], model, (1, 2))
    assert red.std() == pytest.approx(0.04, rel=0.15)
    assert np.abs(red - blue).max() < 0.02 and np.abs(red - green).max() < 0.02


def test_unrest_is_what_is_left_of_noise_behind_a_blur() -> None:
    """Of white noise a Gaussian of standard deviation s leaves 1 / (2 s sqrt(pi))."""
    model = measured(noisy_pictures([0.08, 0, 0], 0.0))
    left = 0.08 / (2 * 2.0 * np.sqrt(np.pi))
    assert model.unrest == pytest.approx(np.sqrt(2) * left * np.sqrt(2 / np.pi), rel=0.3)
    assert measured(noisy_pictures([0, 0, 0])).unrest < 0.002
