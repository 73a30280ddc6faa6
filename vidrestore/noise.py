"""Grain and noise of a recording: measured where a face is, and drawn anew.

Noise is what differs from frame to frame where nothing happens. Small blocks of flat surroundings
are compared with where they were a frame before, moved by whole pixels, so that nothing is
interpolated; half the variance of the differences is that of the noise. Film has most grain in its
mid tones, a camera in its shadows, so it is measured by brightness; size and shape of the grains
are in the spectrum. Luma and chroma are measured apart, each in the samples of its own plane.

Grain that is drawn anew is Gaussian noise of that spectrum (as in AV1's film grain synthesis, Norkin
and Birkbeck, Film grain synthesis for AV1 video codec, DCC 2018, there with autoregression), scaled
by the brightness below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.structs import Picture
from vidrestore.video.picture.colour import rgb_from_yuv, yuv_from_rgb
from vidrestore.video.picture.layouts import Layout, layout_of
from vidrestore.video.picture.samples import Rect, component_samples, component_scale

__all__ = ["ComponentNoise", "NoiseModel", "drawn_grain", "measured_noise"]

_Floats = npt.NDArray[np.float32]

_BLOCK_PX = 32
_STRIDE_PX = 16
_FLAT_SHARE = 0.3
"""Share of the blocks, the flattest ones, that are compared: elsewhere motion of less than a pixel
would be taken for noise."""
_FLAT_SIGMA = 2.0
"""Blur, in pixels, of the picture whose slopes tell how flat a block is: grain has no slopes."""
_FLOW_SIGMA = 1.5
_MOST_TORN_PX = 0.7
"""Greatest standard deviation of the flow within a block that moves as one."""
_REPEATED = 1 / 16
"""A pair of frames with less than this share of the others' variance shows one picture twice."""
_LEAST_BLOCKS = 8
_LEVELS = 8
"""Steps of brightness that noise is told apart by."""
_UNSEEN = 0.5 / 255
"""Standard deviation that is no noise but rounding."""
_TILE_PX = 512
_REACH_LAGS = 12
"""Noise further apart than so many samples is independent."""


@dataclass(frozen=True, slots=True, eq=False)
class ComponentNoise:
    """Noise of luma, or of one chroma component."""

    brightness: npt.NDArray[np.float64]
    """(K,) luma in [0, 1], ascending, at which the noise is known."""
    sigma: npt.NDArray[np.float64]
    """(K,) standard deviation there, in units where luma runs from 0 to 1."""
    correlation: npt.NDArray[np.float64]
    """(2L+1, 2L+1) how alike samples of the component's plane are by their distance; 1 in the
    middle."""

    def sigma_at(self, luma: _Floats) -> _Floats:
        """Standard deviation at every value of luma."""
        return np.interp(luma, self.brightness, self.sigma).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """Noise of a recording around one face, and how much of the face's fine detail is not noise."""

    components: tuple[ComponentNoise, ...]
    """Luma first, then Cb and Cr where the picture has colours."""
    detail: float
    """Share of the energy of the face's finest detail that is the face's own, 0 to 1: what a
    Wiener filter would keep."""

    def kept_share(self, grain: float) -> float:
        """Share of the input's finest detail to keep, noise and all.

        Args:
            grain: wanted, 0 to 1; with 0 no more noise is kept than can hardly be seen.

        Returns:
            0 to 1, all of it where there is no noise.
        """
        strongest = float(self.components[0].sigma.max())
        if strongest == 0:
            return 1.0
        return min(self.detail, max(grain, 2 * _UNSEEN / strongest))


def measured_noise(
    pictures: Sequence[Picture], regions: Sequence[Rect], face: Sequence[Rect], fine_px: float
) -> NoiseModel | None:
    """Measure the noise of a few frames that follow each other.

    Args:
        pictures: N frames of one shot.
        regions: where to look in each.
        face: where the face is in each.
        fine_px: standard deviation, in pixels, of the blur that takes the finest detail away.

    Returns:
        None where it cannot be told: of a single frame, or without flat surroundings.
    """
    pairs = [
        _compared(before, after, region)
        for (before, after), region in zip(pairwise(pictures), regions[1:], strict=True)
    ]
    blocks = _Blocks.joined([pair for pair in _moving(pairs) if len(pair.luma)])
    if blocks is None or len(blocks.luma) < _LEAST_BLOCKS:
        return None
    components = tuple(_component(blocks, index) for index in range(len(blocks.differences)))
    return NoiseModel(components, _detail(pictures, face, components[0], fine_px))


