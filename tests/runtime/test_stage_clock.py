"""Time is booked where it was spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from vidrestore.runtime import stage_clock
from vidrestore.runtime.stage_clock import StageClock

Work = Callable[[float], None]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Lets seconds pass on the clock that stages are measured by."""
    now_s = [100.0]
    monkeypatch.setattr(stage_clock.time, "perf_counter", lambda: now_s[0])

    def let_pass(seconds: float) -> None:
        now_s[0] += seconds

    return let_pass


def stage(items: Iterable[int], work: Work, seconds: float) -> Iterator[int]:
    for item in items:
        work(seconds)
        yield item


def test_a_stage_is_not_charged_for_the_one_before(work: Work) -> None:
    clock = StageClock()
    first = clock.timed("first", stage(range(4), work, 2.0))
    second = clock.timed("second", stage(first, work, 1.0), "first")
    assert list(second) == [0, 1, 2, 3]
    assert clock.seconds() == {"first": 8.0, "second": 4.0}


def test_the_consumers_time_is_nobodys(work: Work) -> None:
    clock = StageClock()
    for _ in clock.timed("stage", stage(range(3), work, 1.0)):
        work(50)
    assert clock.seconds() == {"stage": 3.0}


def test_calls_add_up_and_failures_count(work: Work) -> None:
    def fail() -> None:
        work(2)
        raise ValueError("no")

    clock = StageClock()
    clock.call("encode", lambda: work(1))
    with pytest.raises(ValueError, match="no"):
        clock.call("encode", fail)
    assert clock.seconds() == {"encode": 3.0}


def test_a_stage_that_fails_is_charged_until_then(work: Work) -> None:
    def items() -> Iterator[int]:
        work(1)
        yield 0
        work(5)
        raise RuntimeError

    clock = StageClock()
    with pytest.raises(RuntimeError):
        list(clock.timed("stage", items()))
    assert clock.seconds() == {"stage": 6.0}


def test_items_are_pulled_one_by_one() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            asked.append(number)
            yield number

    stream = StageClock().timed("stage", items())
    assert next(stream) == 0 and asked == [0]
    stream.close()
