"""Writes a video by this program and by FFmpeg's own with the same settings: size and speed.

    python tools/beside_ffmpeg.py clip.mp4 --codec libx264 --codec ffv1

FFV1 is compared with the slices of pictures of 1280x720 and more. Our side looks for no faces, so
that both do the same work: decode, hand on, encode, copy the sound. Every run is repeated, and the
quickest counts; sizes are those of the picture's packets alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import VidRestoreError
from vidrestore.job import make_job
from vidrestore.run import open_writer
from vidrestore.video.read.reader import VideoReader


@dataclass(frozen=True)
class Setting:
    """One encoder on both sides."""

    ending: str
    ffmpeg: tuple[str, ...]


SETTINGS = {
    "libx264": Setting(".mkv", ("-crf", "16", "-preset", "medium", "-threads", "4")),
    "libx265": Setting(".mkv", ("-crf", "18", "-preset", "medium", "-x265-params",
                                "log-level=error:pools=4:frame-threads=2")),
    "ffv1": Setting(".mkv", ("-level", "3", "-g", "1", "-slices", "16", "-slicecrc", "1")),
    "prores_ks": Setting(".mov", ("-profile:v", "hq", "-vendor", "apl0")),
}  # fmt: skip


def main() -> int:
    """Print a line for each codec."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--codec", action="append", choices=SETTINGS, help="one of them; all")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        print("the program ffmpeg is not installed", file=sys.stderr)
        return 1
    print(
        f"{'codec':<10} {'ours':>10} {'ffmpeg':>10} {'size':>6}   {'ours':>8} {'ffmpeg':>8} speed"
    )
    with tempfile.TemporaryDirectory() as folder:
        for codec in options.codec or SETTINGS:
            try:
                _compare(options.video, codec, Path(folder), options.repeat)
            except VidRestoreError as error:
                print(f"{codec:<10} {error}")
    return 0


def _compare(video: Path, codec: str, folder: Path, repeat: int) -> None:
    setting = SETTINGS[codec]
    outs = [folder / f"{side}{setting.ending}" for side in ("ours", "ffmpeg")]
    pix_fmt, audio = _plan(video, codec, outs[0])
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(video), "-c:v", codec, *setting.ffmpeg]
    command += ["-pix_fmt", pix_fmt, "-fps_mode", "passthrough", "-c:a", audio, str(outs[1])]
    ours_s = min(_timed(lambda: _write(video, outs[0], codec)) for _ in range(repeat))
    theirs_s = min(_timed(lambda: subprocess.run(command, check=True)) for _ in range(repeat))
    ours, theirs = (_picture_bytes(out) for out in outs)
    print(
        f"{codec:<10} {ours:>10} {theirs:>10} {ours / theirs:>6.3f}   "
        f"{ours_s:>6.2f} s {theirs_s:>6.2f} s {theirs_s / ours_s:>5.2f}"
    )


def _config(codec: str) -> RestoreConfig:
    return resolve_config({"encode": {"codec": codec, "overwrite": True, "audio": "pcm"}})


def _plan(video: Path, codec: str, out: Path) -> tuple[str, str]:
    """The pixel format that is encoded, and what FFmpeg does with the sound."""
    job = make_job(video, out, _config(codec), own_restorer=True, own_detector=True)
    assert job.output is not None
    converted = [one.codec for one in job.output.streams if one.action == "convert"]
    return job.output.pix_fmt, converted[0] if converted else "copy"


def _write(video: Path, out: Path, codec: str) -> None:
    job = make_job(video, out, _config(codec), own_restorer=True, own_detector=True)
    with (
        VideoReader(job.info, job.config.decode, window=job.window) as reader,
        open_writer(job) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _picture_bytes(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(packet.size for packet in container.demux(video=0))


if __name__ == "__main__":
    sys.exit(main())
