"""Pictures in packets of MPEG-1 and MPEG-2 video (ISO/IEC 11172-2, 13818-2)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Mpeg2Pictures"]

_PICTURE = b"\0\0\1\0"
_EXTENSION = b"\0\0\1\xb5"
_CODING_EXTENSION = 8
_FRAME = 3
"""`picture_structure` of a whole frame; 1 and 2 are a top and a bottom field."""

_BESIDE = (b"\0\0\1\xb3", b"\0\0\1\xb7", b"\0\0\1\xb8", b"\0\0\1\xb2")
"""Start codes of headers of a sequence or group, of its end, and of the user's data."""


class _Field(NamedTuple):
    temporal_reference: int
    structure: int


class Mpeg2Pictures:
    """Count the pictures that begin in packets, in order of decoding: one for two fields."""

    is_exact = True

    def __init__(self) -> None:
        self._first_field: _Field | None = None
        """Of a picture whose second field may follow."""

    def count(self, data: bytes) -> int:
        """How many pictures a packet promises: 0 for a second field, or for headers alone.

        What holds no start code of the kind counts as a picture, which is lost.
        """
        at = data.find(_PICTURE)
        if at < 0:
            return 0 if data.startswith(_BESIDE) else 1
        pictures = 0
        while at >= 0:
            following = data.find(_PICTURE, at + 4)
            pictures += self._begins_picture(data, at, following if following >= 0 else len(data))
            at = following
        return pictures

    def _begins_picture(self, data: bytes, at: int, end: int) -> bool:
        """Whether a picture's header begins a picture, and no second field."""
        first, self._first_field = self._first_field, None
        structure = _structure(data, at, end)
        if structure == _FRAME:
            return True
        field = _Field(int.from_bytes(data[at + 4 : at + 6], "big") >> 6, structure)
        other = _Field(field.temporal_reference, _FRAME - structure)
        if first == other:
            return False
        self._first_field = field
        return True


def _structure(data: bytes, at: int, end: int) -> int:
    """`picture_structure` of the extension behind a picture's header; MPEG-1 has frames only."""
    extension = data.find(_EXTENSION, at, end)
    if extension < 0 or extension + 7 > end or data[extension + 4] >> 4 != _CODING_EXTENSION:
        return _FRAME
    return data[extension + 6] & 3 or _FRAME
