"""Picture files: which endings count, how one is read whole or not at all, and JPEG data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ImageOpenError
from vidrestore.runtime.inputs import read_bytes

__all__ = ["PICTURE_ENDINGS", "encode_jpeg", "find_pictures", "read_picture"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of files that are taken as pictures."""

_MOST_BYTES = 1 << 30
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_JPEG_SCAN, _JPEG_END, _PNG_END = 0xDA, b"\xff\xd9", b"IEND\xaeB`\x82"


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder and of the folders in it, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_ENDINGS)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, turned as its tags say; transparency is left out.

    Decoders fill what is missing of a picture that is cut off with grey and say nothing to the
    program, so its end is looked for first.

    Raises:
        ImageOpenError: it cannot be read, or is cut off.
    """
    data = read_bytes(path, f"picture {path}", _MOST_BYTES, ImageOpenError)
    if not _has_its_end(data):
        raise ImageOpenError(f"picture {path}: damaged, its end is missing; copy it again")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ImageOpenError(f"picture {path}: not a picture that can be read, or damaged")
    return np.ascontiguousarray(image[..., ::-1])


def encode_jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """A picture as a JPEG file.

    Args:
        picture: (H, W, 3) uint8 RGB.
        quality: 1 to 100.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)
    assert done
    return bytes(data)


def _has_its_end(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP goes on to its end; True for all else."""
    if data.startswith(_JPEG):
        return data.find(_JPEG_END, _first_scan(data)) >= 0
    if data.startswith(_PNG):
        return _PNG_END in data
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return True


def _first_scan(data: bytes) -> int:
    """Where a JPEG's pixels begin: behind the segments before them, which may hold a small picture
    of its own (ITU-T T.81, annex B).
    """
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _JPEG_SCAN:
        if data[place + 1] == 0xFF:  # A fill byte.
            place += 1
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place
