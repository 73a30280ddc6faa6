"""Whole runs on interlaced video: it stays interlaced, and its faces move from field to field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from clips import decoded_planes, frame_times
from interlaced import field_shift, fields_of, whole, woven, write_frames
from moving_face import Moves, placed

from vidrestore import inspect_video, restore_frames, restore_video
from vidrestore.config import resolve_config
from vidrestore.structs import Frame
from vidrestore.video.picture.field_order import field_order_of

WIDTH, HEIGHT, SCALE, SPEED = 240, 180, 0.7, 5.0
LEVEL = {"level": "3"}


def moves(fields: int) -> Moves:
    return [placed(80 + SPEED * t, 95 + 0.1 * SPEED * t, scale=SCALE) for t in range(fields)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames, top field first."""
    fields = fields_of(moves(16), WIDTH, HEIGHT, blur=1.0, noise=2)
    return write_frames(
        tmp_path_factory.mktemp("c") / "in.mkv", woven(fields, "top"), options=LEVEL
    )


def orders_in(path: Path) -> list[str | None]:
    with av.open(str(path)) as container:
        return [field_order_of(frame) for frame in container.decode(video=0)]


def test_a_run_keeps_fields_and_counts_frames(clip: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out.mkv", tmp_path / "again.mkv"
    report = restore_video(clip, out, model="debug")
    assert (report.frames, report.scans) == (8, {"top_field_first": 8})
    assert report.faces >= 7 and not report.notes
    assert sum(track.restored_frames for track in report.tracks) == report.faces
    assert orders_in(out) == ["top"] * 8
    assert frame_times(out) == frame_times(clip)
    for before, after in zip(decoded_planes(clip), decoded_planes(out), strict=True):
        for old, new in zip(before, after, strict=True):
            assert not torch.equal(old, new)
            for line in (slice(0, 4), slice(-4, None)):
                assert torch.equal(old[line], new[line])
    # Other queues and batches, and tracks of a file, give the same bytes.
    tracks = tmp_path / "tracks.json"
    tracks.write_text(inspect_video(clip).to_json())
    config = resolve_config(None, {"run.queue_frames": 1, "run.collect_faces": 3})
    restore_video(clip, again, model="debug", tracks=tracks, config=config)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.soak
def test_mixed_video_has_one_order_and_each_frame_its_own_type(tmp_path: Path) -> None:
    fields = fields_of(moves(24), WIDTH, HEIGHT, noise=1)
    frames = [*whole(fields[:12], None), *woven(fields[12:], "bottom")]
    frames = [replace(frame, index=index, pts=index) for index, frame in enumerate(frames)]
    source = write_frames(tmp_path / "in.mkv", frames, options=LEVEL)
    report = restore_video(source, tmp_path / "out.mkv", model="debug")
    assert report.scans == {"progressive": 6, "bottom_field_first": 6}
    assert orders_in(source) == [None] * 6 + ["bottom"] * 6
    assert orders_in(tmp_path / "out.mkv") == ["bottom"] * 12


def luma(frame: Frame) -> npt.NDArray[np.float64]:
    """Of the face."""
    x, y = (int(80 + SPEED * (2 * frame.index + 0.5)), int(95 + 0.1 * SPEED * 2 * frame.index))
    top = (y - 36) // 2 * 2
    return frame.picture.planes[0].numpy()[top : top + 84, x - 30 : x + 30].astype(np.float64)


@pytest.mark.soak
def test_the_embedded_network_restores_fields_as_they_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside faces, nearer to the truth than restoring woven frames, and than deinterlacing first;
    the shift between fields stays.
    """
    truth = woven(fields_of(moves(24), WIDTH, HEIGHT), "top")
    degraded = woven(fields_of(moves(24), WIDTH, HEIGHT, blur=1.4, noise=1), "top")
    source = write_frames(tmp_path / "fields.mkv", degraded, options=LEVEL)
    deinterlacing = resolve_config(None, {"decode.deinterlace": "bwdif"})
    found = {
        "source": degraded,
        "by field": list(restore_frames(source)),
        "deinterlaced": list(restore_frames(source, config=deinterlacing)),
    }
    monkeypatch.setattr("vidrestore.pipeline.split_fields", lambda frames: frames)
    found["woven"] = list(restore_frames(source))
    psnr = {way: psnr_of(frames, truth) for way, frames in found.items()}
    shifts = {way: shift_of(frames) for way, frames in {**found, "truth": truth}.items()}
    assert psnr["by field"] > psnr["source"] + 0.5
    assert psnr["by field"] > psnr["woven"] + 1
    assert psnr["by field"] > psnr["deinterlaced"] + 3
    assert shifts["by field"] == pytest.approx(shifts["truth"], abs=0.3)
    assert shifts["woven"] < 0.5 * shifts["truth"]
    assert abs(shifts["deinterlaced"]) < 0.3


def psnr_of(frames: Sequence[Frame], truth: Sequence[Frame]) -> float:
    """In dB, inside faces."""
    pairs = zip(frames, truth, strict=True)
    errors = [np.square(luma(one) - luma(true)).mean() for one, true in pairs]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def shift_of(frames: Sequence[Frame]) -> float:
    """Mean, in pixels; of the first and last frames faces are known less well."""
    return float(np.mean([field_shift(luma(one).astype(np.uint8)) for one in frames[2:-2]]))
