"""Kinds of files that are written, by their endings, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import VideoWriteError, nearest

__all__ = ["AUTO_ORDER", "CONSTANT_RATE", "CONTAINERS", "Container", "container_of", "ending_of"]

AUTO_ORDER = ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1")
"""Codecs that `auto` tries in this order, for sources of no special kind; see `source_kind`."""


CONSTANT_RATE = ("avi", "mxf")
"""Writers of containers without times: pictures lie one after the other, from 0 on."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a kind of file can hold."""

    muxer: str
    """FFmpeg's name of the format that writes it."""
    codecs: tuple[str, ...]
    """Those that `auto` may take, in this order."""
    rotation: bool = False
    """Whether it keeps a display matrix."""
    chapters: bool = False
    attachments: bool = False
    negative_times: bool = False
    """Whether packets may have negative times; elsewhere all streams move together."""
    vp9_alpha: bool = False
    """Whether it holds the alpha of VP9, which lies beside the packets."""
    is_blu_ray: bool = False
    """Whether it is MPEG-TS as camcorders and discs write it: packets of 192 bytes, LPCM."""


_MP4 = Container("mp4", AUTO_ORDER, rotation=True, chapters=True, negative_times=True)
_MOV = Container(
    "mov",
    (*AUTO_ORDER[:2], "prores_ks", "dnxhd", "v210", "cfhd"),
    rotation=True,
    chapters=True,
    negative_times=True,
)
_MKV = Container(
    "matroska",
    (*AUTO_ORDER, "prores_ks"),
    rotation=True,
    chapters=True,
    attachments=True,
    vp9_alpha=True,
)
_WEBM = Container("webm", ("libvpx-vp9", "libsvtav1"), rotation=True, chapters=True, vp9_alpha=True)
_TS = Container("mpegts", AUTO_ORDER[:2])
_M2TS = Container("mpegts", AUTO_ORDER[:2], is_blu_ray=True)
_MXF = Container("mxf", ("libx264", "mpeg2video", "ffv1", "prores_ks", "dnxhd"))

CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".qt": _MOV,
    ".mkv": _MKV,
    ".webm": Container(
        "webm", ("libvpx-vp9", "libsvtav1"), rotation=True, chapters=True, vp9_alpha=True
    ),
    ".ts": _TS,
    ".m2ts": _M2TS,
    ".mts": _M2TS,
    ".avi": Container("avi", ("libx264", "ffv1")),
    ".flv": Container("flv", ("libx264",)),
    ".mxf": _MXF,
    ".3gp": Container("3gp", ("libx264",), rotation=True, negative_times=True),
    ".nut": Container("nut", AUTO_ORDER, chapters=True),
}
"""Containers by file ending."""


def container_of(path: str | Path) -> Container:
    """The container that a file's ending names.

    Raises:
        VideoWriteError: if the ending is unknown.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in CONTAINERS:
        shown = f"the file ending {suffix!r} names no container" if suffix else "no file ending"
        raise VideoWriteError(
            f"{path}: {shown} that can be written; use one of {', '.join(CONTAINERS)}"
            + nearest(suffix, CONTAINERS)
        )
    return CONTAINERS[suffix]


def ending_of(container: Container) -> str:
    """The first ending that names a container."""
    return next(end for end, other in CONTAINERS.items() if other == container)