def drawn_grain(
    model: NoiseModel,
    amount: Tensor,
    base: Tensor,
    picture: Picture,
    rect: Rect,
    seed: Sequence[int],
) -> Tensor:
    """Draw grain like that of the recording.

    Args:
        model: its noise.
        amount: (h, w), 1 for as much as the recording has.
        base: (3, h, w) RGB in [0, 1] that gets it.
        picture: whose planes it is for.
        rect: the part of the picture, of whole groups of pixels that share chroma.
        seed: numbers of the frame and the face: the same ones give the same grain.

    Returns:
        (3, h, w) RGB to add. Once brought into the picture's planes, each has the measured noise.
    """
    layout = layout_of(picture.format)
    matrix = _matrix(picture, layout)
    luma = np.tensordot(yuv_from_rgb(matrix)[0].astype(np.float32), base.numpy(), 1)
    rng = np.random.default_rng(seed)
    planes = np.zeros((3, *luma.shape), np.float32)
    for index, component in enumerate(model.components):
        shift_x, shift_y = _shifts(layout, index)
        every = (slice(None, None, 1 << shift_y), slice(None, None, 1 << shift_x))
        scale = component.sigma_at(luma[every]) * amount.numpy()[every]
        drawn = scale * _rolled(_tile(component), rng, scale.shape)
        # Bringing a change into a subsampled plane weighs a sample's own column by one over the
        # pixels of a group, and averages its lines.
        lines = np.repeat(drawn, 1 << shift_y, axis=0)[: luma.shape[0]]
        planes[index][:, every[1]] = lines * (1 << shift_x)
    if len(model.components) == 1:
        return torch.from_numpy(planes[:1]).expand(3, -1, -1)
    rows = rgb_from_yuv(matrix).astype(np.float32)
    return torch.from_numpy(np.tensordot(rows, planes, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Flat blocks of a frame beside where they were the frame before."""

    luma: npt.NDArray[np.float64]
    """(B,) mean brightness."""
    differences: list[_Floats]
    """(B, h, w) of each component, without their mean, over the square root of two: as strong as
    the noise of one frame."""

    @staticmethod
    def joined(parts: Sequence[_Blocks]) -> _Blocks | None:
        if not parts:
            return None
        per_component = zip(*(part.differences for part in parts), strict=True)
        return _Blocks(
            np.concatenate([part.luma for part in parts]),
            [np.concatenate(blocks) for blocks in per_component],
        )


def _compared(before: Picture, after: Picture, region: Rect) -> _Blocks:
    layout = layout_of(after.format)
    old, new = (_planes(picture, layout, region) for picture in (before, after))
    places, steps = _flat_places(old[0], new[0])
    differences = []
    for index, (was, now) in enumerate(zip(old, new, strict=True)):
        shift = np.array(_shifts(layout, index))
        shape = _BLOCK_PX >> shift[1], _BLOCK_PX >> shift[0]
        here = _cut(now, places >> shift, shape)
        apart = here - _cut(
            was, (places >> shift) + np.rint(steps / (1 << shift)).astype(int), shape
        )
        apart -= apart.mean((1, 2), keepdims=True)
        differences.append(apart * np.float32(np.sqrt(0.5)))
        if index == 0:
            brightness = here.mean((1, 2), dtype=np.float64)
    return _Blocks(brightness, differences)


def _flat_places(old: _Floats, new: _Floats) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """(B, 2) x and y of the flattest blocks of `new`, and by how many pixels to find them in
    `old`.
    """
    height, width = new.shape
    x, y = np.meshgrid(
        np.arange(0, width - _BLOCK_PX + 1, _STRIDE_PX),
        np.arange(0, height - _BLOCK_PX + 1, _STRIDE_PX),
    )
    places = np.stack([x.ravel(), y.ravel()], 1)
    if not len(places):
        return places, places
    flow = _flow(new, old)
    smooth = cv2.GaussianBlur(new, (0, 0), _FLAT_SIGMA)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    shape = (_BLOCK_PX, _BLOCK_PX)
    moved = np.stack([_cut(flow[..., axis], places, shape) for axis in (0, 1)], -1)
    steps = np.rint(np.median(moved, axis=(1, 2))).astype(int)
    inside = (
        (places + steps >= 0) & (places + steps <= [width - _BLOCK_PX, height - _BLOCK_PX])
    ).all(1)
    whole = inside & (moved.std((1, 2)).max(1) < _MOST_TORN_PX)
    places, steps = places[whole], steps[whole]
    order = np.argsort(_cut(slope, places, shape).mean((1, 2)), kind="stable")
    flattest = np.sort(order[: int(np.ceil(_FLAT_SHARE * len(order)))])
    return places[flattest], steps[flattest]


def _flow(new: _Floats, old: _Floats) -> _Floats:
    """(h, w, 2) from `new` to where it was in `old`."""
    small = [
        np.rint(cv2.GaussianBlur(luma, (0, 0), _FLOW_SIGMA).clip(0, 1) * 255).astype(np.uint8)
        for luma in (new, old)
    ]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(flow.calc(*small, None), np.float32)


def _cut(plane: _Floats, places: npt.NDArray[np.int_], shape: tuple[int, int]) -> _Floats:
    """(B, *shape) blocks of a plane by their left and top sample, kept within the plane."""
    if not len(places):
        return np.zeros((0, *shape), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(plane, shape)
    rows = places[:, 1].clip(0, windows.shape[0] - 1)
    columns = places[:, 0].clip(0, windows.shape[1] - 1)
    return np.asarray(windows[rows, columns])


def _moving(pairs: Sequence[_Blocks]) -> Iterator[_Blocks]:
    """The pairs that are not one picture shown twice, as of film run slower than video."""
    strength = [
        float(np.median(_variances(pair.differences[0]))) if len(pair.luma) else 0.0
        for pair in pairs
    ]
    # The second strongest: a cut or a flash may be among them.
    least = _REPEATED * sorted([0.0, *strength])[-2 if len(strength) > 1 else -1]
    yield from (pair for pair, found in zip(pairs, strength, strict=True) if found >= least)


def _variances(blocks: _Floats) -> npt.NDArray[np.float64]:
    return np.square(blocks, dtype=np.float64).mean((1, 2))


def _component(blocks: _Blocks, index: int) -> ComponentNoise:
    apart = blocks.differences[index]
    variances = _variances(apart)
    level = np.minimum((blocks.luma.clip(0, 1) * _LEVELS).astype(int), _LEVELS - 1)
    known = [at for at in range(_LEVELS) if np.count_nonzero(level == at) >= _LEAST_BLOCKS]
    groups = [level == at for at in known] or [np.ones(len(level), bool)]
    found = np.array([np.median(variances[group]) for group in groups])
    return ComponentNoise(
        np.array([blocks.luma[group].mean() for group in groups]),
        np.sqrt((found - _UNSEEN**2).clip(0)),
        _correlation(apart[variances <= 2 * np.median(variances)]),
    )


def _correlation(blocks: _Floats) -> npt.NDArray[np.float64]:
    """(2L+1, 2L+1) mean autocorrelation of blocks (B, h, w)."""
    height, width = blocks.shape[1:]
    lags = min(_REACH_LAGS, height // 2 - 1, width // 2 - 1)
    spectrum = np.abs(np.fft.rfft2(blocks, (2 * height, 2 * width))) ** 2
    whole = np.fft.irfft2(spectrum.mean(0), (2 * height, 2 * width))
    # Fewer pairs of samples lie far apart than near each other.
    pairs = [side - np.abs(np.arange(-lags, lags + 1)) for side in (height, width)]
    found = np.roll(whole, (lags, lags), (0, 1))[: 2 * lags + 1, : 2 * lags + 1] / np.outer(*pairs)
    middle = found[lags, lags]
    if middle <= 0:
        found = np.zeros_like(found)
        found[lags, lags] = middle = 1.0
    return np.asarray(found / middle)


def _detail(
    pictures: Sequence[Picture], faces: Sequence[Rect], noise: ComponentNoise, fine_px: float
) -> float:
    """Share of the energy of the face's finest detail that noise does not explain."""
    whole = noisy = 0.0
    fine = _fine_share(noise, fine_px)
    for picture, face in zip(pictures, faces, strict=True):
        luma = _planes(picture, layout_of(picture.format), face)[0]
        if luma.size:
            finest = luma - cv2.GaussianBlur(luma, (0, 0), fine_px)
            whole += float(np.square(finest).mean())
            noisy += fine * float(np.square(noise.sigma_at(luma)).mean())
    return max(whole - noisy, 0.0) / whole if whole > 0 else 1.0


def _fine_share(noise: ComponentNoise, fine_px: float) -> float:
    """Share of the noise's energy that a blur of `fine_px` takes away."""
    spectrum = _spectrum(noise, _TILE_PX)
    frequency = np.fft.fftfreq(_TILE_PX)
    blur = np.exp(-2 * (np.pi * fine_px * frequency) ** 2)
    return float((spectrum * (1 - np.outer(blur, blur)) ** 2).sum() / spectrum.sum())


def _spectrum(noise: ComponentNoise, size: int) -> npt.NDArray[np.float64]:
    """(size, size) power by frequency, not negative."""
    lags = noise.correlation.shape[0] // 2
    taper = np.cos(np.pi / 2 * np.arange(-lags, lags + 1) / (lags + 1)) ** 2
    spread = np.zeros((size, size))
    spread[: 2 * lags + 1, : 2 * lags + 1] = noise.correlation * np.outer(taper, taper)
    return np.fft.fft2(np.roll(spread, (-lags, -lags), (0, 1))).real.clip(1e-12)


@lru_cache(maxsize=48)
def _tile(noise: ComponentNoise) -> _Floats:
    """(_TILE_PX, _TILE_PX) noise of unit variance that repeats without a seam."""
    white = np.random.default_rng(0).standard_normal((_TILE_PX, _TILE_PX))
    shaped = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(_spectrum(noise, _TILE_PX))).real
    return (shaped / shaped.std()).astype(np.float32)


def _rolled(tile: _Floats, rng: np.random.Generator, shape: tuple[int, int]) -> _Floats:
    """(*shape) the tile from a place drawn at random, mirrored or not."""
    rows, columns = (rng.integers(_TILE_PX) + np.arange(side) for side in shape)
    flip_x, flip_y = rng.integers(2, size=2)
    part = tile[np.ix_(rows % _TILE_PX, columns % _TILE_PX)]
    return part[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _planes(picture: Picture, layout: Layout, region: Rect) -> list[_Floats]:
    """Luma in [0, 1], and chroma where there is some, each in the samples of its own plane."""
    values = []
    for index, part in enumerate(layout.components):
        offset, scale = component_scale(picture, layout, index)
        samples = component_samples(picture, layout, index)[
            region.shrunk(part.shift_x, part.shift_y)
        ]
        values.append(((samples.float() - offset) / scale).numpy())
    if layout.family != "rgb":
        return values
    rows = yuv_from_rgb("bt709").astype(np.float32)
    return list(np.tensordot(rows, np.stack(values[:3]), 1))


def _matrix(picture: Picture, layout: Layout) -> str:
    return "bt709" if layout.family == "rgb" or picture.matrix == "rgb" else picture.matrix


def _shifts(layout: Layout, index: int) -> tuple[int, int]:
    """(x, y) of the component's plane; of RGB, whose luma and chroma are worked out, none."""
    part = layout.components[index]
    return (0, 0) if layout.family == "rgb" else (part.shift_x, part.shift_y)
