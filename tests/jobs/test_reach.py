"""How far a segment looks back: as far as what it depends on, and never across a cut."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.config import resolve_config
from vidrestore.jobs.reach import crops_before, shot_of, strengths_before

RATE = Fraction(1, 25)
TIMES = range(400)


@settings(max_examples=60, deadline=None)
@given(
    frame=st.integers(0, 399),
    cuts=st.lists(st.integers(1, 399), unique=True, max_size=6).map(sorted),
    reach=st.integers(1, 4),
    batch=st.integers(1, 5),
)
def test_it_begins_before_what_is_wanted_and_within_the_shots_it_needs(
    frame: int, cuts: list[int], reach: int, batch: int
) -> None:
    config = resolve_config(None, {"temporal_filter.reach_frames": reach})
    crops_from = crops_before(frame, config, batch, cuts)
    decode_from = strengths_before(crops_from, config, TIMES, RATE, cuts)
    assert 0 <= decode_from <= crops_from <= frame
    assert shot_of(decode_from, cuts) == shot_of(crops_from, cuts)
    longer = resolve_config(config, {"temporal_filter.reach_frames": reach + 2})
    assert crops_before(frame, longer, batch, cuts) <= crops_from
    batched = crops_before(frame, config, batch, cuts, together=8)
    assert batched <= min(crops_from, max(frame - frame % 8, shot_of(frame, cuts)))


def test_the_first_frame_of_a_shot_needs_no_strengths_before_it() -> None:
    config = resolve_config(None, {"align.window_s": 1.0, "gate.fade_frames": 6})
    assert strengths_before(100, config, TIMES, RATE, [100, 200]) == 100
    assert strengths_before(110, config, TIMES, RATE, [100, 200]) == 100
    assert strengths_before(190, config, TIMES, RATE, [100, 200]) == 190 - 24


def test_shots() -> None:
    assert [shot_of(frame, [3, 7]) for frame in range(9)] == [0, 0, 0, 3, 3, 3, 3, 7, 7]
    assert shot_of(5, []) == 0
