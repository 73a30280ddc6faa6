"""AVI files written chunk by chunk, as capture cards and old encoders wrote them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_avi"]


def write_avi(
    path: Path,
    chunks: Sequence[bytes],
    *,
    fourcc: bytes,
    size: tuple[int, int] = (64, 48),
    rate: int = 25,
    keys: frozenset[int] = frozenset({0}),
    sound: Sequence[bytes] = (),
    is_streamed: bool = False,
) -> Path:
    """Write one video stream, and 16-bit mono PCM at 8000 Hz.

    Args:
        path: where.
        chunks: one a tick; empty ones say that the picture before is shown again.
        fourcc: of the codec.
        size: (width, height).
        rate: ticks per second.
        keys: chunks that are key frames.
        sound: a chunk of PCM after each one of the picture; none for a silent file.
        is_streamed: whether sizes and lengths are those of a file that went down a pipe, which
            nobody could fill in, and the index is absent.
    """
    movie, index = bytearray(b"movi"), bytearray()
    for number, chunk in enumerate(chunks):
        parts = [(b"00dc", chunk, 0x10 * (number in keys))]
        parts += [(b"01wb", sound[number], 0x10)] if number < len(sound) else []
        for name, data, flags in parts:
            index += name + struct.pack("<3I", flags, len(movie), len(data))
            movie += _chunk(name, data)
    length = 1 << 30 if is_streamed else len(chunks)
    streams = [_picture(fourcc, size, rate, length)]
    streams += [_sound(length if is_streamed else sum(map(len, sound)) // 2)] if sound else []
    fields = (10**6 // rate, 0, 0, 0x10, length, 0, len(streams), 0, *size, 0, 0, 0, 0)
    header = _chunk(b"avih", struct.pack("<14I", *fields)) + b"".join(streams)
    body = b"AVI " + _list(b"hdrl" + header)
    if is_streamed:
        unknown = struct.pack("<I", 0xFFFFFFFF)
        path.write_bytes(b"RIFF" + unknown + body + b"LIST" + unknown + movie)
        return path
    body += _list(bytes(movie)) + _chunk(b"idx1", bytes(index))
    path.write_bytes(_chunk(b"RIFF", body))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _list(data: bytes) -> bytes:
    return _chunk(b"LIST", data)


def _picture(fourcc: bytes, size: tuple[int, int], rate: int, length: int) -> bytes:
    head = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", fourcc, 0, 0, 0, 0, 1, rate, 0, length,
                       100_000, 0, 0, 0, 0, *size)  # fmt: skip
    form = struct.pack("<IiiHH4sIiiII", 40, *size, 1, 24, fourcc, size[0] * size[1] * 3, 0, 0, 0, 0)
    return _list(b"strl" + _chunk(b"strh", head) + _chunk(b"strf", form))


def _sound(length: int) -> bytes:
    head = struct.pack("<4s4sIHHIIIIIIII4H", b"auds", b"\1\0\0\0", 0, 0, 0, 0, 1, 8000, 0, length,
                       16000, 0, 2, 0, 0, 0, 0)  # fmt: skip
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    return _list(b"strl" + _chunk(b"strh", head) + _chunk(b"strf", form))
