"""What video does to a face, as small seeded functions, and the generator's blind mixture of them.

Pictures are (H, W, 3) float32 RGB in [0, 1]; every function returns a new array. Randomness comes
from a ``numpy.random.Generator`` argument, so one seed gives one result.

The mixture follows the path of a face through a camera and a tape: blurred by lens and motion, seen
small, noisy, coded by a video codec between its neighbours in time (so that the residue of P and B
frames appears), often enlarged and coded a second time by whoever passed the clip on, and at last
warped up to the crop. It is the still-picture model of GFP-GAN, ``x = JPEG((y * k) down_r + n)``
(arXiv 2101.04061, section 4.1), with the codec put where video has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

_INTERPOLATIONS = {
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_SMALLEST_FRAME_PX = 16
_X264_STEADY = "mbtree=0"
"""With its macroblock-tree rate control libx264 gives one of two results for the same clip."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> NDArray[np.float32]:
    """Normalised anisotropic Gaussian, ``exp(-p^T S^-1 p / 2)``, ``S = R diag(sx^2, sy^2) R^T``.

    Args:
        sigma_x: Standard deviation along the kernel's first axis, in pixels.
        sigma_y: Standard deviation along its second axis, in pixels.
        angle: Turn of the axes, in radians.

    Returns:
        (K, K) float32, K odd and wide enough for three standard deviations.
    """
    radius = max(1, int(np.ceil(3 * max(sigma_x, sigma_y))))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def blur(image: Picture, sigma_x: float, sigma_y: float, angle: float = 0.0) -> Picture:
    """Convolve with `gaussian_kernel`, the border reflected."""
    kernel = gaussian_kernel(max(sigma_x, 1e-3), max(sigma_y, 1e-3), angle)
    blurred = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.float32)


def resize(image: Picture, height: int, width: int, method: str) -> Picture:
    """Resample to a size by ``area``, ``bilinear``, ``bicubic`` or ``lanczos``, pixel centres
    aligned at the edges.
    """
    resized = cv2.resize(image, (width, height), interpolation=_INTERPOLATIONS[method])
    return np.asarray(np.clip(resized, 0.0, 1.0), dtype=np.float32)


def shift(image: Picture, dx_px: float, dy_px: float) -> Picture:
    """Move the picture's content by (dx, dy) pixels, bilinear, the border reflected."""
    matrix = np.array([[1, 0, dx_px], [0, 1, dy_px]], dtype=np.float64)
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, dtype=np.float32)


def gaussian_noise(
    image: Picture, sigma: float, rng: np.random.Generator, *, gray: bool
) -> Picture:
    """Add white noise of standard deviation ``sigma`` (in units of the range), one for all
    channels when ``gray``.
    """
    channels = 1 if gray else image.shape[2]
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32)
    return np.clip(image + sigma * noise, 0.0, 1.0)


def shot_noise(image: Picture, photons: float, rng: np.random.Generator) -> Picture:
    """Poisson noise of a sensor whose white is ``photons`` electrons: variance ``image /
    photons``, drawn as a normal.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noisy = image + noise * np.sqrt(np.clip(image, 0, 1) / np.float32(photons))
    return np.asarray(np.clip(noisy, 0.0, 1.0), dtype=np.float32)


def grayscale(image: Picture) -> Picture:
    """Luma (ITU-R BT.601 weights) in all three channels."""
    return np.asarray(np.repeat((image @ _LUMA)[..., None], 3, axis=2), dtype=np.float32)


def jpeg(image: Picture, quality: int) -> Picture:
    """Code and decode as a baseline JPEG of ``quality`` 1-100."""
    data = cv2.imencode(".jpg", _to_bytes(image)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return _from_bytes(decoded[..., ::-1])


def video_codec(
    frames: Sequence[Picture], codec: str, *, quality: int, preset: str = "veryfast"
) -> list[Picture]:
    """Code a short clip as 4:2:0 video and decode it again.

    Args:
        frames: Pictures of one size, both sides even.
        codec: ``h264`` (x264, ``quality`` is its CRF) or ``mpeg2`` (``quality`` is its constant
            quantiser).
        quality: 0-51 for ``h264``, 2-31 for ``mpeg2``; larger is worse.
        preset: x264 preset; decides about B frames, motion search and deblocking.

    Returns:
        The decoded frames, in order.
    """
    name, decoder_name, options = {
        "h264": (
            "libx264",
            "h264",
            {"crf": str(quality), "preset": preset, "x264-params": _X264_STEADY},
        ),
        "mpeg2": ("mpeg2video", "mpeg2video", {"bf": "2"}),
    }[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.options, encoder.thread_count = options, 1
    if codec == "mpeg2":
        encoder.qmin = encoder.qmax = quality
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    packets = [
        packet
        for index, image in enumerate(frames)
        for packet in encoder.encode(_to_frame(image, index))
    ]
    packets += encoder.encode(None)
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return [_from_bytes(frame.to_ndarray(format="rgb24")) for frame in decoded]


@dataclass(frozen=True)
class Coding:
    """One pass through a video codec."""

    codec: str
    """``h264`` or ``mpeg2``."""
    quality: int
    """CRF or quantiser, see `video_codec`."""
    preset: str = "veryfast"


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
            sigma_x = sigma_y = _log_uniform(rng, self.sigma_px)
            if rng.random() < 0.5:
                sigma_y = _log_uniform(rng, self.sigma_px)
        return Degradation(
            sigma_x_px=sigma_x,
            sigma_y_px=sigma_y,
            angle=float(rng.uniform(0, np.pi)),
            factor=_log_uniform(rng, self.factor),
            down=str(rng.choice(("area", "area", "bilinear", "bicubic"))),
            up=str(rng.choice(("bilinear", "bilinear", "bicubic", "lanczos"))),
            noise=float(rng.uniform(*self.noise)) if rng.random() < self.noise_share else 0.0,
            noise_gray=bool(rng.random() < 0.4),
            photons=_log_uniform(rng, self.photons) if rng.random() < self.shot_share else 0.0,
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


def apply(image: Picture, degradation: Degradation, rng: np.random.Generator) -> Picture:
    """Send a picture through a degradation.

    Args:
        image: (H, W, 3) at the scale of the 512 px crop: the crop or a window, both sides even.
        degradation: What to do.
        rng: Source of the noise.

    Returns:
        (H, W, 3), aligned with ``image``.
    """
    height, width = image.shape[:2]
    if degradation.sigma_x_px > 0:
        image = blur(image, degradation.sigma_x_px, degradation.sigma_y_px, degradation.angle)
    coded = degradation.coding is not None or degradation.recoding is not None
    motion = degradation.motion_px if coded else ((0.0, 0.0),)
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
    if result.shape[:2] != (height, width):
        result = resize(result, height, width, degradation.up)
    return result


def _film(image: Picture, degradation: Degradation, rng: np.random.Generator) -> Picture:
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


def _code(frames: Sequence[Picture], coding: Coding) -> list[Picture]:
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


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    low, high = np.log(bounds)
    return float(np.exp(rng.uniform(low, high)))


def _to_bytes(image: Picture) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8))


def _to_frame(image: Picture, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(_to_bytes(image), format="rgb24")
    frame.pts = index
    return frame


def _from_bytes(image: NDArray[Any]) -> Picture:
    return np.asarray(np.ascontiguousarray(image, dtype=np.float32) / 255, dtype=np.float32)
