"""Restores hours of variable frame rate on tiny pictures, and looks for drift.

    python tools/long_clock.py --seconds 10800

Frames follow each other after 8 to 1500 ms, drawn at random; sound lasts throughout. Every time of
the picture must be the input's, and the end of the sound, in each container.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def make(path: Path, seconds: float, seed: int) -> None:
    """Writes a recording whose frames come at random times."""
    draw, at = random.Random(seed), 0
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=25, width=16, height=16, pix_fmt="yuv420p")
        assert isinstance(picture, av.VideoStream)
        picture.codec_context.time_base = Fraction(1, 60000)
        sound = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        assert isinstance(sound, av.AudioStream)
        for second in range(int(seconds)):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
            heard.sample_rate, heard.pts = 8000, 8000 * second
            out.mux(sound.encode(heard))
            while at < (second + 1) * 60000:
                frame = av.VideoFrame(16, 16, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([at // 480 % 256]) * plane.buffer_size)
                frame.pts, frame.time_base = at, Fraction(1, 60000)
                out.mux(picture.encode(frame))
                at += draw.randint(480, 90000)
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))


def times(path: Path) -> list[list[Fraction]]:
    """Presentation times of the picture's packets, sorted, and the end of the sound."""
    shown, end = list[Fraction](), Fraction(0)
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                at = packet.pts * packet.time_base
                if packet.stream.type == "audio":
                    end = max(end, at + (packet.duration or 0) * packet.time_base)
                else:
                    shown.append(at)
    return [sorted(shown), [end]]


def drift_s(source: Path, output: Path) -> float:
    """The largest difference of a time, in seconds; infinite where packets are missing."""
    from vidrestore.config import DecodeConfig, EncodeConfig
    from vidrestore.video.read.reader import VideoReader
    from vidrestore.video.write.writer import VideoWriter

    config = EncodeConfig(speed="ultrafast")
    with (
        VideoReader(source, DecodeConfig(), threads=1) as reader,
        VideoWriter(output, reader.info, config) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
    before, after = times(source), times(output)
    if [len(one) for one in before] != [len(one) for one in after]:
        return float("inf")
    pairs = zip(before[0] + before[1], after[0] + after[1], strict=True)
    return max(float(abs(one - other)) for one, other in pairs)


def main() -> int:
    """Prints the drift of every container; 1 if one is above a millisecond."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10800)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.mkv"
        make(source, options.seconds, options.seed)
        for suffix in (".mkv", ".mov"):
            drift = drift_s(source, Path(folder) / f"out{suffix}")
            print(f"{suffix} {options.seconds:g} s, {len(times(source)[0])} frames: {drift:.6f} s")
            worst = max(worst, drift)
    return int(worst > 0.001)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
