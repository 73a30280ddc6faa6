"""What a run promises, on real files: untouched means untouched, same in is same out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import decoded_planes, empty_frames, face_frames, frame_times, write_clip
from quick import QUICK
from styled_network import write_styled_network

from vidrestore import frame_to_rgb, restore_frames, restore_image, restore_video
from vidrestore.config import resolve_config
from vidrestore.run import Progress
from vidrestore.stages.blend import face_changes
from vidrestore.video.picture.residual import planes_mask

FORMATS = [
    *("yuv420p", "yuv422p10le", "bgr0"),
    *(pytest.param(name, marks=pytest.mark.soak) for name in ("yuv444p", "gray")),
]
"""Planes of two sizes, two bytes a sample, one plane for all; others are one of these."""
DEBUG = {"restore.model": "debug", **QUICK}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames of a moving face: longer than every queue and look-ahead."""
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", face_frames(100))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 32 px, whose convolutions may round as large ones do."""
    return write_styled_network(tmp_path_factory.mktemp("weights") / "styled.safetensors")


def lossless(folder: Path, pix_fmt: str, count: int) -> Path:
    return write_clip(folder / f"{pix_fmt}.mkv", face_frames(count), codec="ffv1", pix_fmt=pix_fmt)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_samples_outside_the_masks_are_the_inputs(tmp_path: Path, pix_fmt: str) -> None:
    source = lossless(tmp_path, pix_fmt, count=3)
    output = tmp_path / "out.mkv"
    config = resolve_config(None, DEBUG)
    report = restore_video(source, output, config=config, codec="ffv1")
    assert report.faces >= report.frames == 3
    before, after = decoded_planes(source), decoded_planes(output)
    for index, frame in enumerate(restore_frames(source, config=config)):
        assert frame.source is not None
        as_decoded = replace(frame, picture=frame.source)
        masks = planes_mask(frame.source, face_changes(as_decoded, config.blend))
        assert len(masks) == len(before[index])
        for plane, (old, new, mask) in enumerate(
            zip(before[index], after[index], masks, strict=True)
        ):
            assert old.dtype == new.dtype
            changed = old != new
            assert not bool((changed & ~mask).any()), f"frame {index}, plane {plane}"
            assert 0 < mask.float().mean() < 0.9
        assert bool((before[index][0] != after[index][0]).any())


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_strength_zero_is_the_identity(tmp_path: Path, pix_fmt: str) -> None:
    source = lossless(tmp_path, pix_fmt, count=2)
    output = tmp_path / "out.mkv"
    config = resolve_config(None, DEBUG)
    restore_video(source, output, config=config, codec="ffv1", strength=0)
    for old, new in zip(decoded_planes(source), decoded_planes(output), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("ending", ["mp4", "mkv", pytest.param("mov", marks=pytest.mark.soak)])
def test_two_runs_give_the_same_bytes(clip: Path, tmp_path: Path, ending: str) -> None:
    outputs = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for output in outputs:
        restore_video(clip, output, config=resolve_config(None, DEBUG), end=0.2)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_queues_and_batches_do_not_change_a_pixel(clip: Path, network: Path) -> None:
    def pictures(**options: int) -> list[np.ndarray]:
        overrides = {f"run.{name}": value for name, value in options.items()}
        wanted = {"restore.batch_size": 2, "decode.end": 0.36}
        config = resolve_config(None, QUICK | wanted | overrides)
        frames = restore_frames(clip, model=network, config=config)
        return [frame_to_rgb(frame) for frame in frames]

    reference = pictures(queue_frames=1, collect_faces=1)
    for options in (
        {"queue_frames": 16, "collect_faces": 2},
        {"queue_frames": 16, "collect_faces": 7},
    ):
        other = pictures(**options)
        assert all(np.array_equal(a, b) for a, b in zip(reference, other, strict=True))


def test_a_still_clip_stays_still(tmp_path: Path) -> None:
    still = face_frames(1) * 5
    source = write_clip(tmp_path / "still.mkv", still, codec="ffv1", pix_fmt="yuv420p")
    output = tmp_path / "out.mkv"
    report = restore_video(source, output, model="embedded", codec="ffv1")
    assert report.faces >= 5
    frames = decoded_planes(output)
    for planes in frames[1:]:
        assert all(torch.equal(a, b) for a, b in zip(planes, frames[0], strict=True))
    assert not torch.equal(frames[0][0], decoded_planes(source)[0][0])


def test_per_frame_restores_every_frame_by_itself(clip: Path) -> None:
    """A frame comes out the same with or without those before it."""
    options = {"model": "embedded", "config": resolve_config(None, {"restore.batch_size": 1})}
    whole = list(restore_frames(clip, per_frame=True, end=0.12, **options))
    part = list(restore_frames(clip, per_frame=True, start=0.04, end=0.12, **options))
    assert all(frame.detected for frame in whole)
    for alone, frame in zip(part, whole[-len(part) :], strict=True):
        np.testing.assert_array_equal(frame_to_rgb(alone), frame_to_rgb(frame))


def test_no_face_no_change(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "empty.mkv", empty_frames(4), codec="ffv1")
    output = tmp_path / "out.mkv"
    report = restore_video(source, output, model="embedded", codec="ffv1")
    assert (report.faces, report.tracks, report.frames) == (0, (), 4)
    for old, new in zip(decoded_planes(source), decoded_planes(output), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


def test_one_frame_out_for_each_in_at_its_own_time(clip: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    config = resolve_config(None, DEBUG)
    report = restore_video(clip, tmp_path / "out.mp4", config=config, progress=seen.append)
    assert frame_times(tmp_path / "out.mp4") == frame_times(clip)
    restoring = [p for p in seen if p.step == "restoring"]
    assert [p.frames for p in restoring] == list(range(1, 101))
    assert restoring[-1].total == 100
    assert restoring[-1].seconds_left == 0
    assert {(p.step, p.frames) for p in seen[100:]} == {("joining", 100)}
    # Every fifth frame, and a few more where something stirs at the picture's border.
    assert report.frames_detected < 0.3 * report.frames
    assert set(report.stage_seconds) >= {"decode", "detect", "track", "restore", "blend", "encode"}


def test_start_and_end_give_the_frames_between(clip: Path, tmp_path: Path) -> None:
    config = resolve_config(None, DEBUG)
    report = restore_video(clip, tmp_path / "part.mp4", config=config, start=1.0, end=1.4)
    assert report.frames == 10
    times = frame_times(tmp_path / "part.mp4")
    assert times[0] == 0
    assert float(times[-1]) == pytest.approx(9 / 25, abs=1e-6)


def test_leaving_restore_frames_early_closes_everything(clip: Path) -> None:
    import threading

    frames = restore_frames(clip, config=resolve_config(None, DEBUG))
    next(frames)
    frames.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("vidrestore-")]


def test_one_picture(tmp_path: Path) -> None:
    image = face_frames(1, width=480, height=360)[0]
    kept = image.copy()
    restored = restore_image(image, model="embedded")
    assert restored.shape == image.shape and restored.dtype == np.uint8
    assert np.array_equal(image, kept)
    changed = (restored != image).any(-1)
    assert changed.any() and not changed[:, :30].any()


def test_the_preview_shows_before_and_after(clip: Path, tmp_path: Path) -> None:
    import cv2

    preview = tmp_path / "preview.png"
    config = resolve_config(None, DEBUG)
    restore_video(clip, tmp_path / "out.mp4", config=config, end=0.12, preview=preview)
    drawn = cv2.imread(str(preview))
    left, right = drawn[:, :800], drawn[:, 800:]
    assert drawn.shape[1] == 1600
    assert (left != right).any()
