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

from dataclasses import dataclass, fields, replace

import numpy as np

from vidrestore.degradations.degradation import (
    CODECS,
    MOST_FACTOR,
    MOST_FRAMES,
    MOST_PHOTONS,
    MOST_PX,
    Coding,
    Degradation,
    require_within,
)
from vidrestore.degradations.pixels import log_uniform

__all__ = ["BlindVideo"]


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
                require_within(field.name, value, low, high)
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
    "factor": (1.0, MOST_FACTOR),
    "photons": (1e-3, MOST_PHOTONS),
    "jpeg_quality": (0, 100),
    "crf": CODECS["h264"],
    "quantiser": CODECS["mpeg2"],
    "recoding_crf": CODECS["h264"],
    "frames": (1, MOST_FRAMES),
    "motion_px": (0.0, MOST_PX),
}
"""Those of the other fields are shares."""


def _preset(rng: np.random.Generator) -> str:
    return str(rng.choice(("ultrafast", "superfast", "veryfast", "faster")))
