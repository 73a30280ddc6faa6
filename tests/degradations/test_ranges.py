"""What a recipe leaves open is drawn from where it says, and written as it was read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vidrestore.degradations.ranges import (
    Chance,
    Choice,
    Drawable,
    Range,
    Share,
    Whole,
    among,
    chance,
    one_of,
    uniform,
    whole,
)

numbers = st.floats(-1e3, 1e3)
pairs = st.tuples(numbers, numbers).map(sorted)
positive = st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)).map(sorted)
wholes = st.tuples(st.integers(-99, 99), st.integers(-99, 99)).map(sorted)
words = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
open_values = st.one_of(
    pairs.map(lambda ends: uniform(*ends)),
    positive.map(lambda ends: uniform(*ends, log=True)),
    wholes.map(lambda ends: whole(*ends)),
    st.floats(0, 1).map(chance),
    words.map(lambda some: one_of(*some)),
)


@given(open_values, st.integers(0, 2**32 - 1))
def test_a_value_is_drawn_from_its_range_and_then_certain(value: Drawable, seed: int) -> None:
    drawn = value.draw(np.random.default_rng(seed))
    assert type(drawn) is type(value)
    assert drawn == value.draw(np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    assert drawn.draw(rng) == drawn
    assert rng.random() == np.random.default_rng(seed).random(), "nothing was left to draw"
    if isinstance(value, Whole) and isinstance(drawn, Whole):
        assert value.low <= drawn.whole <= value.high
    elif isinstance(value, Range) and isinstance(drawn, Range):
        slack = 1e-9 * max(abs(value.low), abs(value.high))  # Of a logarithm and back.
        assert value.low - slack <= drawn.value <= value.high + slack
    elif isinstance(value, Choice) and isinstance(drawn, Choice):
        assert drawn.word in value.words
    elif isinstance(value, Chance):
        assert value.share not in (0, 1) or bool(drawn) == bool(value.share)


@given(open_values)
def test_values_are_read_as_they_are_written(value: Drawable) -> None:
    read = type(value).model_validate(value.model_dump(mode="json"))
    if isinstance(value, Range) and value.low == value.high:  # A single number has no logarithm.
        value = value.model_copy(update={"log": False})
    assert read == value


@given(positive, st.floats(0.1, 10))
def test_lengths_grow_with_the_picture(ends: list[float], factor: float) -> None:
    grown = uniform(*ends, log=True).scaled(factor)
    assert (grown.low, grown.high) == pytest.approx([end * factor for end in ends])
    assert grown.log


def test_a_logarithm_is_uniform() -> None:
    rng = np.random.default_rng(0)
    values = [uniform(0.01, 100, log=True).draw(rng).value for _ in range(2000)]
    shares = np.histogram(np.log10(values), 4, (-2, 2))[0] / 2000
    assert shares == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Range, [3, 1], "begins above its end"),
        (Range, {"log": [0, 1]}, "log needs numbers above 0"),
        (Range, "wide", r"needs a number, \[low, high\]"),
        (Range, True, r"needs a number, \[low, high\]"),
        (Share, [0, 2], r"must lie in 0 to 1, not \[0, 2\]"),
        (Whole, [0.5, 2], "needs whole numbers"),
        (Chance, 1.5, "from 0 to 1, not 1.5"),
        (Choice, [], "at least one word"),
    ],
)
def test_mistakes_are_named(kind: type, given: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(kind).validate_python(given)


def test_unknown_words_are_named_with_the_nearest() -> None:
    check = among("fast", "slow").func
    assert check(one_of("slow")).word == "slow"
    with pytest.raises(ValueError, match=r"unknown 'fsat'.*'fast'"):
        check(one_of("fsat"))
