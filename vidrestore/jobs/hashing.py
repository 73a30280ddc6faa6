"""A short hash of a decoded picture: whether two readings of a file give the same frame."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from vidrestore.structs import Picture
from vidrestore.video.picture.side_data import known_side_data

__all__ = ["picture_hash"]


def picture_hash(picture: Picture) -> str:
    """Of all samples, and of what an encoder takes besides: duration, fields and captions."""
    handle, number = picture.handle, 0
    for plane in picture.planes:
        number = crc32(np.ascontiguousarray(plane.numpy()).data, number)
    fields = (handle.interlaced_frame, getattr(handle, "top_field_first", None))
    told = f"{handle.duration} {fields}".encode()
    told += b"".join(bytes(side) for side in known_side_data(handle) if side.type.name == "A53_CC")
    return f"{crc32(told, number):08x}"
