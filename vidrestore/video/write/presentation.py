"""How a picture is to be shown, as boxes of MP4 and as elements of Matroska.

PyAV hands FFmpeg's writers neither a pixel aspect ratio for Matroska nor a clean aperture, a
projection or an HDR master's display; `track_patch` writes them into the finished file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from vidrestore.video.container.matroska import Element
from vidrestore.video.container.mp4 import Box
from vidrestore.video.picture.presentation import Aperture, Presentation, Projection, display_size
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.presentation import SPHERICAL_UUID, xml_as_version_2

__all__ = ["COLOUR", "STEREO_IN_MP4", "Shown", "boxes_for", "elements_for", "shown_of"]

COLOUR = 0x55B0
"""Matroska's element about colours, which is merged with what FFmpeg writes."""

_KINDS = {b"equi": 1, b"cbmp": 2, b"mshp": 3}
STEREO_IN_MP4 = {0: 0, 3: 1, 1: 2, 11: 4}
"""The number in `st3d` by Matroska's StereoMode; others MP4 does not have."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is said about showing one picture."""

    size: tuple[int, int]
    """Coded (width, height) in pixels."""
    sar: Fraction
    presentation: Presentation
    mastering: tuple[Fraction, ...] | None = None
    """As in `VideoInfo`."""
    light_level: tuple[int, int] | None = None
    matrix: tuple[int, ...] | None = None
    """How the picture is turned, as in `VideoInfo.display_matrix`, where another program writes the
    file; else PyAV tells FFmpeg's writers."""
    rotation: int = 0
    """The same in degrees counter-clockwise."""


def shown_of(source: VideoInfo, size: tuple[int, int], sar: Fraction) -> Shown:
    """All that an input says about showing the picture that is restored.

    Args:
        source: the input, as probed.
        size: in which it is written.
        sar: of the written pixels.
    """
    told, aperture = source.presentation, source.presentation.aperture
    if aperture is not None and size != (source.width, source.height):
        x, y = Fraction(size[0], source.width), Fraction(size[1], source.height)
        scaled = Aperture(aperture.width * x, aperture.height * y, aperture.x * x, aperture.y * y)
        told = replace(told, aperture=scaled)
    return Shown(
        size,
        sar,
        told,
        source.mastering,
        source.light_level,
    )


def boxes_for(shown: Shown) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """(boxes of the sample entry, boxes of the track) of an MP4 file."""
    told = shown.presentation
    boxes: list[Box] = []
    if told.aperture is not None:
        boxes.append(Box(b"clap", _clean_aperture(told.aperture)))
    if told.stereo in STEREO_IN_MP4:
        boxes.append(Box(b"st3d", bytes([0, 0, 0, 0, STEREO_IN_MP4[told.stereo or 0]])))
    if told.projection is not None:
        boxes.append(Box(b"sv3d", _spherical(told.projection)))
    boxes += [Box(kind, content) for kind, content in told.boxes]
    if shown.mastering is not None:
        boxes.append(Box(b"mdcv", _mastering_box(shown.mastering)))
    if shown.light_level is not None:
        boxes.append(Box(b"clli", struct.pack(">2H", *_clipped(shown.light_level))))
    xml = told.spherical_xml
    return tuple(boxes), () if xml is None else (Box(b"uuid", SPHERICAL_UUID + xml),)


def elements_for(shown: Shown) -> tuple[Element, ...]:
    """Elements of Video of a Matroska file."""
    told = shown.presentation
    if told.spherical_xml is not None and told.projection is None:
        told = xml_as_version_2(told.spherical_xml)
    return (
        *_display_elements(shown.size, shown.sar, shown.presentation.aperture),
        *([] if told.stereo is None else [Element.of_uint(0x53B8, told.stereo)]),
        *_projection_elements(replace(shown, presentation=told)),
        *_colour_elements(shown),
    )


def _display_elements(
    size: tuple[int, int], sar: Fraction, aperture: Aperture | None
) -> Iterator[Element]:
    margins = (0, 0, 0, 0) if aperture is None else aperture.margins(size)
    if any(margins):
        for number, margin in zip((0x54CC, 0x54BB, 0x54DD, 0x54AA), margins, strict=True):
            yield Element.of_uint(number, margin)
    if any(margins) or sar != 1:
        left, top, right, bottom = margins
        width, height = display_size(size[0] - left - right, size[1] - top - bottom, sar)
        yield Element.of_uint(0x54B0, width)
        yield Element.of_uint(0x54BA, height)


def _projection_elements(shown: Shown) -> Iterator[Element]:
    told = shown.presentation
    if told.projection is not None:
        yield _projection_element(told.projection)
    elif shown.matrix is not None and shown.rotation:
        roll = Element(0x7675, struct.pack(">d", (shown.rotation + 180) % 360 - 180))
        content = Element.of_uint(0x7671, 0).to_bytes() + roll.to_bytes()  # 0: rectangular
        yield Element(0x7670, content)


def _projection_element(projection: Projection) -> Element:
    turns = zip((0x7673, 0x7674, 0x7675), projection.pose, strict=True)
    parts = [
        Element.of_uint(0x7671, _KINDS[projection.kind]),
        Element(0x7672, projection.content),
        *(Element(number, struct.pack(">d", turn / 65536)) for number, turn in turns),
    ]
    return Element(0x7670, b"".join(part.to_bytes() for part in parts))


def _colour_elements(shown: Shown) -> Iterator[Element]:
    """The element Colour, with what FFmpeg does not write into it."""
    parts: list[Element] = []
    if shown.light_level is not None:
        light = zip((0x55BC, 0x55BD), shown.light_level, strict=True)
        parts += [Element.of_uint(number, value) for number, value in light]
    if shown.mastering is not None:
        values = (*shown.mastering[:8], shown.mastering[9], shown.mastering[8])
        numbers = range(0x55D1, 0x55DB)  # red, green, blue, white: x and y; most, least luminance
        content = b"".join(
            Element(number, struct.pack(">d", float(value))).to_bytes()
            for number, value in zip(numbers, values, strict=True)
        )
        parts.append(Element(0x55D0, content))
    if parts:
        yield Element(COLOUR, b"".join(part.to_bytes() for part in parts))


def _clean_aperture(aperture: Aperture) -> bytes:
    numbers = (aperture.width, aperture.height, aperture.x, aperture.y)
    return b"".join(struct.pack(">iI", one.numerator, one.denominator) for one in numbers)


def _spherical(projection: Projection) -> bytes:
    pose = Box(b"prhd", bytes(4) + struct.pack(">3i", *projection.pose))
    shape = Box(projection.kind, projection.content)
    return b"".join(
        box.to_bytes()
        for box in (
            Box(b"svhd", bytes(5)),
            Box(b"proj", pose.to_bytes() + shape.to_bytes()),
        )
    )


def _mastering_box(mastering: tuple[Fraction, ...]) -> bytes:
    """Green, blue, red, white in steps of 0.00002; most and least luminance of 0.0001 cd/m²."""
    points = (*mastering[2:6], *mastering[:2], *mastering[6:8])
    steps = [min(65535, max(0, round(value * 50000))) for value in points]
    luminance = [min(2**32 - 1, round(value * 10000)) for value in mastering[:7:-1]]
    return struct.pack(">8H2I", *steps, *luminance)


def _clipped(level: tuple[int, int]) -> tuple[int, int]:
    return min(level[0], 65535), min(level[1], 65535)
