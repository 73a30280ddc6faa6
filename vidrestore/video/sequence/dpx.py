"""Headers of DPX pictures (SMPTE ST 268-1): read, carried from the input's into the written file.

FFmpeg reads and writes the samples. Its writer fills only the generic header; what the input's says
of film, television, colour and timecode is carried over here. FFmpeg reads 10-bit samples that fill
32-bit words from the top ("method A"); files of method B are re-packed first.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["DpxHeader", "read_header", "repack", "with_fields_of", "with_timecode"]

_GENERIC, _INDUSTRY = 1664, 384
"""Bytes of the headers for every picture, and for film and television."""

_OFFSET, _FILE_SIZE = 4, 16
_WIDTH, _HEIGHT = 772, 776
_LOW_DATA, _TRANSFER, _BITS, _PACKING = 784, 801, 803, 804
_FILM_RATE, _TIMECODE, _TV_RATE = 1724, 1920, 1940
_NUMBERS_GENERIC = (*range(784, 800, 4), *range(1408, 1432, 4), 1628, 1632)
_NUMBERS_INDUSTRY = (*range(1712, 1732, 4), 1920, 1924, *range(1932, 1972, 4))
"""Places of numbers of four bytes, whose order may differ between files."""
_SHORT_NUMBERS = (1620, 1622, 1624, 1626)
"""Those of two bytes."""

_TEXTS = (136, 660)
"""Date, creator, project, copyright."""
_ORIENTATION = (1408, 1664)
_UNSET = 0xFFFFFFFF
_METHOD_B = 2


@dataclass(frozen=True, slots=True)
class DpxHeader:
    """What the program asks of a header."""

    width: int
    height: int
    bits: int
    packing: int
    """0 packed tightly, 1 filled by method A, 2 by method B."""
    rate: Fraction | None
    """Frames per second of film or television; None where it is not set."""
    timecode: str | None


def read_header(data: bytes) -> DpxHeader | None:
    """Read the first 2048 bytes of a file; None where it is no DPX."""
    order = _order(data)
    if order is None or len(data) < _GENERIC:
        return None
    width, height = struct.unpack_from(f"{order}2I", data, _WIDTH)
    packing = struct.unpack_from(f"{order}H", data, _PACKING)[0]
    rate, timecode = None, None
    if _has_industry(data, order):
        rate = _rate(data, order, _FILM_RATE) or _rate(data, order, _TV_RATE)
        timecode = _timecode(struct.unpack_from(f"{order}I", data, _TIMECODE)[0])
    return DpxHeader(width, height, data[_BITS], packing, rate, timecode)


def repack(data: bytes) -> bytes:
    """The file with 10-bit samples of method B moved to method A; others as they are."""
    header, order = read_header(data), _order(data)
    if header is None or order is None or (header.bits, header.packing) != (10, _METHOD_B):
        return data
    begin = struct.unpack_from(f"{order}I", data, _OFFSET)[0]
    whole = begin + (len(data) - begin) // 4 * 4
    words = np.frombuffer(data[begin:whole], f"{order}u4")
    head = bytearray(data[:begin])
    struct.pack_into(f"{order}H", head, _PACKING, 1)
    return bytes(head) + (words << 2).astype(words.dtype).tobytes() + data[whole:]


def with_fields_of(written: bytes, source: bytes | None) -> bytes:
    """A written picture with the fields that another's header has beyond the samples.

    Args:
        written: a whole file by FFmpeg's writer.
        source: the input's headers; None for industry headers that are not set.
    """
    order = _order(written)
    assert order is not None
    begin = struct.unpack_from(f"{order}I", written, _OFFSET)[0]
    head = bytearray(written[: min(begin, _GENERIC)].ljust(_GENERIC, b"\xff"))
    head += b"\xff" * _INDUSTRY
    told = None if source is None else _order(source)
    if source is not None and told is not None and len(source) >= _GENERIC:
        _carry(head, source, same_order=told == order)
    image = written[begin:]
    struct.pack_into(f"{order}I", head, _OFFSET, len(head))
    struct.pack_into(f"{order}I", head, _FILE_SIZE, len(head) + len(image))
    struct.pack_into(f"{order}2I", head, 24, _GENERIC, _INDUSTRY)
    return bytes(head) + image


def _carry(head: bytearray, source: bytes, *, same_order: bool) -> None:
    order = _order(source)
    assert order is not None
    ranges = [_TEXTS, _ORIENTATION, (_TRANSFER, _TRANSFER + 2)]
    if source[_BITS] == head[_BITS]:
        ranges.append((_LOW_DATA, _LOW_DATA + 16))
    if _has_industry(source, order):
        ranges.append((_GENERIC, _GENERIC + _INDUSTRY))
    for low, high in ranges:
        part = bytearray(source[low:high])
        if not same_order:
            _swap(part, low, (*_NUMBERS_GENERIC, *_NUMBERS_INDUSTRY), 4)
            _swap(part, low, _SHORT_NUMBERS, 2)
        head[low:high] = part


def _swap(part: bytearray, begin: int, places: Sequence[int], size: int) -> None:
    """Turn the order of bytes of the numbers that lie in a part which begins at `begin`."""
    for at in (place - begin for place in places):
        if at >= 0 and at + size <= len(part):
            part[at : at + size] = part[at : at + size][::-1]


def with_timecode(written: bytes, timecode: str) -> bytes:
    """A written picture whose television header has this timecode, as '01:00:00:00'."""
    order = _order(written)
    assert order is not None
    digits = "".join(one for one in timecode if one.isdigit())
    head = bytearray(written)
    struct.pack_into(f"{order}I", head, _TIMECODE, int(digits[:8], 16))
    return bytes(head)


def _order(data: bytes) -> str | None:
    return {b"SDPX": ">", b"XPDS": "<"}.get(bytes(data[:4]))


def _has_industry(data: bytes, order: str) -> bool:
    begin = int(struct.unpack_from(f"{order}I", data, _OFFSET)[0])
    return min(begin, len(data)) >= _GENERIC + _INDUSTRY


def _rate(data: bytes, order: str, place: int) -> Fraction | None:
    value = struct.unpack_from(f"{order}f", data, place)[0]
    if not 1 <= value <= 1000:
        return None
    near = Fraction(round(value * 1001 / 1000)) * Fraction(1000, 1001)
    is_ntsc = abs(float(near) - value) < 1e-3 and abs(value - round(value)) > 1e-3
    return near if is_ntsc else Fraction(value).limit_denominator(1000)


def _timecode(word: int) -> str | None:
    digits = f"{word:08x}"
    if word == _UNSET or not digits.isdecimal():
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 8, 2))
