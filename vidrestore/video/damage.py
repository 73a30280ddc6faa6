"""Whether a file is whole: what its own headers promise, against the bytes that are there."""

from __future__ import annotations

from pathlib import Path

import av
from av.video.stream import VideoStream

from vidrestore.video.probe import VideoInfo, open_input
from vidrestore.video.window import Window

__all__ = ["frames_beyond_end", "is_cut_off"]


def frames_beyond_end(stream: VideoStream, info: VideoInfo, window: Window) -> int:
    """Frames of the window that the file promises and does not hold, known without decoding.

    Args:
        stream: the video stream of the open file.
        info: what `probe` found.
        window: the part that counts.
    """
    if info.container.startswith("mov"):
        size = info.path.stat().st_size
        return sum(
            entry.pos + entry.size > size and not entry.is_discard and window.holds(entry.timestamp)
            for entry in stream.index_entries
        )
    if not is_cut_off(info.path) or not info.n_frames_estimate:
        return 0
    if window.end_pts is not None:
        return 0
    return max(0, info.n_frames_estimate - _count_packets(info))


def is_cut_off(path: Path) -> bool:
    """Whether a Matroska or AVI file is shorter than its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return False
    header = _element_size(head, 4)
    if header is None:
        return False
    at = header[0] + header[1]
    if head[at : at + 4] != b"\x18\x53\x80\x67":  # Segment, RFC 9559
        return False
    segment = _element_size(head, at + 4)
    return segment is not None and segment[0] + segment[1] > size


def _element_size(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the content begins, its length) of an EBML element whose length field is at `at`.

    None where the length is unknown (RFC 8794, section 6).
    """
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length() if first else 0
    field = data[at : at + length]
    if not length or len(field) < length:
        return None
    value = int.from_bytes(field, "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else (at + length, value)


def _count_packets(info: VideoInfo) -> int:
    count = 0
    with open_input(info.path) as container:
        try:
            for packet in container.demux(container.streams[info.stream_index]):
                count += packet.size > 0 and not packet.is_discard and not packet.is_corrupt
        except av.FFmpegError:
            return count
    return count
