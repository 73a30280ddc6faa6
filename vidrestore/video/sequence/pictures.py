"""Single pictures of a sequence: decoded and encoded in memory, by FFmpeg's own codecs."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av

from vidrestore.errors import VideoDecodeError, VideoWriteError
from vidrestore.video.boundary import AV_ERRORS, av_boundary
from vidrestore.video.sequence.dpx import head_bytes, read_header, repack
from vidrestore.video.sequence.files import ENDINGS

__all__ = ["decode_picture", "encode_picture", "fitting_picture_format", "read_head", "size_of"]

_HEAD_BYTES = 2048
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that tell the size (ITU-T T.81, table B.1)."""

# fmt: off
_WRITTEN = {
    "dpx": ("rgb24", "rgba", "gbrp10be", "gbrp12be", "rgb48be", "rgba64be", "gray16be"),
    "png": ("rgb24", "rgba", "gray", "ya8", "rgb48be", "rgba64be", "gray16be", "ya16be"),
    "tiff": ("rgb24", "rgba", "gray", "ya8", "gray16le", "rgb48le", "rgba64le", "ya16le"),
    "mjpeg": ("yuvj420p", "yuvj422p", "yuvj444p"),
}
# fmt: on
"""Formats that come back from each kind of file as they went in."""

_SAME_SAMPLES = {
    "gbrp": "rgb24", "bgr24": "rgb24", "bgr0": "rgb24", "rgb0": "rgb24", "gbrap": "rgba",
    "bgra": "rgba", "argb": "rgba", "abgr": "rgba", "gbrp16": "rgb48", "bgr48": "rgb48",
    "gbrap16": "rgba64", "bgra64": "rgba64",
}  # fmt: skip
"""Formats that hold the same numbers in another order."""


def decode_picture(path: Path) -> av.VideoFrame:
    """Decode a picture file.

    Raises:
        VideoDecodeError: it cannot be read or decoded.
    """
    codec = ENDINGS[path.suffix.lower()]
    try:
        data = path.read_bytes()
        data = repack(data) if codec == "dpx" else data
        context = av.CodecContext.create(codec, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.thread_count = 1
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except OSError as error:
        raise VideoDecodeError(f"{path}: cannot be read ({error.strerror})") from error
    except (*AV_ERRORS, EOFError) as error:
        raise VideoDecodeError(f"{path}: cannot be decoded as a picture") from error
    if not frames:
        raise VideoDecodeError(f"{path}: cannot be decoded as a picture")
    return frames[0]


def fitting_picture_format(codec: str, pix_fmt: str) -> str | None:
    """The layout of a pixel format that a kind of picture file holds unchanged, or None."""
    wide = pix_fmt.endswith(("le", "be"))
    base = pix_fmt[:-2] if wide else pix_fmt
    base = _SAME_SAMPLES.get(base, base)
    ends = ("be", "le") if wide else ("",)
    return next((base + end for end in ends if base + end in _WRITTEN[codec]), None)


def encode_picture(frame: av.VideoFrame, codec: str, pix_fmt: str) -> bytes:
    """Encode one picture as the bytes of a file.

    Args:
        frame: the samples.
        codec: of `ENDINGS`.
        pix_fmt: that the codec is fed with.

    Raises:
        VideoWriteError: the encoder refuses it.
    """
    with av_boundary(VideoWriteError, f"a picture cannot be encoded as {codec}"):
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, pix_fmt
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.thread_count = 1
        if codec == "mjpeg":
            context.qmin = context.qmax = 2
        frame.pts = None
        packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def read_head(path: Path) -> bytes:
    """The first bytes of a file, headers of DPX and the user's own data included.

    Raises:
        VideoDecodeError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            return head + file.read(head_bytes(head) - len(head))
    except OSError as error:
        raise VideoDecodeError(f"{path}: cannot be read ({error.strerror})") from error


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height by the header alone; None where it does not tell."""
    head = read_head(path)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        width, height = struct.unpack(">2I", head[16:24])
        return width, height
    header = read_header(head)
    if header is not None:
        return header.width, header.height
    data = path.read_bytes() if head[:2] in (b"\xff\xd8", b"II", b"MM") else b""
    return _size_of_jpeg(data) if data[:2] == b"\xff\xd8" else _size_of_tiff(data)


def _size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in _STARTS_OF_FRAME:
            height, width = struct.unpack_from(">2H", data, at + 5)
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _size_of_tiff(data: bytes) -> tuple[int, int] | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return None
    found: dict[int, int] = {}
    begin = struct.unpack_from(f"{order}I", data, 4)[0]
    entries = int.from_bytes(data[begin : begin + 2], "little" if order == "<" else "big")
    for at in range(begin + 2, begin + 2 + 12 * entries, 12):
        if at + 12 > len(data):
            break
        tag, kind = struct.unpack_from(f"{order}2H", data, at)
        if tag in (256, 257):
            found[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, at + 8)[0]
    return (found[256], found[257]) if len(found) == 2 else None
