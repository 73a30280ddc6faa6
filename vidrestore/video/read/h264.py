"""Which packets of H.264 begin a picture: a picture may be coded as two fields, a packet each.

Section numbers are those of ITU-T H.264. A field is the second of its picture if the one before it
is a first field of the other parity with the same `frame_num` (section 3.30).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidrestore.video.read.bits import BitReader

__all__ = ["H264Pictures", "unescaped", "units_of_stream", "units_with_lengths"]

_SLICES = frozenset({1, 2, 5})
"""Kinds of units that begin a picture's slices: whole, or its first partition."""

_SEQUENCE, _PICTURE = 7, 8
_BESIDE = frozenset({6, 7, 8, 9, 10, 11, 12, 13, 15})
"""Kinds of units that may come in a packet of their own: parameters, messages, ends, filling."""

_HEAD_BYTES = 64
"""Of a slice; what is read of it is shorter."""

_WITH_CHROMA_FORMAT = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a sequence parameter set says about slices."""

    frame_num_bits: int
    has_colour_planes: bool
    frames_only: bool


@dataclass(frozen=True, slots=True)
class _Field:
    frame_num: int
    is_bottom: bool


class H264Pictures:
    """Count the pictures that begin in packets, in order of decoding.

    Args:
        extradata: parameter sets, as MP4 (`avcC`) or as a byte stream has them.
    """

    is_exact = True

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        """Number of the sequence parameter set by that of the picture's."""
        self._first_field: _Field | None = None
        """Of a picture whose second field may follow."""
        self._length_bytes = 0
        """Of the length before each unit; 0 in a byte stream."""
        if extradata[:1] == b"\1" and len(extradata) > 6:
            self._length_bytes = (extradata[4] & 3) + 1
            units = _units_of_avcc(extradata)
        else:
            units = units_of_stream(extradata)
        for unit in units:
            self._read_parameters(unit)

    def count(self, data: bytes) -> int:
        """How many pictures a packet promises: 0 for a second field, or without a slice.

        What is no H.264 at all counts as a picture, which is lost.
        """
        is_stream = not self._length_bytes or data[:4] == b"\0\0\0\1"
        units = units_of_stream(data) if is_stream else units_with_lengths(data, self._length_bytes)
        pictures, fields, beside, other = 0, 0, 0, 0
        for unit in units:
            kind = unit[0] & 0x1F
            is_beside = kind in _BESIDE and unit[0] < 0x80
            beside, other = beside + is_beside, other + (not is_beside)
            if kind in (_SEQUENCE, _PICTURE):
                self._read_parameters(unit)
            elif kind in _SLICES and len(unit) > 1 and unit[1] & 0x80:  # first_mb_in_slice is 0
                if self.frames_only:
                    return 1
                begins = self._begins_picture(unit)
                pictures, fields = pictures + begins, fields + (not begins)
        return pictures if pictures or fields or (beside and not other) else 1

    @property
    def frames_only(self) -> bool:
        """Whether no picture can be interlaced, by the parameter sets so far."""
        return all(one.frames_only for one in self._sequences.values())

    def _begins_picture(self, unit: bytes) -> bool:
        try:
            field = self._field(BitReader(unescaped(unit[1:_HEAD_BYTES])))
        except EOFError:
            field = None
        first, self._first_field = self._first_field, None
        if field is None:
            return True
        if first is not None and first == _Field(field.frame_num, not field.is_bottom):
            return False
        self._first_field = field
        return True

    def _field(self, bits: BitReader) -> _Field | None:
        """The field of a slice by its header (section 7.3.3); None for a frame."""
        bits.exp_golomb()
        bits.exp_golomb()
        sequence = self._sequences.get(self._sequence_of.get(bits.exp_golomb(), -1))
        if sequence is None or sequence.frames_only:
            return None
        bits.skip(2 * sequence.has_colour_planes)
        frame_num = bits.take(sequence.frame_num_bits)
        return _Field(frame_num, bits.take(1) == 1) if bits.take(1) else None

    def _read_parameters(self, unit: bytes) -> None:
        bits = BitReader(unescaped(unit[1:]))
        try:
            if unit[0] & 0x1F == _SEQUENCE:
                number, sequence = _read_sequence(bits)
                self._sequences[number] = sequence
            elif unit[0] & 0x1F == _PICTURE:
                number = bits.exp_golomb()
                self._sequence_of[number] = bits.exp_golomb()
        except EOFError:
            return


def _read_sequence(bits: BitReader) -> tuple[int, _Sequence]:
    """(number, content) of a sequence parameter set (section 7.3.2.1.1)."""
    profile = bits.take(8)
    bits.skip(16)
    number = bits.exp_golomb()
    has_planes = profile in _WITH_CHROMA_FORMAT and _read_chroma_format(bits)
    frame_num_bits = bits.exp_golomb() + 4
    order = bits.exp_golomb()
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.skip(1)
        bits.signed_exp_golomb()
        bits.signed_exp_golomb()
        for _ in range(min(bits.exp_golomb(), 255)):
            bits.signed_exp_golomb()
    bits.exp_golomb()
    bits.skip(1)
    bits.exp_golomb()
    bits.exp_golomb()
    return number, _Sequence(frame_num_bits, has_planes, bits.take(1) == 1)


def _read_chroma_format(bits: BitReader) -> bool:
    """Pass over what high profiles add; whether colour planes are coded one by one."""
    chroma = bits.exp_golomb()
    has_planes = chroma == 3 and bits.take(1) == 1
    bits.exp_golomb()
    bits.exp_golomb()
    bits.skip(1)
    if bits.take(1):  # scaling matrices
        for number in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return has_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def unescaped(unit: bytes) -> bytes:
    """Without the bytes that keep start codes from appearing (section 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def units_of_stream(data: bytes) -> Iterator[bytes]:
    """Units of a byte stream (annex B); of slices the beginning only."""
    at = data.find(b"\0\0\1")
    while at >= 0 and at + 3 < len(data):
        following = data.find(b"\0\0\1", at + 3)
        end = following if following >= 0 else len(data)
        short = end if data[at + 3] & 0x1F in (_SEQUENCE, _PICTURE) else at + 3 + _HEAD_BYTES
        yield data[at + 3 : min(end, short)]
        at = following


def units_with_lengths(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """Units with their lengths before them, as in MP4 and Matroska."""
    at = 0
    while at + length_bytes < len(data):
        length = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if length:
            yield data[at : at + length]
        at += length


def _units_of_avcc(data: bytes) -> Iterator[bytes]:
    """Parameter sets of an `avcC` box (ISO/IEC 14496-15, section 5.3.3.1)."""
    at = 5
    for mask in (0x1F, 0xFF):
        count = data[at] & mask if at < len(data) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            if length:
                yield data[at + 2 : at + 2 + length]
            at += 2 + length
