"""Headers of DPX pictures (SMPTE ST 268-1): read, carried from the input's into the written file.

FFmpeg reads and writes the samples. Its writer fills only the generic header; what the input's says
of film, television, colour and timecode, and the user's own data, is carried over here. FFmpeg
reads samples of 10 bits in 32-bit words and of 12 bits in 16-bit words that fill these from the top
("method A"); those of method B, and 10 bits packed tightly, are re-packed first.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = [
    "DpxHeader",
    "head_bytes",
    "packing_note",
    "read_header",
    "repack",
    "with_fields_of",
    "with_timecode",
]

_GENERIC, _INDUSTRY = 1664, 384
"""Bytes of the headers for every picture, and for film and television."""

_OFFSET, _FILE_SIZE = 4, 16
_WIDTH, _HEIGHT = 772, 776
_DESCRIPTOR, _USER_SIZE = 800, 32
_MOST_USER_BYTES = 1 << 20
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
_TIGHT, _METHOD_A, _METHOD_B = 0, 1, 2
_SAMPLES = {6: 1, 50: 3, 51: 4}
"""Samples a pixel by the descriptor of an image: luma, RGB, RGBA."""


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
    samples: int
    """A pixel; 0 where the kind of image is none of ours."""


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
    samples = _SAMPLES.get(data[_DESCRIPTOR], 0)
    return DpxHeader(width, height, data[_BITS], packing, rate, timecode, samples)


def packing_note(header: DpxHeader | None) -> str | None:
    """What a person should know of samples that are re-packed; None where they are not."""
    if header is None or not _needs_repacking(header):
        return None
    how = "packed tightly" if header.packing == _TIGHT else "of packing method B"
    return f"{header.bits}-bit samples {how} are written by method A"


def repack(data: bytes) -> bytes:
    """The file with its samples laid out by method A, where FFmpeg needs that; else as it is."""
    header, order = read_header(data), _order(data)
    if header is None or order is None or not _needs_repacking(header):
        return data
    begin = struct.unpack_from(f"{order}I", data, _OFFSET)[0]
    head = bytearray(data[:begin])
    struct.pack_into(f"{order}H", head, _PACKING, _METHOD_A)
    if header.packing == _TIGHT:
        return bytes(head) + _spread(data[begin:], header, order)
    size = 4 if header.bits == 10 else 2
    whole = begin + (len(data) - begin) // size * size
    words = np.frombuffer(data[begin:whole], f"{order}u{size}")
    shifted = (words << (2 if header.bits == 10 else 4)).astype(words.dtype)
    return bytes(head) + shifted.tobytes() + data[whole:]


def _needs_repacking(header: DpxHeader) -> bool:
    if header.packing == _TIGHT:
        return header.bits == 10 and header.samples > 1
    return header.packing == _METHOD_B and header.bits in (10, 12)


def _spread(image: bytes, header: DpxHeader, order: str) -> bytes:
    """Samples of 10 bits that follow each other from the lowest bit on, three in a word each."""
    count = header.width * header.samples
    words_a_line = -(-count * 10 // 32)
    lines = min(header.height, len(image) // (4 * words_a_line))
    words = np.frombuffer(image[: lines * words_a_line * 4], f"{order}u4")
    words = words.reshape(lines, words_a_line).astype("<u4")
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : count * 10]
    weights = 1 << np.arange(10, dtype=np.uint32)
    samples = (bits.reshape(lines, count, 10) * weights).sum(2, dtype=np.uint32)
    padded = np.zeros((lines, -(-count // 3) * 3), np.uint32)
    padded[:, :count] = samples
    first, second, third = (padded[:, place::3] for place in range(3))
    packed = (first << 22 | second << 12 | third << 2).astype(f"{order}u4")
    return packed.tobytes()


def head_bytes(data: bytes) -> int:
    """How many bytes a file's headers take, its user's own data included.

    Args:
        data: its first 2048 bytes.
    """
    order, least = _order(data), _GENERIC + _INDUSTRY
    if order is None or len(data) < least:
        return len(data)
    begin = int(struct.unpack_from(f"{order}I", data, _OFFSET)[0])
    size = int(struct.unpack_from(f"{order}I", data, _USER_SIZE)[0])
    return least + size if size <= _MOST_USER_BYTES and least + size <= begin else least


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
    image, user = written[begin:], b""
    if source is not None and told is not None:
        user = source[_GENERIC + _INDUSTRY : head_bytes(source)]
    head += user
    struct.pack_into(f"{order}I", head, _OFFSET, len(head))
    struct.pack_into(f"{order}I", head, _FILE_SIZE, len(head) + len(image))
    struct.pack_into(f"{order}3I", head, 24, _GENERIC, _INDUSTRY, len(user) or _UNSET)
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
