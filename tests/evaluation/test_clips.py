"""Comparing restorers on videos."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from clips import empty_frames, face_frames, write_clip

from vidrestore import pipeline
from vidrestore.errors import DataError
from vidrestore.evaluation.clip_meter import MeasuredFrame, Slice
from vidrestore.evaluation.clip_pairs import Pair, degrade_clips, find_clips
from vidrestore.evaluation.clips import compare_clips
from vidrestore.evaluation.page import render_page
from vidrestore.evaluation.protocols import find_protocol
from vidrestore.evaluation.results import summarise, table_lines
from vidrestore.models.nets.mobilefacenet import MobileFaceNet

FRAMES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, the same shaken by a pixel and noisy, and one without a face; nearly lossless."""
    folder = tmp_path_factory.mktemp("clips")
    frames = face_frames(FRAMES)
    rng = np.random.default_rng(0)
    noisy = [
        np.uint8(
            np.clip(
                cv2.GaussianBlur(np.roll(image, index % 2, axis=1), (5, 5), 1.2)
                + rng.normal(0, 6, image.shape), 0, 255,
            )
        )
        for index, image in enumerate(frames)
    ]  # fmt: skip
    write_clip(folder / "truth.mp4", frames, options={"crf": "6"})
    write_clip(folder / "noisy.mp4", noisy, options={"crf": "6"})
    write_clip(folder / "empty.mp4", empty_frames(FRAMES))
    return folder


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilefacenet.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MobileFaceNet().state_dict(), path)
    return path


def test_a_pair_is_restored_and_measured(folder: Path, identity: Path) -> None:
    pair = Pair("shaken", folder / "truth.mp4", folder / "noisy.mp4")
    found = compare_clips(["debug"], [pair], identity=identity, samples=1, device="cpu")
    by_model = {row.model: row.values for row in found.rows}
    assert list(by_model) == ["input", "debug", "truth"]
    before, after, truth = (by_model[name] for name in ("input", "debug", "truth"))
    assert before.keys() == set(found.measures) == after.keys()
    assert truth.keys() == {"identity_std", "warping_error", "jitter_px", "jitter"}
    assert before["warping_error"] > truth["warping_error"]
    assert 0 < before["flicker"] < 30
    assert before["jitter_px"] > 0.3
    assert found.series["shaken"]["flicker"]["debug"]
    summary = summarise(found)
    assert summary["items"] == {"all": 1}
    assert "warping error" in "\n".join(table_lines(found, summary))
    assert [tile.model for tile in found.samples[0].tiles] == ["input", "debug", "truth"]
    html = render_page([found])
    assert "shaken, frame 0" in html
    assert html.count("<img") == 5 + 3 * 3  # plots; a frame and two slices


def test_faces_are_tracked_once_for_all_models(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracks of the plot are those that the models take: the detector sees a clip once."""
    detect, runs = pipeline.detect, list[str]()

    def counted(frames: Any, *rest: Any) -> Any:
        runs.append("detect")
        return detect(frames, *rest)

    monkeypatch.setattr(pipeline, "detect", counted)
    pair = Pair("shaken", folder / "truth.mp4", folder / "noisy.mp4")
    found = compare_clips(["debug"], [pair], metrics=["psnr_db"], samples=1, device="cpu")
    assert runs == ["detect"]
    assert [row.model for row in found.rows] == ["input", "debug", "truth"]


def test_both_ways_compete_in_one_run(folder: Path) -> None:
    pair = Pair("shaken", folder / "truth.mp4", folder / "noisy.mp4")
    wanted = ["psnr_db", "flicker", "sharpness"]
    found = compare_clips(
        ["debug"], [pair], metrics=wanted, per_frame=True, samples=1, device="cpu"
    )
    assert found.models == ("debug", "debug (per frame)")
    by_model = {row.model: row.values["sharpness"] for row in found.rows if row.model != "truth"}
    assert by_model["debug (per frame)"] > by_model["input"]  # The debug model sharpens.
    ours, theirs = (found.series["shaken"]["flicker"][model] for model in found.models)
    assert len(ours) == len(theirs) == FRAMES - 1
    assert np.mean(ours) < np.mean(theirs)
    slices = [sample for sample in found.samples if "x-t slice" in sample.item]
    assert [sample.item.rpartition(" ")[2] for sample in slices] == ["eyes", "hairline"]
    for sample in slices:
        assert [tile.model for tile in sample.tiles] == ["input", *found.models, "truth"]
        assert len({tile.image.shape for tile in sample.tiles}) == 1
    html = render_page([found])
    assert "x-t slice through the eyes" in html
    for title in ("shaken: alignments", "shaken: alignments, every frame by itself"):
        assert f'<img alt="{title}"' in html
    assert html.count('class="wide"') == 2


def test_a_slice_keeps_no_frame_alive() -> None:
    picture = np.zeros((60, 80, 3), np.float32)
    box, landmarks = np.array([10.0, 10, 50, 50]), np.full((5, 2), 30.0)
    slice_over_time = Slice("clip", "eyes")
    slice_over_time.add(MeasuredFrame(box, landmarks, {"truth": picture}))
    frame = weakref.ref(picture)
    del picture
    assert frame() is None


def test_the_truth_itself_is_perfect(folder: Path) -> None:
    pair = Pair("same", folder / "truth.mp4", folder / "truth.mp4")
    wanted = ["psnr_db", "ssim", "flicker", "temporal_difference", "warping_error", "lmd", "eyes"]
    found = compare_clips(["input"], [pair], metrics=wanted, samples=1, device="cpu")
    before, truth = (row.values for row in found.rows)
    assert before["psnr_db"] == 100
    assert before["ssim"] == pytest.approx(1, abs=1e-4)
    assert before["eyes"] == 1
    assert before["flicker"] == before["temporal_difference"] == before["lmd"] == 0
    assert before["warping_error"] == truth["warping_error"]


def test_clips_are_degraded_by_protocols(folder: Path, tmp_path: Path) -> None:
    clips = find_clips(folder / "truth.mp4")
    [pair] = degrade_clips(clips, find_protocol("sr4"), tmp_path)
    found = compare_clips(["input"], [pair], metrics=["psnr_db", "sharpness"], device="cpu")
    values = found.rows[0].values
    assert 20 < values["psnr_db"] < 45
    assert values["sharpness"] < 0.9


def test_clips_that_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", face_frames(FRAMES - 2))
    with pytest.raises(DataError, match="differ in length"):
        compare_clips(["input"], [Pair("a", folder / "truth.mp4", short)], metrics=["ssim"])
    empty = folder / "empty.mp4"
    with pytest.raises(DataError, match="no face was found"):
        compare_clips(["input"], [Pair("b", empty, empty)], metrics=["ssim"])
    with pytest.raises(DataError, match="neither pictures nor videos"):
        find_clips(Path(__file__).parent / "nothing")
    assert [path.stem for path in find_clips(folder, 2)] == ["empty", "truth"]
