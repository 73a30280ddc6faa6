"""Sixty and more kinds of files, made by tests: codec, depth, chroma, range, rate, container,
streams, scan, clock.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from clips import face_frames
from videos import Audio, Chapter, Colour, Subtitle, make_video

__all__ = ["FRAMES", "VARIANTS", "Variant"]

FRAMES = 10
_HDR, _HLG = Colour(1, 9, 9, 16), Colour(1, 9, 9, 18)
_SD, _FULL = Colour(1, 5, 5, 6), Colour(2, 1, 1, 1)
_NTSC, _FILM = Fraction(30000, 1001), Fraction(24000, 1001)
_PAL_WIDE = Fraction(64, 45)
_AAC, _STEREO = Audio("aac", seconds=0.4), Audio("pcm_s16le", seconds=0.4, layout="stereo")
_UNEVEN = [0, 1000, 1900, 3000, 4100, 6000, 7000, 8000, 9050, 10000]


@dataclass(frozen=True)
class Variant:
    """One kind of file, and what is asked of the run."""

    name: str
    source: str
    """Ending of the input."""
    result: str
    """Ending of the output."""
    made: dict[str, Any]
    """Of `make_video`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the run."""
    after: Callable[[Path], Path] | None = None
    """Turns the file that was made into the input."""
    frames: int = FRAMES
    is_quick: bool = False
    """Whether every run of the tests takes it."""
    lost: tuple[str, ...] = ()
    """Tags that the output's container or FFmpeg's reader of it does not tell."""
    keeps_offset: bool = True
    """Whether the container tells when each stream begins."""

    def make(self, folder: Path) -> Path:
        """Write the input."""
        settings = {"size": (96, 64), "pts": range(FRAMES)} | self.made
        path = make_video(folder / f"in{self.source}", **settings)
        return path if self.after is None else self.after(path)


def face(index: int, width: int, height: int, pix_fmt: str) -> av.VideoFrame:
    """The portrait, moved."""
    frame = av.VideoFrame.from_ndarray(_portraits(width, height)[index % FRAMES], "rgb24")
    return frame.reformat(format=pix_fmt)


@lru_cache(maxsize=4)
def _portraits(width: int, height: int) -> list[Any]:
    return face_frames(FRAMES, width=width, height=height)


def _copied(*options: str, ending: str) -> Callable[[Path], Path]:
    """Copies all packets by FFmpeg's own program, with options of the output."""

    def copy(path: Path) -> Path:
        out = path.with_name(f"copied{ending}")
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-map", "0", "-c", "copy"]
        subprocess.run([*command, *options, str(out)], check=True)
        return out

    return copy


def _doubled(path: Path) -> Path:
    """The file twice, joined byte by byte: the clock starts anew."""
    out = path.with_name(f"joined{path.suffix}")
    out.write_bytes(path.read_bytes() * 2)
    return out


def _picture(name: str, source: str, result: str, codec: str, pix_fmt: str, **more: Any) -> Variant:
    """A variant of the picture alone."""
    own = ("options", "is_quick", "lost", "after", "frames", "keeps_offset")
    of_variant = {key: more.pop(key) for key in own if key in more}
    made = {"codec": codec, "pix_fmt": pix_fmt, **more}
    return Variant(name, source, result, made, **of_variant)


def _face(name: str, codec: str, pix_fmt: str, **more: Any) -> Variant:
    return _picture(name, ".mkv", ".mkv", codec, pix_fmt, size=(320, 240), draw=face,
                    options={"codec": "ffv1"}, **more)  # fmt: skip


