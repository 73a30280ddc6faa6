"""What FFmpeg's own programs say of two files: frames, times, streams, tags, samples."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Seen", "look_at", "samples_of", "streams_differ"]

_COLOURS = ("color_range", "color_space", "color_primaries", "color_transfer")


class Seen:
    """What ffprobe says of a file."""

    def __init__(self, path: Path) -> None:
        told = _ffprobe(path, "-show_streams", "-show_format", "-show_chapters")
        self.path, self.format = path, told["format"]
        self.streams: list[dict[str, Any]] = told["streams"]
        self.chapters = [one.get("tags", {}).get("title") for one in told["chapters"]]
        self.video = next(
            one
            for one in self.streams
            if one["codec_type"] == "video" and not one["disposition"]["attached_pic"]
        )
        frames = _ffprobe(path, "-show_frames", "-select_streams", str(self.video["index"]))
        self.frames: list[dict[str, Any]] = frames["frames"]
        self.times = [
            float(one.get("best_effort_timestamp_time", one.get("pts_time", "nan")))
            for one in self.frames
        ]

    def kinds(self) -> list[str]:
        """Of streams but those that muxers make; the picture first."""
        kinds = [one["codec_type"] for one in self.streams if one["codec_type"] != "data"]
        return sorted(kinds, key=lambda kind: kind != "video")

    def sound(self) -> list[list[tuple[float, str]]]:
        """(time, hash of the data) of the packets of each stream of sound."""
        found = []
        for one in self.streams:
            if one["codec_type"] != "audio":
                continue
            select = ("-select_streams", str(one["index"]))
            packets = _ffprobe(self.path, "-show_packets", "-show_data_hash", "md5", *select)
            found.append(
                [(float(p.get("pts_time", "nan")), p["data_hash"]) for p in packets["packets"]]
            )
        return found

    def picture_tags(self) -> dict[str, Any]:
        """Shape of pixels, colours, scan and rotation, where they are told."""
        told = {name: self.video.get(name, "unknown") for name in _COLOURS}
        aspect = self.video.get("sample_aspect_ratio", "1:1").replace("0:1", "1:1")
        first = self.frames[0]
        turned = [
            one.get("rotation") for one in self.video.get("side_data_list", []) if "rotation" in one
        ]
        scan = (first["interlaced_frame"], first["interlaced_frame"] and first["top_field_first"])
        size = (self.video["width"], self.video["height"])
        return told | {"sar": Fraction(*map(int, aspect.split(":"))), "scan": scan,
                       "turned": turned, "size": size}  # fmt: skip

    def tag(self, name: str) -> str | None:
        """Of the file or of any stream."""
        for place in (self.format, *self.streams):
            for key, value in place.get("tags", {}).items():
                if key.lower() == name:
                    return str(value)
        return None

    def languages(self) -> list[str]:
        """Of sound and text."""
        told = [one.get("tags", {}).get("language", "und") for one in self.streams]
        return [one for one in told if one != "und"]


def look_at(path: Path) -> Seen:
    """Ask ffprobe about a file."""
    return Seen(path)


def _ffprobe(path: Path, *options: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def samples_of(seen: Seen, pix_fmt: str) -> npt.NDArray[Any]:
    """All frames as (frames, height, width, 3) RGB of 16 bits, or (frames, bytes) of a format."""
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(seen.path), "-map", "0:V:0"]
    options = ["-fps_mode", "passthrough", "-pix_fmt", pix_fmt, "-f", "rawvideo", "-"]
    data = subprocess.run([*command, *options], capture_output=True, check=True).stdout
    if pix_fmt == "rgb48le":
        shape = (-1, seen.video["height"], seen.video["width"], 3)
        return np.frombuffer(data, np.uint16).reshape(shape)
    return np.frombuffer(data, np.uint8).reshape(len(seen.frames), -1)


def streams_differ(before: Seen, after: Seen, *, same_data: bool = True) -> list[str]:
    """What sound lacks, or has at another time against the picture, in words."""
    told = []
    one, other = before.sound(), after.sound()
    if len(one) != len(other):
        return [f"{len(other)} streams of sound instead of {len(one)}"]
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        if same_data and [data for _, data in a] != [data for _, data in b]:
            told.append(f"sound {number}: {len(b)} packets, {len(a)} before, or other data")
        if a and b:
            apart = (b[0][0] - after.times[0]) - (a[0][0] - before.times[0])
            if abs(apart) > 0.03:
                told.append(f"sound {number} moved by {apart:+.3f} s against the picture")
    return told
