"""Open a video container and nothing else: no playlist, no address, no device, no second file.

FFmpeg would follow a playlist to other files and servers, and an address to the network. Here a
file is looked at first, cheaply, and FFmpeg may then use only its file protocol and only formats
whose data lie in the one file. PyAV is imported last, so a mistyped name is told at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.errors import VideoOpenError
from vidrestore.runtime.inputs import require_file

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["check_input", "open_container", "open_input"]

_VIDEO = (
    "3g2 3gp 4xm amv apng apv asf asf_o av1 avi avs avs2 avs3 bethsoftvid bfi bink brstm c93 "
    "cavsvideo cdxl cine dfa dhav dirac dnxhd dsicin dv dxa ea evc f4v film_cpk filmstrip flic "
    "flv gdv gif gxf h261 h263 h264 hevc hnm idcin ingenient ipmovie ipu iv8 ivf jpegxl_anim jv "
    "kux live_flv lmlm4 luodat lxf m4a m4v matroska mj2 mjpeg mjpeg_2000 mlv mm mods moflex mov "
    "mp4 mpeg mpegts mpegvideo mpjpeg mtv mv mvi mxf mxg nc nsv nut nuv obu ogg paf pmp psxstr "
    "pva r3d redspark rl2 rm roq rpl sga siff smjpeg smk smush sol swf thp tiertexseq tmv txd ty "
    "vc1 vc1test vividas vivo vmd vvc wc3movie webm wtv xmv yop yuv4mpegpipe"
)
"""FFmpeg's formats with moving pictures that keep everything in one file."""
_EXPLAINED = (
    "aac ac3 aiff amr ape caf flac mp3 wav w64 tty bmp_pipe gif_pipe jpeg_pipe jpegls_pipe "
    "jpegxl_pipe j2k_pipe png_pipe psd_pipe tiff_pipe webp_pipe"
)
"""Sound, text and single pictures: opened to say what they are; they are refused then."""
_OPTIONS = {
    "format_whitelist": ",".join(f"{_VIDEO} {_EXPLAINED}".split()),
    "protocol_whitelist": "file",
}

_LOOK_FAR = {"analyzeduration": str(1800 * 10**6), "probesize": str(256 * 2**20)}
"""Half an hour or 256 MiB, for sound that comes late."""

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):(?!\\)", re.IGNORECASE)
"""At least two letters: one is a drive of Windows."""
_PATTERN = re.compile(r"%0?\d*d|\*")
_PLAYLIST_ENDINGS = (
    *(".asx", ".avs", ".cpl", ".cue", ".edl", ".f4m", ".ffconcat", ".ism", ".m3u", ".m3u8"),
    *(".mpd", ".pls", ".sdp", ".smil", ".vpy", ".wpl", ".xspf"),
)
_PLAYLIST_HEAD = re.compile(
    rb"\s*(#EXTM3U|ffconcat\b|\[playlist\]|\[reference\]|v=0\s+o=|#\s*cmd\b"
    rb"|(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
    rb"<(MPD|SmoothStreamingMedia|CompositionPlaylist|([a-z0-9]+:)?CompositionPlaylist|smil|asx"
    rb"|playlist|manifest)\b)",
    re.IGNORECASE | re.DOTALL,
)
_HEAD_BYTES = 4096


def check_input(path: Path) -> None:
    """Refuse, at once, what cannot be opened as a video.

    Raises:
        VideoOpenError: see `open_container`.
    """
    open_container(path).close()


def open_container(path: Path) -> InputContainer:
    """Open a video file for reading; the caller closes it.

    Raises:
        VideoOpenError: it is missing, no file, a playlist, an address, or no video container.
    """
    _check_file(path)
    import av

    from vidrestore.video.boundary import AV_ERRORS, reason_of

    try:
        # The whole path, so that FFmpeg takes no part of a name for a protocol.
        container = _open(path, _OPTIONS)
        if _lacks_sound(container):
            container.close()
            container = _open(path, _OPTIONS | _LOOK_FAR)
        return container
    except av.InvalidDataError as error:
        raise VideoOpenError(f"{path}: {_why_unreadable(path)}") from error
    except EOFError as error:
        raise VideoOpenError(f"{path} ends before its first frame; nothing to restore") from error
    except av.ArgumentError as error:  # Also what a format outside the list gives.
        raise VideoOpenError(
            f"{path}: not a video container, or a damaged one; name a video file such as "
            ".mp4, .mov, .mkv, .webm, .avi, .ts or .mxf"
        ) from error
    except (*AV_ERRORS, OSError) as error:
        told = f"{path}: cannot be opened as a video ({reason_of(error)})"
        raise VideoOpenError(told) from error


@contextmanager
def open_input(path: Path) -> Iterator[InputContainer]:
    """Open a file for reading, with errors that say what to do.

    Streams must not be used once the container is closed: that ends the interpreter.

    Raises:
        VideoOpenError: if it cannot be opened.
    """
    container = open_container(path)
    try:
        yield container
    finally:
        container.close()


def _open(path: Path, options: dict[str, str]) -> InputContainer:
    import av

    return av.open(str(path.resolve()), metadata_errors="replace", options=dict(options))


def _lacks_sound(container: InputContainer) -> bool:
    """Whether a broadcast lists sound whose parameters FFmpeg has not met in its first seconds."""
    return container.format.name in ("mpegts", "mpeg") and any(
        stream.codec_context is not None and not stream.codec_context.sample_rate
        for stream in container.streams.audio
    )


def _check_file(path: Path) -> None:
    """Everything that can be told without FFmpeg."""
    _refuse_names(path)
    if require_file(path, str(path), VideoOpenError) == 0:
        raise VideoOpenError(f"{path} is empty (0 bytes); get the file again")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except PermissionError as error:
        raise VideoOpenError(f"{path}: no permission to read it") from error
    except OSError as error:
        raise VideoOpenError(f"{path}: cannot be read ({error.strerror})") from error
    _refuse_playlist(path, head.removeprefix(b"\xef\xbb\xbf"))


def _refuse_names(path: Path) -> None:
    """Say what an address, a pattern or a dash would need; a file of that name is a file."""
    name = str(path)
    if os.path.lexists(path):
        return
    if name == "-":
        raise VideoOpenError("-: the input must be a file, because it is read more than once")
    address = _ADDRESS.match(name)
    if address is not None:
        shown = re.sub(r"^(https?|ftp|rtsp|rtmp|srt):/(?!/)", r"\1://", name)
        raise VideoOpenError(
            f"{shown}: an address ({address[1]}:), and only files are read; download it first and "
            "name the file"
        )
    if _PATTERN.search(path.name):
        raise VideoOpenError(
            f"{path}: no such file; name a sequence of pictures by its folder, or by a pattern "
            "with a number such as frame_%06d.dpx"
        )


def _refuse_playlist(path: Path, head: bytes) -> None:
    """A playlist, whatever its ending says, is a text that names other files."""
    text = b"\0" not in head
    if _PLAYLIST_HEAD.match(head) or (text and path.suffix.lower() in _PLAYLIST_ENDINGS):
        raise VideoOpenError(
            f"{path} is a playlist, which names other files, and no video; name the video file "
            "itself (or join the parts first)"
        )


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
        return (
            "the index (moov) of this MP4 or MOV file is missing or damaged, as in a recording "
            "that was cut off; copy the file again or repair it with a tool such as untrunc"
        )
    return "not a video, or of a format that FFmpeg does not know"
