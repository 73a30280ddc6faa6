"""One drawn degradation of the blind mixture: what it is made of, and what it may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vidrestore.degradations.compression import PRESETS
from vidrestore.degradations.sampling import METHODS

__all__ = [
    "CODECS",
    "MOST_FACTOR",
    "MOST_FRAMES",
    "MOST_PHOTONS",
    "MOST_PX",
    "Coding",
    "Degradation",
    "require_within",
]

MOST_PX = 200.0
"""Of a blur's standard deviation, and of the motion's from frame to frame."""
MOST_FACTOR = 64.0
MOST_FRAMES = 64
MOST_PHOTONS = 1e6
_MOST_SHIFT_PX = 1e5
CODECS = {"h264": (0, 51), "mpeg2": (1, 31)}
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
        _among("codec", self.codec, CODECS)
        _among("preset", self.preset, PRESETS)
        require_within("quality", self.quality, *CODECS[self.codec])


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
            require_within(name, getattr(self, name), low, high)
        if not 0 < len(self.motion_px) <= MOST_FRAMES or (0.0, 0.0) not in self.motion_px:
            raise ValueError(f"motion_px: needs 1 to {MOST_FRAMES} shifts, of which one is [0, 0]")
        for shift_px in self.motion_px:
            for length in shift_px:
                require_within("motion_px", length, -_MOST_SHIFT_PX, _MOST_SHIFT_PX)


_DEGRADATION_BOUNDS = {
    "sigma_x_px": (0.0, MOST_PX),
    "sigma_y_px": (0.0, MOST_PX),
    "angle": (-7.0, 7.0),
    "factor": (1.0, MOST_FACTOR),
    "noise": (0.0, 1.0),
    "photons": (0.0, MOST_PHOTONS),
    "jpeg_quality": (0, 100),
    "recoding_factor": (1.0, MOST_FACTOR),
}


def require_within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value beyond its bounds.

    Raises:
        ValueError: it names the field.
    """
    if not low <= value <= high:
        raise ValueError(f"{name}: must lie in {low:g} to {high:g}, not {value:g}")


def _among(name: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise ValueError(f"{name}: unknown {word!r}; known: {', '.join(known)}")
