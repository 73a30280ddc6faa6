"""Lost frames leave gaps of whole steps, and are counted by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.errors import VideoDecodeError
from vidrestore.video.read.shortfall import FrameTimes, Shortfall, refuse_damaged


def seen(times: list[int], nominal: int = 0) -> FrameTimes:
    found = FrameTimes(nominal)
    for pts in times:
        found.add(pts)
    return found


@given(
    st.integers(1, 5000),
    st.integers(-10_000, 10_000),
    st.integers(24, 60),
    st.sets(st.integers(1, 22), max_size=3),
)
def test_frames_missing_at_a_constant_rate_are_counted(
    step: int, start: int, count: int, lost: set[int]
) -> None:
    times = seen([start + step * i for i in range(count) if i not in lost])
    assert times.step == step and times.is_steady
    first = None if not lost else start + step * (min(lost) - 1)
    assert times.missing() == (len(lost), first)


@given(st.lists(st.integers(1, 10**6), min_size=8, max_size=40, unique=True))
def test_where_no_step_is_usual_gaps_say_nothing(steps: list[int]) -> None:
    times = [sum(steps[:i]) for i in range(len(steps) + 1)]
    found = seen(times)
    if not found.is_steady:
        assert found.missing() == (0, None)


def test_few_frames_follow_the_header() -> None:
    assert seen([0, 80], 40).missing() == (1, 0)
    assert seen([0, 80]).missing() == (0, None)


def test_the_end_may_show_what_is_missing_before_it() -> None:
    times = seen([40 * i for i in range(10)])
    times.end(40 * 12)
    assert times.frames == 10 and times.missing() == (2, 360)


def test_what_is_left_of_a_damaged_file_is_counted_on_the_headers_grid() -> None:
    times = seen([0, 400, 440, 1000, 1600], 40)
    assert times.missing() == (0, None)
    times.follow_header()
    assert times.missing() == (36, 0)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0, 1))
def test_a_bound_is_a_share_and_all_is_always_too_much(
    missing: int, promised: int, bound: float
) -> None:
    too_much = Shortfall("frames", missing, promised).is_beyond(bound)
    assert too_much == (missing > bound * promised or 0 < promised <= missing)


def test_messages_say_what_where_and_what_to_do() -> None:
    some, whole = Shortfall("frames", 3, 50, 1.5, so_far=True), Shortfall("frames", 5, 5)
    assert str(some) == "at least 3 of 50 frames are missing or broken, the first at 1.500 s"
    assert str(whole) == "all frames are missing or broken"
    with pytest.raises(VideoDecodeError, match=r"a\.mp4 is damaged: at least 3 .*--keep-damaged"):
        refuse_damaged(Path("a.mp4"), [some], 0.1)
