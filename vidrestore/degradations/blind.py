"""The blind mixture that the generator is trained with and judged by: a documented protocol.

Randomness comes from a ``numpy.random.Generator`` argument, so one seed gives one result; two
people who degrade the same picture with the same seed get the same input.

The mixture follows the path of a face through a camera and a tape: blurred by lens and motion, seen
small, noisy, coded by a video codec between its neighbours in time (so that the residue of P and B
frames appears), often enlarged and coded a second time by whoever passed the clip on, and at last
warped up to the crop. It is the still-picture model of GFP-GAN, ``x = JPEG((y * k) down_r + n)``
(arXiv 2101.04061, section 4.1), with the codec put where video has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain

import numpy as np

from vidrestore.degradations.compression import PRESETS, jpeg, recode, video_codec
from vidrestore.degradations.noise import gaussian_noise, shot_noise
from vidrestore.degradations.optics import blur
from vidrestore.degradations.pixels import Image, log_uniform
from vidrestore.degradations.sampling import METHODS, resize, shift

__all__ = ["BlindVideo", "Coding", "Degradation", "apply", "apply_to_video"]

_SMALLEST_FRAME_PX = 16

MOST_PX = 200.0
"""Of a blur's standard deviation, and of the motion's from frame to frame."""
_MOST_FACTOR = 64.0
_MOST_FRAMES = 64
_MOST_PHOTONS = 1e6
_MOST_SHIFT_PX = 1e5
_CODECS = {"h264": (0, 51), "mpeg2": (1, 31)}
"""Least and greatest quality of each."""


@dataclass(frozen=True)
class Coding:
    """One pass through a video codec."""

    codec: str
    """``h264`` or ``mpeg2``."""
    quality: int
    """CRF or quantiser, see `video_codec`."""
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        """Refuse what no codec takes.

        Raises:
            ValueError: it names the field.
        """
        _among("codec", self.codec, _CODECS)
        _among("preset", self.preset, PRESETS)
        _within("quality", self.quality, *_CODECS[self.codec])


@dataclass(frozen=True)
class Degradation:
    """One drawn degradation; lengths are in pixels of the 512 px crop."""

    sigma_x_px: float = 0.0
    sigma_y_px: float = 0.0
    angle: float = 0.0
    """Turn of the blur's axes, radians."""
    factor: float = 1.0
    """Crop pixels per video pixel, at least 1."""
    down: str = "area"
    up: str = "bilinear"
    noise: float = 0.0
    """Standard deviation of the Gaussian noise in the video, of the range [0, 1]."""
    noise_gray: bool = False
    photons: float = 0.0
    """White level of the shot noise; 0 for none."""
    jpeg_quality: int = 0
    """0 for none."""
    coding: Coding | None = None
    recoding: Coding | None = None
    """A second pass, after the video was enlarged to `recoding_factor`."""
    recoding_factor: float = 1.0
    motion_px: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """Shift of each frame of the coded clip; the frame that is kept has none."""

    def __post_init__(self) -> None:
        """Refuse what `BlindVideo` never draws.

        Raises:
            ValueError: it names the field.
        """
        _among("down", self.down, METHODS)
        _among("up", self.up, METHODS)
        for name, (low, high) in _DEGRADATION_BOUNDS.items():
            _within(name, getattr(self, name), low, high)
        if not 0 < len(self.motion_px) <= _MOST_FRAMES or (0.0, 0.0) not in self.motion_px:
            raise ValueError(f"motion_px: needs 1 to {_MOST_FRAMES} shifts, of which one is [0, 0]")
        for shift_px in self.motion_px:
            for length in shift_px:
                _within("motion_px", length, -_MOST_SHIFT_PX, _MOST_SHIFT_PX)


_DEGRADATION_BOUNDS = {
    "sigma_x_px": (0.0, MOST_PX),
    "sigma_y_px": (0.0, MOST_PX),
    "angle": (-7.0, 7.0),
    "factor": (1.0, _MOST_FACTOR),
    "noise": (0.0, 1.0),
    "photons": (0.0, _MOST_PHOTONS),
    "jpeg_quality": (0, 100),
    "recoding_factor": (1.0, _MOST_FACTOR),
}


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: must lie in {low:g} to {high:g}, not {value:g}")


