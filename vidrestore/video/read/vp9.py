"""Pictures in packets of VP9, by its bitstream specification.

Pictures that only others refer to come in one packet (a superframe) with the next that is shown, or
in packets of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from vidrestore.video.read.bits import BitReader

__all__ = ["Vp9Pictures"]

_MARKER = 2
"""The first two bits of a frame of VP9."""

_HEAD_BYTES = 2


class Vp9Pictures:
    """Count the pictures that packets show: none or one, whatever a superframe holds."""

    is_exact = True

    def count(self, data: bytes) -> int:
        """How many pictures a packet promises; what is no VP9 counts as one, which is lost."""
        return int(any(map(_is_shown, _frames(data))))


def _frames(data: bytes) -> Iterator[bytes]:
    """The beginnings of a packet's frames (annex B)."""
    last = data[-1] if data else 0
    count, length_bytes = (last & 7) + 1, (last >> 3 & 3) + 1
    index = data[-(2 + length_bytes * count) :]
    if last >> 5 != 0b110 or len(index) != 2 + length_bytes * count or index[0] != last:
        yield data[:_HEAD_BYTES]
        return
    at = 0
    for place in range(1, len(index) - 1, length_bytes):
        yield data[at : at + _HEAD_BYTES]
        at += int.from_bytes(index[place : place + length_bytes], "little")


def _is_shown(head: bytes) -> bool:
    """`show_existing_frame` or `show_frame` (section 6.2)."""
    bits = BitReader(head)
    try:
        if bits.take(2) != _MARKER:
            return True
        profile = bits.take(1) | bits.take(1) << 1
        bits.skip(profile == 3)
        if bits.take(1):
            return True
        bits.skip(1)
        return bits.take(1) == 1
    except EOFError:
        return True
