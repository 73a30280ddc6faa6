"""Measure the noise of a recording around a face.

Noise is what differs from frame to frame where nothing happens. Small blocks of flat surroundings
are compared with where they were a frame before, moved by whole pixels, so that nothing is
interpolated; half the variance of the differences is that of the noise. Noise is told apart by
brightness, and each component is measured in the samples of its own plane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.noise import component_shift, fine_share, sigma_at
from vidrestore.structs import ComponentNoise, NoiseModel, Picture
from vidrestore.video.picture.colour import yuv_from_rgb
from vidrestore.video.picture.layouts import Layout, layout_of
from vidrestore.video.picture.samples import Rect, component_samples, component_scale

__all__ = ["measured_noise"]

_Floats = npt.NDArray[np.float32]

_BLOCK_PX = 32
_STRIDE_PX = 16
_FLAT_SHARE = 0.3
"""Share of the blocks, the flattest ones, that are compared: elsewhere motion of less than a pixel
would be taken for noise."""
_FLAT_SIGMA = 2.0
"""Blur, in pixels, of the picture whose slopes tell how flat a block is: grain has no slopes."""
_FLOW_SIGMA = 1.5
_COARSE_SIGMA = 3.5
"""Grain is finer than a blur of so many samples; of Gaussian grains of 1 px 0.9 are left."""
_SLACK = 1.25
"""By so much the variance of a block may be exceeded, as it is an estimate too."""
_MOST_TORN_PX = 0.7
"""Greatest standard deviation of the flow within a block that moves as one."""
_REPEATED = 1 / 16
"""A pair of frames with less than this share of the others' variance shows one picture twice."""
_LEAST_BLOCKS = 8
_LEVELS = 8
"""Steps of brightness that noise is told apart by."""
_UNSEEN = 0.5 / 255
"""Standard deviation that is no noise but rounding."""
_REACH_LAGS = 12
"""Noise further apart than so many samples is independent."""


def measured_noise(
    pictures: Sequence[Picture],
    regions: Sequence[Rect],
    face: Sequence[Rect],
    fine_px: float,
    smooth_px: float,
) -> NoiseModel | None:
    """Measure the noise of a few frames that follow each other.

    Args:
        pictures: frames of one shot, N.
        regions: where to look in each.
        face: where the face is in each.
        fine_px: standard deviation, in pixels, of the blur that takes the finest detail away.
        smooth_px: that of the blur through which unrest is seen.

    Returns:
        None where it cannot be told: of a single frame, or without flat surroundings.
    """
    pairs = [
        _compared(before, after, region, smooth_px)
        for (before, after), region in zip(pairwise(pictures), regions[1:], strict=True)
    ]
    blocks = _Blocks.joined([pair for pair in _moving(pairs) if len(pair.luma)])
    if blocks is None or len(blocks.luma) < _LEAST_BLOCKS:
        return None
    components = tuple(_component(blocks, index) for index in range(len(blocks.differences)))
    detail = _detail(pictures, face, components[0], fine_px)
    return NoiseModel(components, detail, float(np.median(blocks.unrest)))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Flat blocks of a frame beside where they were the frame before."""

    luma: npt.NDArray[np.float64]
    """(B,) mean brightness."""
    differences: list[_Floats]
    """(B, h, w) of each component, of its finest detail: as strong as the noise of one frame."""
    unrest: npt.NDArray[np.float64]
    """(B,) mean absolute difference of blurred luma."""

    @staticmethod
    def joined(parts: Sequence[_Blocks]) -> _Blocks | None:
        if not parts:
            return None
        per_component = zip(*(part.differences for part in parts), strict=True)
        return _Blocks(
            np.concatenate([part.luma for part in parts]),
            [np.concatenate(blocks) for blocks in per_component],
            np.concatenate([part.unrest for part in parts]),
        )


def _compared(before: Picture, after: Picture, region: Rect, smooth_px: float) -> _Blocks:
    layout = layout_of(after.format)
    old, new = (_planes(picture, layout, region) for picture in (before, after))
    places, steps = _flat_places(old[0], new[0])
    brightness = _cut(new[0], places, (_BLOCK_PX, _BLOCK_PX)).mean((1, 2), dtype=np.float64)
    differences = []
    for index, (was, now) in enumerate(zip(old, new, strict=True)):
        shift = np.array(component_shift(layout, index))
        shape = _BLOCK_PX >> shift[1], _BLOCK_PX >> shift[0]
        here = _cut(_finest(now), places >> shift, shape)
        back = (places >> shift) + np.rint(steps / (1 << shift)).astype(int)
        differences.append(_noise_of(here, _cut(_finest(was), back, shape)))
    soft_old, soft_new = (cv2.GaussianBlur(plane, (0, 0), smooth_px) for plane in (old[0], new[0]))
    whole = (_BLOCK_PX, _BLOCK_PX)
    apart = np.abs(_cut(soft_new, places, whole) - _cut(soft_old, places + steps, whole))
    return _Blocks(brightness, differences, apart.mean((1, 2), dtype=np.float64))


def _finest(plane: _Floats) -> _Floats:
    """What is no coarser than grains are; blotches of coding and of light are."""
    return np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), _COARSE_SIGMA), np.float32)


def _noise_of(here: _Floats, there: _Floats) -> _Floats:
    """(B, h, w) differences of blocks, as strong as the noise of one of them.

    That is no stronger than what the blocks themselves show: what differs by more was not the same
    place.
    """
    apart = here - there
    apart -= apart.mean((1, 2), keepdims=True)
    most = np.minimum(here.var((1, 2)), there.var((1, 2)))
    own = np.minimum(0.5, _SLACK * most / np.maximum(apart.var((1, 2)), 1e-12))
    return np.asarray(apart * np.sqrt(own)[:, None, None], np.float32)


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
    moved = np.stack(
        [_cut(flow[..., axis], places, shape).reshape(len(places), -1) for axis in (0, 1)], 1
    )
    steps = np.rint(np.median(moved, axis=2)).astype(int)
    inside = (
        (places + steps >= 0) & (places + steps <= [width - _BLOCK_PX, height - _BLOCK_PX])
    ).all(1)
    whole = inside & (moved.std(2).max(1) < _MOST_TORN_PX)
    places, steps = places[whole], steps[whole]
    order = np.argsort(_cut(slope, places, shape).mean((1, 2)), kind="stable")
    flattest = np.sort(order[: int(np.ceil(_FLAT_SHARE * len(order)))])
    return places[flattest], steps[flattest]


def _flow(new: _Floats, old: _Floats) -> _Floats:
    """(h, w, 2) from `new` to where it was in `old`."""
    soft_new, soft_old = (
        np.rint(cv2.GaussianBlur(luma, (0, 0), _FLOW_SIGMA).clip(0, 1) * 255).astype(np.uint8)
        for luma in (new, old)
    )
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(flow.calc(soft_new, soft_old, None), np.float32)


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
    return np.asarray(np.square(blocks, dtype=np.float64).mean((1, 2)))


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
    fine = fine_share(noise, fine_px)
    for picture, face in zip(pictures, faces, strict=True):
        luma = _planes(picture, layout_of(picture.format), face)[0]
        if luma.size:
            finest = luma - cv2.GaussianBlur(luma, (0, 0), fine_px)
            whole += float(np.square(finest).mean())
            noisy += fine * float(np.square(sigma_at(noise, luma)).mean())
    return max(whole - noisy, 0.0) / whole if whole > 0 else 1.0


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
