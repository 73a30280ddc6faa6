"""Options of the output: its codec, its quality, and what it carries."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from vidrestore.config.stage import StageConfig

__all__ = ["EncodeConfig", "sound_file"]

_DROPPED_KINDS = ("attachments", "subtitles", "audio", "video", "data", "chapters")


class EncodeConfig(StageConfig):
    """The file that is written."""

    profile: (
        Literal["access", "ffv1", "prores_hq", "prores_4444xq", "dnxhr_hqx", "proxy"] | None
    ) = Field(
        None,
        description="codec, quality, size, pixel format and sound in one word; --codec, --crf and "
        "--audio win over it",
    )
    codec: str = Field(
        "auto", description="video codec: auto, libx264, libx265, libvpx-vp9, ffv1, prores_ks, …"
    )
    sink: Literal["file", "ffmpeg"] = Field(
        "file",
        description="who encodes: file, this program, or ffmpeg, the system's FFmpeg with what "
        "--ffmpeg-args says",
    )
    ffmpeg_args: str = Field(
        "",
        max_length=10_000,
        description="FFmpeg's options of encoder and container for --sink ffmpeg, such as "
        "'-c:v hevc_nvenc -cq 20'",
    )
    crf: float | None = Field(
        None, ge=0, le=63, description="constant quality, lower is better; the codec's own default"
    )
    speed: str = Field(
        "medium",
        description="of x264, x265 and SVT-AV1, ultrafast to veryslow: encoding time against size",
    )
    audio: str = Field(
        "copy",
        description="what becomes of sound that the container cannot hold: copy (the run stops "
        "before work), flac or pcm (it is converted without loss); all other sound is always "
        "copied. With pictures as input also a file whose sound goes with them, such as "
        "sound.wav; with one as output sound goes into WAV, or FLAC, beside the pictures",
    )
    drop: tuple[str, ...] = Field(
        (),
        description="what to leave out: attachments, subtitles, audio, video, data or chapters "
        "that the container cannot hold, or a stream by its number, which is always left out",
    )
    overwrite: bool = Field(
        False, description="replace existing outputs (an input is never replaced)"
    )
    keep_damaged: bool = Field(
        False,
        description="keep the output of an input that lacks more than decode.max_broken "
        "(the exit code is still 1)",
    )

    @field_validator("drop")
    @classmethod
    def _check_drop(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if word not in _DROPPED_KINDS and not (word.isascii() and word.isdecimal()):
                raise PydanticCustomError(
                    "drop",
                    "expected {kinds} or the number of a stream",
                    {"kinds": ", ".join(_DROPPED_KINDS)},
                )
        return words


def sound_file(config: EncodeConfig) -> Path | None:
    """The file whose sound goes with a sequence of pictures; None where `audio` names a way."""
    return None if config.audio in ("copy", "flac", "pcm") else Path(config.audio)
