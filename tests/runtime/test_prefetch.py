"""`prefetch` keeps order, bounds what waits, and ends whole however the loop ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.runtime.prefetch import prefetch


def living() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vidrestore-")]


@given(st.lists(st.integers(), max_size=50), st.integers(1, 9))
def test_same_items_in_the_same_order(items: list[int], depth: int) -> None:
    assert list(prefetch(items, depth)) == items
    assert not living()


@pytest.mark.parametrize(("weight", "waiting"), [(1, 4), (4, 2), (100, 1)])
def test_never_runs_further_ahead_than_its_depth_and_weight(weight: int, waiting: int) -> None:
    made = 0

    def source() -> Iterator[int]:
        nonlocal made
        while made < 100:
            made += 1
            yield made

    items = prefetch(source(), 4, weigh=lambda _: weight, most=8)
    assert next(items) == 1
    deadline = time.monotonic() + 5
    while made < waiting + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == 1 + waiting + 1  # taken, waiting, and one in the producer's hand
    items.close()
    assert not living()


def test_an_error_arrives_where_its_item_would_have_come() -> None:
    def source() -> Iterator[int]:
        yield from range(40)
        raise OSError("broken tape")

    items = prefetch(source(), 3)
    assert [next(items) for _ in range(40)] == list(range(40))
    with pytest.raises(OSError, match="broken tape"):
        next(items)
    assert not living()


def test_leaving_early_closes_the_source_and_joins() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    items = prefetch(endless(), 2)
    assert next(items) == 0
    items.close()
    assert closed.is_set()
    assert not living()


def test_two_in_a_row_end_together() -> None:
    def source() -> Iterator[int]:
        yield from range(1000)

    outer = prefetch(prefetch(source(), 2, name="inner"), 2, name="outer")
    assert [next(outer) for _ in range(5)] == list(range(5))
    outer.close()
    assert not living()


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        prefetch([], 0)
