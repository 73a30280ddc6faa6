"""Where the samples of a pixel format lie: one small table beside what FFmpeg says of itself.

`layout_of("p010le")` tells which plane holds luma and both chroma components (or red, green and
blue), how they interleave and how many bits they have. Alpha and padding are in no component, so
nothing ever touches them. Formats without separate 8- or 16-bit samples (palettes, bit fields,
Bayer patterns, floats, XYZ) are refused with an error that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import av

from vidrestore.errors import VideoOpenError

__all__ = ["Component", "Layout", "layout_of", "native_format", "unsupported"]

_PACKED = {
    **{name: name for name in ("rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr")},
    "rgb24": "rgb",
    "bgr24": "bgr",
    "rgb48le": "rgb",
    "bgr48le": "bgr",
    "rgba64le": "rgba",
    "bgra64le": "bgra",
    "ya8": "ya",
    "ya16le": "ya",
    "yuyv422": "yuyv",
    "yvyu422": "yvyu",
    "uyvy422": "uyvy",
    "y210le": "yuyv",
    "y212le": "yuyv",
    "y216le": "yuyv",
    "ayuv": "ayuv",
    "ayuv64le": "ayuv",
    "uyva": "uyva",
    "vuya": "vuya",
    "vuyx": "vuy0",
    "vyu444": "vyu",
}
"""Order of the samples in one group of a packed format, as FFmpeg's pixdesc.c gives it."""

_HIGH_BITS = ("p010", "p012", "p210", "p212", "p410", "p412", "y210", "y212")
"""Formats, besides those named `…msb…`, whose values lie in the high bits of 16."""


@dataclass(frozen=True, slots=True)
class Component:
    """Where one colour component lies: the samples `row[offset::step]` of its plane."""

    plane: int
    offset: int
    """Place of the first sample in a row, in samples."""
    step: int
    """Distance to the next one, in samples."""
    shift_x: int
    """Binary logarithm of the horizontal subsampling: 1 where two pixels share a sample."""
    shift_y: int
    """The same, vertically."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How FFmpeg stores the samples of a pixel format."""

    format: str
    family: Literal["yuv", "rgb", "gray"]
    bits: int
    """Significant bits of a sample, 8 to 16 (fewer are refused)."""
    shift: int
    """Unused low bits below them: 6 for P010, 0 for nearly all others."""
    sample_bytes: Literal[1, 2]
    components: tuple[Component, ...]
    """Y, U, V or R, G, B or Y alone."""
    groups: tuple[int, ...]
    """For every plane the samples that interleave: 1 for planar, 3 for RGB24, 4 for YUYV."""

    @property
    def chroma_shift(self) -> tuple[int, int]:
        """Largest binary logarithms of the subsampling, (horizontal, vertical)."""
        return (
            max(part.shift_x for part in self.components),
            max(part.shift_y for part in self.components),
        )


def native_format(format_name: str) -> str:
    """The format a picture has once it is here: big-endian samples are swapped, no value changes.

    DPX, TIFF and PNG files of 10 to 16 bits decode to big-endian samples, which no tensor holds.
    """
    return format_name[:-2] + "le" if format_name.endswith("be") else format_name


@lru_cache(maxsize=64)
def layout_of(format_name: str) -> Layout:
    """The layout of a pixel format by FFmpeg's name, such as 'yuv420p10le' (big-endian as 'le').

    Raises:
        VideoOpenError: if faces cannot be restored in this format.
    """
    name = native_format(format_name)
    try:
        # 64 pixels divide by every subsampling, so that component sizes tell it exactly.
        described = av.VideoFormat(name, 64, 64)
    except ValueError as error:
        raise unsupported(format_name) from error
    name = described.name
    parts = [part for part in described.components if not part.is_alpha]
    bits = parts[0].bits if parts else 0
    if (
        described.has_palette
        or described.is_bayer
        or described.is_bit_stream
        or name.startswith("xyz")
        or name.endswith(("f16le", "f32le"))
        or any(part.bits != bits for part in parts)
        or not 8 <= bits <= 16
    ):
        raise unsupported(format_name)
    components, groups = _places(name, described)
    return Layout(
        format=name,
        family="rgb" if described.is_rgb else "gray" if len(parts) == 1 else "yuv",
        bits=bits,
        shift=16 - bits if name.startswith(_HIGH_BITS) or "msb" in name else 0,
        sample_bytes=1 if bits == 8 else 2,
        components=components,
        groups=groups,
    )


def _places(name: str, described: av.VideoFormat) -> tuple[tuple[Component, ...], tuple[int, ...]]:
    """Components without alpha, and samples a group for every plane."""
    parts = [part for part in described.components if not part.is_alpha]
    planes = max(part.plane for part in described.components) + 1
    shifts = [
        ((64 // part.width).bit_length() - 1, (64 // part.height).bit_length() - 1)
        for part in parts
    ]
    if name in _PACKED:
        order = _PACKED[name]
        letters = "rgb" if described.is_rgb else "yuv"[: len(parts)]
        return tuple(
            Component(0, order.index(letter), len(order) // order.count(letter), *shift)
            for letter, shift in zip(letters, shifts, strict=True)
        ), (len(order),)
    used = [part.plane for part in parts]
    if used == [0, 1, 1]:
        chroma = (1, 0) if name in ("nv21", "nv42") else (0, 1)
        return (
            Component(0, 0, 1, *shifts[0]),
            Component(1, chroma[0], 2, *shifts[1]),
            Component(1, chroma[1], 2, *shifts[2]),
        ), (1, 2)
    if len(set(used)) != len(used):
        raise unsupported(name)
    places = zip(used, shifts, strict=True)
    return tuple(Component(plane, 0, 1, *shift) for plane, shift in places), (1,) * planes


def unsupported(name: str) -> VideoOpenError:
    """The error that says that a pixel format cannot be restored, and what to do."""
    return VideoOpenError(
        f"pixel format {name} is not supported, since its samples cannot be changed one by one; "
        "convert the video first, for example with "
        f"`ffmpeg -i INPUT -pix_fmt {_wider(name)} -c:v ffv1 -c:a copy OUTPUT.mkv`"
    )


def _wider(name: str) -> str:
    """A format that holds the samples of another, and that FFV1 takes."""
    try:
        held = av.VideoFormat(name)
    except ValueError:
        return "yuv444p"
    is_deep = any(component.bits > 8 for component in held.components)
    if held.is_rgb or name == "pal8":
        return "gbrp16le" if is_deep else "bgr0"
    return "yuv444p16le" if is_deep else "yuv444p"
