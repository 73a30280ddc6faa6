"""Pictures in packets of AV1: temporal units, which show one picture each.

A unit may hold frames that only others refer to, before the one that it shows, or nothing but the
word to show a frame that was decoded before (`show_existing_frame`).
"""

from __future__ import annotations

from collections.abc import Iterator

from vidrestore.video.read.bits import BitReader

__all__ = ["Av1Pictures", "sequence_header"]

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6
_KINDS = frozenset((*range(1, 9), 15))
"""Types of units that there are."""

_HEAD_BYTES = 2
_LEB128_BYTES = 8


class Av1Pictures:
    """Count the pictures that packets show: none or one.

    Args:
        extradata: the box `av1C`, or a sequence header.
    """

    is_exact = True

    def __init__(self, extradata: bytes) -> None:
        self._is_still = False
        """Whether every frame is shown, by `reduced_still_picture_header`."""
        self._read_sequence(sequence_header(extradata))

    def count(self, data: bytes) -> int:
        """How many pictures a packet promises: none only if it is whole, and all frames are hidden.

        What holds no frame at all counts as a picture, which is lost.
        """
        shown = frames = 0
        for kind, content in _units(data):
            if kind not in _KINDS:
                return 1
            if kind == _SEQUENCE:
                self._read_sequence(content)
            if kind in (_FRAME_HEADER, _FRAME):
                frames += 1
                shown += self._is_shown(content)
        return int(shown > 0 or not frames)

    def _read_sequence(self, content: bytes) -> None:
        if content:
            self._is_still = bool(content[0] >> 3 & 1)

    def _is_shown(self, content: bytes) -> bool:
        """`show_existing_frame` or `show_frame` (section 5.9.2)."""
        bits = BitReader(content[:_HEAD_BYTES])
        try:
            if self._is_still or bits.take(1):
                return True
            bits.skip(2)
            return bits.take(1) == 1
        except EOFError:
            return True


def sequence_header(data: bytes) -> bytes:
    """The sequence header (section 5.5), which tells size and samples; empty where there is none.

    Args:
        data: the box `av1C`, or the beginning of a packet at least.
    """
    units = _units(data[4:] if data[:1] == b"\x81" else data, most_bytes=len(data))
    return next((content for kind, content in units if kind == _SEQUENCE), b"")


def _units(data: bytes, most_bytes: int = _HEAD_BYTES) -> Iterator[tuple[int, bytes]]:
    """(type, beginning of the content) of the open bitstream units (section 5.3).

    Type 0, which there is not, stands for what is no unit.
    """
    at = 0
    while at < len(data):
        head = data[at]
        at += 2 if head & 4 else 1
        size = len(data) - at
        if head & 2:
            size, at = _leb128(data, at)
        if head & 0x81 or at + size > len(data):  # bits that are 0
            yield 0, b""
            return
        yield head >> 3 & 15, data[at : at + min(size, most_bytes)]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """(number, place behind it) of a number of seven bits a byte (section 4.10.5)."""
    number = 0
    for place, byte in enumerate(data[at : at + _LEB128_BYTES]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return len(data), len(data)
