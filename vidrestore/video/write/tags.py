"""Titles, languages, chapters and other tags: what is carried over, and what muxers write anew."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from vidrestore.video.read.info import StreamInfo, VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.timecode import advance_timecode

if TYPE_CHECKING:
    from av.container.core import Chapter as AvChapter

__all__ = ["chapters_for", "container_tags", "picture_tags", "stream_tags"]

_WRITTEN_ANEW = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id")
)

_MXF_WRITTEN_ANEW = (
    *("uid", "generation_uid", "product_", "toolkit_version", "application_platform"),
    *("company_name", "operational_pattern_ul", "material_package_umid", "file_package_umid"),
    "reel_umid",
)
"""Beginnings of tags by which FFmpeg tells of an MXF file's writer and of its identifiers."""

_OF_PICTURE = ("alpha_mode", "stereo_mode")
"""Tags by which Matroska's elements about a picture are read and written."""

_STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")
"""Beginnings of Matroska's tags about the encoded stream."""

_MILLISECONDS = Fraction(1, 1000)


def container_tags(source: VideoInfo, window: Window, statement: str = "") -> dict[str, str]:
    """Tags of the whole file, the timecode of the first frame written among them.

    Args:
        source: the input.
        window: the part that is written.
        statement: added to the comment, the one free tag that most containers keep.
    """
    tags = {
        key: text
        for key, text in source.metadata.items()
        if not _is_written_anew(key) and key.lower() not in ("timecode", "reel_name")
    }
    if source.reel_name:
        tags["reel_name"] = source.reel_name
    if source.timecode:
        tags["timecode"] = source.timecode
        if window.first_s is not None and source.average_rate:
            skipped = round((window.first_s - source.start_s) * source.average_rate)
            tags["timecode"] = advance_timecode(source.timecode, skipped, source.average_rate)
    return _with_statement(tags, statement) if statement else tags


def _with_statement(tags: dict[str, str], statement: str) -> dict[str, str]:
    key = next((key for key in tags if key.lower() == "comment"), "comment")
    before = tags.get(key, "").strip()
    if statement in before:
        return tags
    return tags | {key: f"{before}; {statement}" if before else statement}


def _is_written_anew(key: str) -> bool:
    return key.lower() in _WRITTEN_ANEW or key.lower().startswith(_MXF_WRITTEN_ANEW)


def stream_tags(stream: StreamInfo, *, encoded: bool) -> dict[str, str]:
    """Tags of one stream.

    Args:
        stream: of the input.
        encoded: whether its packets are new, so that statistics and encoder's name are stale.
    """
    tags = {
        key: text
        for key, text in stream.metadata.items()
        if not _is_written_anew(key)
        and key.lower() not in ("timecode", "reel_name", *(_OF_PICTURE if encoded else ()))
        and not key.lower().startswith(_STATISTICS)
    }
    if not encoded and "encoder" in stream.metadata:
        tags["encoder"] = stream.metadata["encoder"]
    if "title" not in tags and "name" in tags:
        tags["title"] = tags["name"]  # MP4 reads a title as "name", and writes "title" as one
    return tags


def picture_tags(source: VideoInfo, muxer: str) -> dict[str, str]:
    """Tags of the picture's stream, which is encoded anew.

    Args:
        source: the input, as probed.
        muxer: FFmpeg's name of the container's writer; that of MP4 and MOV puts the reel's name
            into the timecode track.
    """
    info = next(one for one in source.streams if one.index == source.stream_index)
    tags = stream_tags(info, encoded=True)
    if source.reel_name and muxer in ("mp4", "mov"):
        tags["reel_name"] = source.reel_name
    return tags


def chapters_for(
    source: VideoInfo, window: Window, clock_s: Fraction = Fraction(0)
) -> list[AvChapter]:
    """Chapters for the output, clipped to the window and moved with it.

    Args:
        source: the input.
        window: the part that is written.
        clock_s: subtracted from all times where the window has no beginning of its own.
    """
    first_s = window.first_s
    chapters: list[AvChapter] = []
    for chapter in source.chapters:
        start_s, end_s = chapter.start_s, chapter.end_s
        if first_s is None:
            start_s, end_s = start_s - clock_s, end_s - clock_s
        if first_s is not None:
            start_s, end_s = max(start_s - first_s, Fraction(0)), end_s - first_s
        if window.end_s is not None:
            end_s = min(end_s, window.end_s - (first_s or 0))
        if start_s < end_s or (start_s == end_s and first_s is None and window.end_s is None):
            chapters.append(
                {
                    "id": len(chapters) + 1,
                    "start": round(start_s / _MILLISECONDS),
                    "end": round(end_s / _MILLISECONDS),
                    "time_base": _MILLISECONDS,
                    "metadata": dict(chapter.metadata),
                }
            )
    return chapters
