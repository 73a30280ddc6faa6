"""Numbers of headers are read as H.264's tables say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.video.read.bits import BitReader


def reader(bits: str) -> BitReader:
    """Of bits as text, filled up with zeros to whole bytes."""
    bits = bits.replace(" ", "").ljust(-(-len(bits.replace(" ", "")) // 8) * 8, "0")
    return BitReader(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def test_codes_of_the_standard() -> None:
    """Tables 9-2 and 9-3 of ITU-T H.264."""
    codes = "1 010 011 00100 00101 00110 00111 0001000 0001001 0001010"
    one, other = reader(codes), reader(codes)
    assert [one.exp_golomb() for _ in range(10)] == list(range(10))
    assert [other.signed_exp_golomb() for _ in range(10)] == [0, 1, -1, 2, -2, 3, -3, 4, -4, 5]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**40 - 1)), max_size=20))
def test_bits_come_in_order(parts: list[tuple[int, int]]) -> None:
    parts = [(width, number % (1 << width)) for width, number in parts]
    bits = reader("".join(f"{number:0{width}b}" for width, number in parts if width) or "0")
    assert [bits.take(width) for width, _ in parts] == [number for _, number in parts]


@pytest.mark.parametrize("beyond", [lambda b: b.take(9), lambda b: b.exp_golomb()])
def test_the_end_is_told(beyond) -> None:
    with pytest.raises(EOFError, match="ends early"):
        beyond(BitReader(b"\0"))
    bits = BitReader(b"\x81")
    bits.skip(7)
    assert bits.take(1) == 1