def _among(name: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise ValueError(f"{name}: unknown {word!r}; known: {', '.join(known)}")


@dataclass(frozen=True)
class BlindVideo:
    """Ranges of the blind mixture; `draw` takes one `Degradation` from it."""

    nearly_clean: float = 0.0
    """Share of pictures that are left as they are or coded at high quality only."""
    blur_share: float = 0.7
    sigma_px: tuple[float, float] = (0.3, 5.0)
    """Log-uniform; half of the kernels are isotropic."""
    factor: tuple[float, float] = (1.0, 8.0)
    """Log-uniform."""
    noise_share: float = 0.6
    noise: tuple[float, float] = (0.0, 12 / 255)
    shot_share: float = 0.2
    photons: tuple[float, float] = (150.0, 2000.0)
    """Log-uniform."""
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (40, 95)
    h264_share: float = 0.75
    crf: tuple[int, int] = (18, 38)
    mpeg2_share: float = 0.12
    quantiser: tuple[int, int] = (2, 14)
    recoding_share: float = 0.3
    recoding_crf: tuple[int, int] = (16, 28)
    frames: tuple[int, int] = (2, 4)
    """Frames of the coded clip."""
    motion_px: float = 3.0
    """Standard deviation of the motion from frame to frame."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from.

        Raises:
            ValueError: a share is beyond 0 to 1, a range is turned round or beyond its bounds.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _MIXTURE_BOUNDS.get(field.name, (0.0, 1.0))
            if not isinstance(value, tuple):
                _within(field.name, value, low, high)
            elif not (len(value) == 2 and low <= value[0] <= value[1] <= high):
                raise ValueError(
                    f"{field.name}: {list(value)} is no range within {low:g} to {high:g}"
                )

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw one degradation."""
        if rng.random() < self.nearly_clean:
            return self._draw_nearly_clean(rng)
        drawn = self._draw_optics(rng)
        coding = self._draw_coding(rng)
        recoding = None
        if rng.random() < self.recoding_share:
            recoding = Coding(
                "h264", int(rng.integers(*self.recoding_crf, endpoint=True)), _preset(rng)
            )
        recoding_factor = float(rng.uniform(1.0, drawn.factor))
        jpeg_quality = 0
        if rng.random() < self.jpeg_share or (
            coding is None and recoding is None and rng.random() < 0.5
        ):
            jpeg_quality = int(rng.integers(*self.jpeg_quality, endpoint=True))
        return replace(
            drawn,
            coding=coding,
            recoding=recoding,
            recoding_factor=recoding_factor if rng.random() < 0.5 else 1.0,
            jpeg_quality=jpeg_quality,
            motion_px=self._draw_motion(rng),
        )

    def _draw_nearly_clean(self, rng: np.random.Generator) -> Degradation:
        if rng.random() < 0.5:
            return Degradation()
        coding = Coding("h264", int(rng.integers(10, 18, endpoint=True)), _preset(rng))
        return Degradation(coding=coding, motion_px=self._draw_motion(rng))

    def _draw_optics(self, rng: np.random.Generator) -> Degradation:
        sigma_x = sigma_y = 0.0
        if rng.random() < self.blur_share:
            sigma_x = sigma_y = log_uniform(rng, self.sigma_px)
            if rng.random() < 0.5:
                sigma_y = log_uniform(rng, self.sigma_px)
        return Degradation(
            sigma_x_px=sigma_x,
            sigma_y_px=sigma_y,
            angle=float(rng.uniform(0, np.pi)),
            factor=log_uniform(rng, self.factor),
            down=str(rng.choice(("area", "area", "bilinear", "bicubic"))),
            up=str(rng.choice(("bilinear", "bilinear", "bicubic", "lanczos"))),
            noise=float(rng.uniform(*self.noise)) if rng.random() < self.noise_share else 0.0,
            noise_gray=bool(rng.random() < 0.4),
            photons=log_uniform(rng, self.photons) if rng.random() < self.shot_share else 0.0,
        )

    def _draw_coding(self, rng: np.random.Generator) -> Coding | None:
        lot = rng.random()
        if lot < self.h264_share:
            return Coding("h264", int(rng.integers(*self.crf, endpoint=True)), _preset(rng))
        if lot < self.h264_share + self.mpeg2_share:
            return Coding("mpeg2", int(rng.integers(*self.quantiser, endpoint=True)))
        return None

    def _draw_motion(self, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
        count = int(rng.integers(*self.frames, endpoint=True))
        path = np.cumsum(rng.normal(0, self.motion_px * rng.random(), (count, 2)), axis=0)
        path -= path[int(rng.integers(count))]
        return tuple((float(x), float(y)) for x, y in path)


_MIXTURE_BOUNDS = {
    "sigma_px": (1e-3, MOST_PX),
    "factor": (1.0, _MOST_FACTOR),
    "photons": (1e-3, _MOST_PHOTONS),
    "jpeg_quality": (0, 100),
    "crf": _CODECS["h264"],
    "quantiser": _CODECS["mpeg2"],
    "recoding_crf": _CODECS["h264"],
    "frames": (1, _MOST_FRAMES),
    "motion_px": (0.0, MOST_PX),
}
"""Those of the other fields are shares."""


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


def _preset(rng: np.random.Generator) -> str:
    return str(rng.choice(("ultrafast", "superfast", "veryfast", "faster")))