_DNXHR = {"codec": "dnxhd", "pix_fmt": "yuv422p", "size": (256, 128)}
_LOSSY: list[Variant] = [
    _picture("h264 4:2:0", ".mp4", ".mp4", "libx264", "yuv420p", colour=_SD, is_quick=True),
    _picture("h264 4:2:2 10 bit", ".mov", ".mov", "libx264", "yuv422p10le", colour=_HLG),
    _picture("h264 4:4:4", ".mkv", ".mkv", "libx264", "yuv444p"),
    _picture("h264 full range", ".mp4", ".mkv", "libx264", "yuvj420p", colour=_FULL, is_quick=True),
    _picture("hevc HDR", ".mp4", ".mp4", "libx265", "yuv420p10le", colour=_HDR, is_quick=True),
    _picture("hevc 4:2:2 HLG", ".mkv", ".mp4", "libx265", "yuv422p10le", colour=_HLG),
    _picture("hevc 12 bit", ".mkv", ".mkv", "libx265", "yuv444p12le"),
    _picture("hevc RGB", ".mkv", ".mkv", "libx265", "gbrp", lost=("color_space",)),
    _picture("vp9", ".webm", ".webm", "libvpx-vp9", "yuv420p", colour=_SD),
    _picture("vp9 4:4:4", ".webm", ".webm", "libvpx-vp9", "yuv444p"),
    _picture("vp9 alpha", ".webm", ".webm", "libvpx-vp9", "yuva420p",
             video_metadata={"alpha_mode": "1"}),
    _picture("vp8", ".webm", ".mp4", "libvpx", "yuv420p", lost=("color_range",)),
    _picture("av1 10 bit", ".mkv", ".webm", "libsvtav1", "yuv420p10le", colour=_HDR),
    _picture("av1", ".mp4", ".mp4", "libsvtav1", "yuv420p"),
    _picture("mpeg2 4:2:2", ".ts", ".ts", "mpeg2video", "yuv422p", options={"codec": "libx264"}),
    _picture("mpeg2", ".mkv", ".mp4", "mpeg2video", "yuv420p", colour=_SD),
    _picture("mpeg4", ".avi", ".avi", "mpeg4", "yuv420p", keeps_offset=False),
    _picture("mpeg4 in mp4", ".mp4", ".mp4", "mpeg4", "yuv420p"),
    _picture("mjpeg", ".avi", ".mov", "mjpeg", "yuvj422p", lost=("color_range", "color_space")),
    _picture("prores", ".mov", ".mov", "prores_ks", "yuv422p10le", colour=Colour(1, 1, 1, 1),
             is_quick=True),
    _picture("prores 4444 alpha", ".mov", ".mov", "prores_ks", "yuva444p10le"),
    _picture("prores to mxf", ".mov", ".mxf", "prores_ks", "yuv422p10le", audio=[_STEREO],
             keeps_offset=False, is_quick=True),
    Variant("dnxhr", ".mov", ".mov", {**_DNXHR, "options": {"profile": "dnxhr_hq"}}),
    Variant("dnxhr to mxf", ".mov", ".mxf", {**_DNXHR, "options": {"profile": "dnxhr_sq"}}),
    _picture("v210", ".mov", ".mov", "v210", "yuv422p10le"),
    _picture("cineform", ".mov", ".mov", "cfhd", "yuv422p10le"),
    _picture("flv", ".flv", ".flv", "libx264", "yuv420p", audio=[_AAC]),
    _picture("3gp", ".3gp", ".3gp", "libx264", "yuv420p", audio=[_AAC]),
    _picture("m2ts", ".m2ts", ".m2ts", "libx264", "yuv420p", audio=[Audio("ac3", seconds=0.4)]),
]  # fmt: skip
_LOSSLESS: list[Variant] = [
    _picture(f"ffv1 {form}", ".mkv", ".mkv", "ffv1", form, is_quick=form == "yuv422p10le")
    for form in ("yuv420p", "yuv422p10le", "yuv444p16le", "yuv411p", "yuv440p", "yuv410p", "gray",
                 "gray10le", "gray16le", "bgr0", "gbrp10le", "gbrp12le", "gbrp16le", "yuva420p",
                 "yuva444p10le", "bgra")
] + [
    _picture("ffv1 in avi", ".avi", ".avi", "ffv1", "yuv422p", keeps_offset=False),
    _picture("huffyuv", ".avi", ".mkv", "huffyuv", "yuv422p"),
    _picture("ffvhuff", ".avi", ".mkv", "ffvhuff", "yuv444p"),
    _picture("utvideo", ".avi", ".mkv", "utvideo", "yuv420p"),
    _picture("magicyuv", ".avi", ".mkv", "magicyuv", "gbrp"),
    _picture("raw", ".nut", ".mkv", "rawvideo", "yuv420p"),
    _picture("qtrle", ".mov", ".mkv", "qtrle", "rgb24"),
    _picture("png", ".mov", ".mkv", "png", "rgb24"),
    _picture("odd size", ".mkv", ".mkv", "ffv1", "yuv420p", size=(97, 65)),
    _face("a face in ffv1", "ffv1", "yuv420p", is_quick=True),
    _face("a face in 10 bit", "ffv1", "yuv422p10le"),
    _face("a face in RGB", "ffv1", "bgr0"),
    _face("a face in gray", "ffv1", "gray"),
    _face("a face in h264", "libx264", "yuv420p"),
]  # fmt: skip
_TIMES: list[Variant] = [
    _picture("film rate", ".mp4", ".mkv", "libx264", "yuv420p", rate=_FILM, time_base=1 / _FILM),
    _picture("NTSC rate", ".mkv", ".mp4", "libx264", "yuv420p", rate=_NTSC, time_base=1 / _NTSC),
    _picture("60 frames/s", ".mp4", ".mp4", "libx264", "yuv420p", rate=60,
             time_base=Fraction(1, 60)),
    _picture("variable rate", ".mkv", ".mp4", "libx264", "yuv420p", pts=_UNEVEN,
             time_base=Fraction(1, 25000), audio=[_AAC], is_quick=True),
    _picture("variable rate, MP4", ".mp4", ".mkv", "libx264", "yuv420p", pts=_UNEVEN,
             time_base=Fraction(1, 25000)),
    _picture("12.5 frames/s", ".avi", ".mkv", "mpeg4", "yuv420p", rate=Fraction(25, 2),
             time_base=Fraction(2, 25)),
    _picture("late picture", ".mkv", ".mkv", "libx264", "yuv420p", pts=range(30, 30 + FRAMES),
             audio=[Audio("aac", seconds=1.6)]),
    _picture("a slide show", ".mkv", ".mp4", "libx264", "yuv420p",
             pts=[0, 1, 60, 61, 62, 120, 121, 122, 123, 124]),
    _picture("a part", ".mkv", ".mp4", "ffv1", "yuv420p", frames=5,
             options={"codec": "libx264", "start": 0.12, "end": 0.32}),
    _picture("wide pixels", ".mkv", ".mp4", "libx264", "yuv420p", sar=_PAL_WIDE),
    _picture("narrow pixels", ".mp4", ".mkv", "libx264", "yuv420p", sar=Fraction(8, 9),
             is_quick=True),
    _picture("turned", ".mp4", ".mp4", "libx264", "yuv420p", rotation=(90, False), is_quick=True),
    _picture("mirrored", ".mov", ".mov", "libx264", "yuv420p", rotation=(0, True)),
    _picture("interlaced", ".mkv", ".mkv", "mpeg2video", "yuv420p", interlaced=True,
             size=(96, 64)),
    _picture("interlaced h264", ".mp4", ".mp4", "libx264", "yuv420p", interlaced=True),
    _picture("joined ts", ".ts", ".mp4", "libx264", "yuv420p", audio=[_AAC], after=_doubled,
             frames=2 * FRAMES, is_quick=True),
    _picture("joined ps", ".mpg", ".mkv", "mpeg2video", "yuv420p", after=_doubled, muxer="vob",
             frames=2 * FRAMES),
    _picture("a wrapping clock", ".ts", ".mkv", "libx264", "yuv420p", audio=[_AAC],
             after=_copied("-output_ts_offset", "95443.5", "-muxdelay", "0", ending=".ts")),
    _picture("an hours-long clock", ".ts", ".ts", "libx264", "yuv420p", audio=[_AAC],
             after=_copied("-output_ts_offset", "40000", ending=".ts")),
    _picture("raw h264", ".h264", ".mp4", "libx264", "yuv420p", options={"codec": "libx264"}),
    _picture("raw hevc", ".hevc", ".mkv", "libx265", "yuv420p10le"),
    _picture("fragments", ".mp4", ".mp4", "libx264", "yuv420p", audio=[_AAC],
             muxer_options={"movflags": "frag_keyframe+empty_moov"}),
]  # fmt: skip
_STREAMS: list[Variant] = [
    Variant("all streams", ".mkv", ".mkv", {
        "audio": [Audio("aac", seconds=0.4, language="deu", title="Ton"),
                  Audio("flac", seconds=0.4, language="fra", default=False)],
        "subtitles": [Subtitle(language="eng")],
        "chapters": [Chapter(0, 0.2, "one"), Chapter(0.2, 0.4, "two")],
        "attachments": [("a.ttf", "font/ttf", b"font")], "metadata": {"title": "Home"}},
        is_quick=True),
    Variant("text of MP4", ".mp4", ".mp4", {"audio": [_AAC],
            "subtitles": [Subtitle("mov_text", language="eng")]}),
    Variant("PCM of 24 bits", ".mov", ".mov", {"audio": [Audio("pcm_s24le", seconds=0.4)]}),
    Variant("AC-3", ".ts", ".mkv", {"audio": [Audio("ac3", seconds=0.4)]}),
    Variant("Opus", ".webm", ".webm", {"codec": "libvpx-vp9",
            "audio": [Audio("libopus", seconds=0.4)]}),
    Variant("MP3", ".avi", ".mkv", {"codec": "mpeg4",
            "audio": [Audio("libmp3lame", seconds=0.4)]}),
    Variant("a cover", ".mp4", ".mp4", {"audio": [_AAC], "cover": True}),
    Variant("timecode and reel", ".mov", ".mov", {"metadata": {"timecode": "01:00:00:00"},
            "video_metadata": {"reel_name": "A001"}}),
]  # fmt: skip

VARIANTS = (*_LOSSY, *_LOSSLESS, *_TIMES, *_STREAMS)
