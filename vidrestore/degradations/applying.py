"""A drawn degradation, applied to a picture or a video: the path of a face through camera and tape.

Randomness comes from a ``numpy.random.Generator`` argument, so one seed gives one result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from vidrestore.degradations.compression import jpeg, recode, video_codec
from vidrestore.degradations.degradation import Coding, Degradation
from vidrestore.degradations.noise import gaussian_noise, shot_noise
from vidrestore.degradations.optics import blur
from vidrestore.degradations.pixels import Image
from vidrestore.degradations.sampling import resize, shift

__all__ = ["apply", "apply_to_video"]

_SMALLEST_FRAME_PX = 16


def apply(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """Send a picture through a degradation.

    Args:
        image: (H, W, 3) at the scale of the 512 px crop: the crop or a window, both sides even.
        degradation: what to do.
        rng: source of the noise.

    Returns:
        (H, W, 3), aligned with ``image``.
    """
    height, width = image.shape[:2]
    if degradation.sigma_x_px > 0:
        image = blur(image, degradation.sigma_x_px, degradation.sigma_y_px, degradation.angle)
    has_codec = degradation.coding is not None or degradation.recoding is not None
    motion = degradation.motion_px if has_codec else ((0.0, 0.0),)
    frames = [
        _film(shift(image, *step) if step != (0.0, 0.0) else image, degradation, rng)
        for step in motion
    ]
    if degradation.coding is not None:
        frames = _code(frames, degradation.coding)
    if degradation.recoding is not None:
        size = _video_size(height, width, degradation.recoding_factor)
        frames = _code(
            [resize(frame, *size, degradation.up) for frame in frames], degradation.recoding
        )
    result = frames[motion.index((0.0, 0.0))]
    if degradation.jpeg_quality:
        result = jpeg(result, degradation.jpeg_quality)
    return _sized(result, height, width, degradation)


def apply_to_video(
    frames: Iterable[Image],
    degradation: Degradation,
    rng_of_frame: Callable[[int], np.random.Generator],
) -> Iterator[Image]:
    """Send a stream of frames through a degradation: `apply` with the video's own motion.

    Args:
        frames: (H, W, 3) each, of one size.
        degradation: what to do; its `motion_px` is not used, the codecs see the frames as they are.
        rng_of_frame: source of a frame's noise, by its number.

    Yields:
        As many frames, of the same size, in order; the codecs look some frames ahead.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    height, width = first.shape[:2]
    stream: Iterator[Image] = (
        _seen(frame, degradation, rng_of_frame(index))
        for index, frame in enumerate(chain([first], frames))
    )
    for coding, factor in (
        (degradation.coding, None),
        (degradation.recoding, degradation.recoding_factor),
    ):
        if coding is None:
            continue
        if factor is not None:
            size = _video_size(height, width, factor)
            stream = (resize(frame, *size, degradation.up) for frame in stream)
        stream = recode(stream, coding.codec, quality=coding.quality, preset=coding.preset)
    for frame in stream:
        if degradation.jpeg_quality:
            frame = jpeg(frame, degradation.jpeg_quality)
        yield _sized(frame, height, width, degradation)


def _seen(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """`_film` of the blurred picture."""
    if degradation.sigma_x_px > 0:
        image = blur(image, degradation.sigma_x_px, degradation.sigma_y_px, degradation.angle)
    return _film(image, degradation, rng)


def _sized(image: Image, height: int, width: int, degradation: Degradation) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return resize(image, height, width, degradation.up)


def _film(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """One frame as the camera takes it: seen at the video's scale, with noise."""
    height, width = image.shape[:2]
    size = _video_size(height, width, degradation.factor)
    if size != (height, width):
        image = resize(image, *size, degradation.down)
    if degradation.photons:
        image = shot_noise(image, degradation.photons, rng)
    if degradation.noise:
        image = gaussian_noise(image, degradation.noise, rng, gray=degradation.noise_gray)
    return image


def _code(frames: Sequence[Image], coding: Coding) -> list[Image]:
    decoded = video_codec(frames, coding.codec, quality=coding.quality, preset=coding.preset)
    assert len(decoded) == len(frames), (
        f"{len(frames)} frames went into {coding}, {len(decoded)} came out"
    )
    return decoded


def _video_size(height: int, width: int, factor: float) -> tuple[int, int]:
    """Even (height, width) of the video a crop of this size comes from."""
    return _even(height / factor), _even(width / factor)


def _even(length: float) -> int:
    return max(_SMALLEST_FRAME_PX, 2 * round(length / 2))
