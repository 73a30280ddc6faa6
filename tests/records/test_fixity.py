"""Checksums are FFmpeg's, and what is said to differ from the input is all that does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from clips import face_frames, write_clip

from vidrestore import Session
from vidrestore.cli import main
from vidrestore.config import resolve_config
from vidrestore.errors import VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.samples import FaceSamples
from vidrestore.records.fixity import read_back, sha256_of

QUICK: dict[str, Any] = {
    "restore.model": "debug",
    "detect.refine_passes": 0,
    "detect.rotated": False,
    "restore.measure_noise": False,
    "restore.conceal_defects": False,
}


def restored(source: Path, output: Path, **options: Any) -> Job:
    with Session(resolve_config(None, QUICK | options)) as session:
        job = session.plan(source, output)
        session.run(job)
    return job


class Seen(FaceSamples):
    """Regions of faces that a test chooses."""

    def __init__(self, boxes: list[npt.NDArray[np.int32]]) -> None:
        super().__init__()
        self._chosen = boxes

    def regions(self) -> list[npt.NDArray[np.int32]]:
        return self._chosen


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#software")]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mp4", "libx264")])
def test_frame_checksums_are_those_of_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    clip = write_clip(tmp_path / name, face_frames(3, width=96, height=64), codec=codec)
    assert read_back(clip, tmp_path / "ours") == (3, None)
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-map", "0:v:0", "-enc_time_base", "-1"]
    subprocess.run([*command, "-f", "framemd5", str(tmp_path / "theirs")], check=True)
    assert lines(tmp_path / "ours") == lines(tmp_path / "theirs")


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "bgr0", "gray"])
def test_identical_frames_are_counted(tmp_path: Path, pix_fmt: str) -> None:
    frames = face_frames(3, width=96, height=64)
    clip = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt=pix_fmt)
    job = restored(clip, tmp_path / "b.mkv", **{"blend.strength": 0.0})
    frames_read, difference = read_back(tmp_path / "b.mkv", tmp_path / "sums", job)
    assert difference is not None and (frames_read, difference.identical) == (3, 3)
    assert not difference.rectangles and difference.outside_faces is None


def test_a_change_outside_of_faces_is_found(tmp_path: Path) -> None:
    frames = face_frames(30, width=96, height=64)
    source = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="yuv444p")
    job = restored(source, tmp_path / "b.mkv", **{"blend.strength": 0.0})
    spoilt = [frame.copy() for frame in frames]
    spoilt[2][10:14, 20:25] ^= 255
    spoilt[4][40:42, 70:80] ^= 255
    other = write_clip(tmp_path / "c.mkv", spoilt, codec="ffv1", pix_fmt="yuv444p")
    seen = Seen([np.zeros((0, 4), np.int32)] * 4 + [np.array([[60, 30, 90, 50]], np.int32)] * 26)
    _, difference = read_back(other, tmp_path / "sums", job, seen)
    assert difference is not None and difference.identical == 28
    assert difference.rectangles == ((2, 2, ((20, 10, 5, 4),)), (4, 4, ((70, 40, 10, 2),)))
    assert difference.outside_faces == 1 and difference.unrepeatable == 0
    seen.hashes.extend([0] * 3)  # as if these had been decoded to other samples in the run
    _, difference = read_back(other, tmp_path / "sums", job, seen)
    assert difference is not None and difference.unrepeatable == 3
    assert (difference.identical, difference.outside_faces) == (26, 0)


def test_a_frame_too_few_is_told(tmp_path: Path) -> None:
    frames = face_frames(3, width=96, height=64)
    source = write_clip(tmp_path / "a.mkv", frames, codec="ffv1")
    job = restored(source, tmp_path / "b.mkv", **{"blend.strength": 0.0})
    short = write_clip(tmp_path / "c.mkv", frames[:2], codec="ffv1")
    with pytest.raises(VideoWriteError, match="not as many frames"):
        read_back(short, tmp_path / "sums", job)


def test_restore_keeps_it_in_the_report(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", face_frames(3, width=160, height=120), codec="ffv1")
    report, output = tmp_path / "r.json", tmp_path / "b.mkv"
    options = ["--model", "debug", "--detect.refine-passes", "0", "--report", str(report)]
    assert main([str(clip), str(output), *options[:-2], "--fixity"]) == 2
    assert main([str(clip), str(output), *options, "--fixity"]) == 0
    record = json.loads(report.read_text())["record"]
    assert record["fixity"]["output_sha256"] == sha256_of(output)
    assert record["fixity"]["picture"]["outside_faces"] == 0
    assert len(lines(tmp_path / "r.framemd5")) > 3
    assert record["model"]["name"] == "debug" and record["program"]["ffmpeg"]["libavcodec"]
    with av.open(str(output)) as container:
        said = {key.lower(): text for key, text in container.metadata.items()}["comment"]
    assert said.startswith("faces restored by vidrestore") and said.endswith("debug, strength 1")
