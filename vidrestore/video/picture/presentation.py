"""How a picture is to be shown, as containers tell it beside the samples.

MP4 and QuickTime say it in boxes of the sample entry (ISO/IEC 14496-12 `clap`; `st3d` and `sv3d` of
the spherical video specification, version 2), Matroska in elements of the track (RFC 9559). Both
are read into `Presentation`, and either can be written from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["Aperture", "Presentation", "Projection", "display_size"]


@dataclass(frozen=True, slots=True)
class Aperture:
    """The part of the picture that is shown: the clean aperture, in pixels."""

    width: Fraction
    height: Fraction
    x: Fraction
    """Of its centre, to the right of the picture's."""
    y: Fraction
    """Of its centre, below the picture's."""

    @classmethod
    def from_margins(cls, size: tuple[int, int], margins: tuple[int, int, int, int]) -> Aperture:
        """From pixels that are cut off (left, top, right, bottom) a picture (width, height)."""
        left, top, right, bottom = margins
        return cls(
            Fraction(size[0] - left - right),
            Fraction(size[1] - top - bottom),
            Fraction(left - right, 2),
            Fraction(top - bottom, 2),
        )

    def margins(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Whole pixels that are cut off a picture (width, height): left, top, right, bottom."""
        left = (size[0] - self.width) / 2 + self.x
        top = (size[1] - self.height) / 2 + self.y
        edges = (left, top, size[0] - self.width - left, size[1] - self.height - top)
        left_px, top_px, right_px, bottom_px = (max(0, round(edge)) for edge in edges)
        return left_px, top_px, right_px, bottom_px


@dataclass(frozen=True, slots=True)
class Projection:
    """How a spherical (360 or 180 degree) picture covers the sphere."""

    kind: Literal[b"equi", b"cbmp", b"mshp"]
    """Equirectangular, cube map or mesh."""
    pose: tuple[int, int, int]
    """Yaw, pitch and roll in degrees, 16.16 fixed point."""
    content: bytes
    """Of the box of that kind; Matroska's ProjectionPrivate is the same."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a picture is to be shown; all None where the container says nothing."""

    aperture: Aperture | None = None
    stereo: int | None = None
    """Matroska's StereoMode: 1 side by side, 3 one below the other, 11 and 2 with the right eye
    first."""
    projection: Projection | None = None
    spherical_xml: bytes | None = None
    """The same in the words of version 1: an XML text, in MP4 only."""
    boxes: tuple[tuple[bytes, bytes], ...] = ()
    """(kind, content) of boxes that only MP4 has and that are carried as they are: `amve`, the
    light in which an HDR master was viewed; `vexu` and `hfov`, Apple's words for both eyes in one
    picture and for the angle of view."""

    def __bool__(self) -> bool:
        return self != Presentation()


def display_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """Size in square pixels of a picture, so that its aspect ratio is exact where sizes allow.

    Args:
        width: of what is shown, in coded pixels.
        height: the same.
        sar: width of a pixel over its height.
    """
    ratio = Fraction(width) * sar / height
    if (width * sar).denominator == 1:
        return int(width * sar), height
    if (height / sar).denominator == 1:
        return width, int(height / sar)
    times = max(1, round(height / ratio.denominator))
    if times * ratio.denominator <= 2 * height:
        return times * ratio.numerator, times * ratio.denominator
    return round(width * sar), height
