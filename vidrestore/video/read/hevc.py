"""Which packets of HEVC promise a picture.

Section numbers are those of ITU-T H.265. A picture begins with the slice segment that says it is
the first. Leading pictures that refer to what lies before a random access point at which decoding
began are dropped by every decoder (section 8.1.3), and some pictures say that they are not shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from vidrestore.video.read.bits import BitReader
from vidrestore.video.read.h264 import unescaped, units_of_stream, units_with_lengths

__all__ = ["HevcPictures"]

_SLICES = frozenset((*range(10), *range(16, 22)))
"""Kinds of units that are slice segments (table 7-1)."""
_SKIPPED_LEADING = frozenset({8, 9})
_BROKEN_LINKS = frozenset({16, 17, 18})
_INSTANT = frozenset({19, 20})
_CLEAN = 21
_PICTURE_SET = 34
_ENDS = frozenset({36, 37})
_BESIDE = frozenset(range(32, 41))
"""Units that may come in a packet of their own: parameters, ends, filling, messages."""
_HEAD_BYTES = 64
_HVCC_BYTES = 23


class HevcPictures:
    """Count the pictures that begin in packets, in order of decoding.

    Args:
        extradata: parameter sets, as MP4 (`hvcC`) or as a byte stream has them.
    """

    is_exact = True

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = 0
        """Of the length before each unit; 0 in a byte stream."""
        self._hides: dict[int, int | None] = {}
        """Bits before the type of a slice, by the number of a picture parameter set, where slices
        tell whether their picture is shown; else None."""
        self._begins = True
        """Whether the next random access point is one at which decoding begins."""
        self._drops_leading = False
        units: Iterator[bytes] = units_of_stream(extradata)
        if extradata[:1] == b"\1" and len(extradata) >= _HVCC_BYTES:
            self._length_bytes = (extradata[21] & 3) + 1
            units = _units_of_hvcc(extradata)
        for unit in units:
            if len(unit) > 2:
                self._read(unit)

    def count(self, data: bytes) -> int:
        """How many pictures a packet promises: 0 for parameter sets and messages on their own, and
        for pictures that are not shown.

        Anything else counts as a picture, which is lost.
        """
        is_stream = not self._length_bytes or data[:4] == b"\0\0\0\1"
        units = units_of_stream(data) if is_stream else units_with_lengths(data, self._length_bytes)
        pictures, is_whole = 0, False
        kinds = set[int]()
        for unit in units:
            shown = self._read(unit) if len(unit) > 2 else None
            pictures, is_whole = pictures + bool(shown), is_whole or shown is not None
            kinds.add(unit[0] >> 1)
        return pictures if is_whole or (kinds and kinds <= _BESIDE) else 1

    def _read(self, unit: bytes) -> bool | None:
        """Take what a unit says; whether the picture that begins with it is shown, or None."""
        kind, layer = unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3
        if layer:
            return None
        if kind in _ENDS:
            self._begins = True
        elif kind == _PICTURE_SET:
            self._read_picture_set(unit)
        if kind not in _SLICES or not unit[2] & 0x80:
            return None
        if kind in _BROKEN_LINKS or kind in _INSTANT or kind == _CLEAN:
            self._drops_leading = kind != _CLEAN or self._begins
            self._begins = False
        if kind in _SKIPPED_LEADING and self._drops_leading:
            return False
        return self._is_shown(unit, kind)

    def _read_picture_set(self, unit: bytes) -> None:
        """Section 7.3.2.3.1, as far as slices depend on it."""
        bits = BitReader(unescaped(unit[2:_HEAD_BYTES]))
        try:
            number = bits.exp_golomb()
            bits.exp_golomb()
            bits.skip(1)
            tells, extra_bits = bits.take(1), bits.take(3)
        except EOFError:
            return
        self._hides[number] = extra_bits if tells else None

    def _is_shown(self, unit: bytes, kind: int) -> bool:
        """`pic_output_flag` of a first slice segment (section 7.3.6.1)."""
        if all(bits is None for bits in self._hides.values()):
            return True
        bits = BitReader(unescaped(unit[2:_HEAD_BYTES]))
        try:
            bits.skip(1 + (kind >= 16))
            extra_bits = self._hides.get(bits.exp_golomb())
            if extra_bits is None:
                return True
            bits.skip(extra_bits)
            bits.exp_golomb()
            return bits.take(1) == 1
        except EOFError:
            return True


def _units_of_hvcc(data: bytes) -> Iterator[bytes]:
    """Parameter sets of an `hvcC` box (ISO/IEC 14496-15, section 8.3.3.1)."""
    at = _HVCC_BYTES
    for _ in range(data[_HVCC_BYTES - 1]):
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            if at >= len(data):
                return
            yield data[at + 2 : at + 2 + length]
            at += 2 + length
