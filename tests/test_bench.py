"""What a benchmark says follows from its runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import empty_frames, write_clip

from vidrestore.bench.describe import describe, plot_stages
from vidrestore.bench.runs import BenchResult, Case, NetworkSpeed, Run, bench
from vidrestore.cli import main
from vidrestore.config import DetectConfig
from vidrestore.demo.crowd import crowd_frames
from vidrestore.errors import UsageError
from vidrestore.models.load import load_detector
from vidrestore.run import single_frame
from vidrestore.stages.detect import detect


def run_of(frames_per_s: float, mib: float | None = 100.0) -> Run:
    return Run(
        10, 5, 10 / frames_per_s, frames_per_s, mib, 0.0, {"restore": 12.5}, cpu_s=2 / frames_per_s
    )


def case(theirs: tuple[Run, ...] = ()) -> Case:
    return Case("cpu", 10, (run_of(4), run_of(2), run_of(9)), theirs)


def result(*cases: Case) -> BenchResult:
    return BenchResult("clip.mp4", {"processor": "a machine"}, cases)


def test_speed_is_the_median_and_the_ratio_compares_medians() -> None:
    assert case().speed == 4
    assert case().median_run.faces_per_s == 2
    assert case((run_of(1), run_of(2), run_of(8))).ratio == 2
    assert case((run_of(1), run_of(2), run_of(8))).cpu_ratio == 2
    assert case().ratio is None and case().cpu_ratio is None


def test_cpu_time_is_that_of_the_command(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", empty_frames(2, width=64, height=48))
    asleep, busy = (
        bench(
            clip, frames=[2], options=["--model", "debug"], against=f"{sys.executable} -c '{code}'"
        )
        for code in (
            "import time; time.sleep(0.5)",
            'while __import__("time").process_time() < 0.5: pass',
        )
    )
    [asleep_run], [busy_run] = asleep.cases[0].theirs, busy.cases[0].theirs
    assert asleep_run.cpu_s < 0.4 < busy_run.cpu_s
    assert busy.cases[0].ours[0].cpu_s > 0.4


def test_growth_of_memory_is_between_the_shortest_and_the_longest() -> None:
    longer = replace(case(), frames=20, ours=(run_of(5, 110.0),))
    assert result(longer, case()).memory_growth("cpu") == pytest.approx(1.1)
    assert result(longer, replace(case(), device="cuda")).memory_growth("cpu") is None


def test_the_table_tells_all_of_it() -> None:
    longer = replace(case(), frames=20, ours=(run_of(5, 110.0),))
    speed = NetworkSpeed(13.4, 100.0, 400.0)
    said = "\n".join(describe(result(replace(case((run_of(2),)), network=speed), longer)))
    for words in (
        "a machine",
        "10 frames: 4.000 frames/s",
        "12.5 ms a frame",
        "ratio: 2.00",
        "2.00 times by CPU time",
    ):
        assert words in said
    for words in ("2.000 faces/s", "13.4 GFLOP a face", "25 % of the measured 400", "+10.0 %"):
        assert words in said


def test_the_plot_is_a_picture() -> None:
    picture = cv2.imdecode(np.frombuffer(plot_stages(result(case())), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.std() > 5


def test_too_many_frames_are_refused_before_any_run(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", empty_frames(3, width=64, height=48))
    with pytest.raises(UsageError, match="holds 3 frames"):
        bench(clip, frames=[4], against=f"{sys.executable} -c raise")


@pytest.mark.parametrize(("size", "faces"), [((320, 180), 1), ((640, 360), 3)])
def test_a_made_clip_has_as_many_faces_as_are_asked_for(size: tuple[int, int], faces: int) -> None:
    [image] = crowd_frames(*size, faces, 1)
    [frame] = detect([single_frame(image)], load_detector("embedded"), DetectConfig())
    assert image.shape == (size[1], size[0], 3)
    assert len(frame.faces) == faces


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name an INPUT"),
        (["clip.mp4", "--synthetic", "64x64"], "name an INPUT"),
        (["clip.mp4", "--choose"], "name an INPUT"),
        (["--choose", "--model", "debug", "--device", "cpu"], "nothing to choose"),
        (["--synthetic", "64"], "WIDTHxHEIGHT"),
        (["--synthetic", "65x64"], "even numbers"),
        (["--synthetic", "64x64", "--devices", "cpu,tpu9"], "tpu9"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) <= 2


def test_a_roofline_is_counted_without_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--roofline", "gfpgan-1.4", "--crops", "1"]) == 0
    said = capsys.readouterr().out
    assert "263.5 GFLOP" in said and "H200" in said
    assert "with 1 face: " in said and "with 8 faces: " in said
