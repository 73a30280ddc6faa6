"""The words of `--ffmpeg-args`, and what they must not do.

parse_arguments("-c:v hevc_nvenc -cq 20")  # {"c:v": "hevc_nvenc", "cq": "20"}
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError

__all__ = ["check_arguments", "parse_arguments", "video_encoder"]

_OURS = ("i", "y", "n", "f", "map", "map_metadata", "map_chapters", "copyts", "ss", "to", "t")
"""Options that name inputs, streams, times and files, which the program settles itself."""

_OF_CODEC = re.compile(r"(c|codec)(:v(:0)?|:0)?|vcodec")


def parse_arguments(text: str) -> dict[str, str | None]:
    """FFmpeg's options by their names; None of those without a value.

    Raises:
        UsageError: it is no list of options, or holds one that the program settles itself.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--ffmpeg-args {text!r}: a quotation mark is not closed") from error
    found: dict[str, str | None] = {}
    name: str | None = None
    for word in words:
        if _is_option(word):
            name = word[1:]
            _refuse_ours(name)
            found[name] = None
        elif name is None:
            raise UsageError(
                f"--ffmpeg-args: {word!r} belongs to no option; write options and their values, "
                "such as '-c:v hevc_nvenc -cq 20'; the output is named as always"
            )
        else:
            found[name], name = word, None
    return found


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit() and word[1] != "."


def _refuse_ours(name: str) -> None:
    if name.split(":")[0] in _OURS:
        raise UsageError(
            f"--ffmpeg-args: -{name} is settled by the program; give options of the encoder and of "
            "the container only, such as '-c:v hevc_nvenc -cq 20'"
        )


def video_encoder(arguments: Mapping[str, str | None]) -> str:
    """FFmpeg's name of the encoder that is asked for; '' where it chooses by the container."""
    named = [value for name, value in arguments.items() if _OF_CODEC.fullmatch(name)]
    return named[-1] or "" if named else ""


def check_arguments(config: EncodeConfig) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: `ffmpeg_args` without the sink, or with it what belongs to our own encoders.
    """
    if config.sink == "file":
        if config.ffmpeg_args:
            raise UsageError("--ffmpeg-args: are for --sink ffmpeg; add it")
        return
    if video_encoder(parse_arguments(config.ffmpeg_args)) == "copy":
        raise UsageError("--ffmpeg-args: the restored picture has to be encoded, not copied")
    given = {"codec": config.codec != "auto", "crf": config.crf is not None}
    for name, is_given in (given | {"profile": config.profile is not None}).items():
        if is_given:
            raise UsageError(
                f"--{name}: is not used by --sink ffmpeg; write it as FFmpeg does, such as "
                "--ffmpeg-args '-c:v libx265 -crf 18'"
            )
