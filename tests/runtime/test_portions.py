"""Work on a device goes on in smaller portions where its memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from vidrestore.errors import NotEnoughMemoryError
from vidrestore.runtime.portions import Portions, enough_memory


@given(items=some.lists(some.integers(), max_size=20), room=some.integers(1, 6))
def test_all_is_done_once_in_order_whatever_the_room(items: list[int], room: int) -> None:
    notes: list[str] = []
    portions = Portions("to work", "rest", most=8, notes=notes)

    def work(part: Sequence[int]) -> list[int]:
        if len(part) > room:
            raise torch.OutOfMemoryError("full")
        return list(part)

    assert [one for part in portions(items, work) for one in part] == items
    halved = len(notes)
    assert (halved == 0) == (min(len(items), 8) <= room)
    portions(items, work)
    assert len(notes) == halved, "what did not fit is not tried again"


def test_one_that_does_not_fit_is_one_line_that_says_what_to_do() -> None:
    def work(part: Sequence[int]) -> None:
        raise torch.OutOfMemoryError("Tried to allocate\n2 GiB")

    notes: list[str] = []
    wanted = "not enough memory on the device to work; rest"
    with pytest.raises(NotEnoughMemoryError) as caught:
        Portions("to work", "rest", notes=notes)([1, 2], work)
    assert str(caught.value) == wanted
    assert notes == ["out of memory to work: 2 at a time became 1"]
    with pytest.raises(NotEnoughMemoryError) as caught, enough_memory("to work", "rest"):
        work([])
    assert str(caught.value) == wanted


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        Portions("to work", "rest")([0], lambda part: 1 // part[0])
