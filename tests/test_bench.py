"""What a benchmark says follows from its runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from clips import empty_frames, write_clip

from vidrestore.bench import BenchResult, Run, bench, describe
from vidrestore.errors import UsageError


def run_of(frames_per_s: float, mib: float | None = 100.0) -> Run:
    return Run(10, 5, 10 / frames_per_s, frames_per_s, mib, {"restore": 12.5})


def result(theirs: tuple[Run, ...] = ()) -> BenchResult:
    ours = {10: (run_of(4), run_of(2), run_of(9)), 20: (run_of(5, 110.0),)}
    return BenchResult("clip.mp4", "a machine", ours, {10: theirs, 20: ()})


def test_speed_is_the_median_and_the_ratio_compares_medians() -> None:
    assert result().speed(10) == 4
    assert result((run_of(1), run_of(2), run_of(8))).ratio(10) == 2
    assert result().ratio(10) is None


def test_growth_of_memory_is_between_the_shortest_and_the_longest() -> None:
    assert result().memory_growth() == pytest.approx(1.1)
    assert BenchResult("", "", {10: (run_of(1),)}, {10: ()}).memory_growth() is None


def test_the_table_tells_all_of_it() -> None:
    said = "\n".join(describe(result((run_of(2),))))
    for words in ("a machine", "10 frames: 4.000 frames/s", "12.5 ms a frame", "ratio: 2.00"):
        assert words in said
    assert "+10.0 %" in said


def test_too_many_frames_are_refused_before_any_run(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", empty_frames(3, width=64, height=48))
    with pytest.raises(UsageError, match="holds 3 frames"):
        bench(clip, frames=[4], against=f"{sys.executable} -c raise")
