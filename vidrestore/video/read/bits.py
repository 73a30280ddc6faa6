"""Read numbers bit by bit from the headers of coded pictures."""

from __future__ import annotations

__all__ = ["BitReader"]


class BitReader:
    """A place in a string of bits, most significant first.

    Args:
        data: bytes.

    Every method raises EOFError past the end.
    """

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, bits: int) -> int:
        """The next bits as a number without a sign."""
        if bits > self._left:
            raise EOFError("the header ends early")
        self._left -= bits
        return (self._number >> self._left) & ((1 << bits) - 1)

    def skip(self, bits: int) -> None:
        """Pass over some bits."""
        self.take(bits)

    def exp_golomb(self) -> int:
        """An unsigned Exp-Golomb code (ITU-T H.264, section 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_exp_golomb(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.exp_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
