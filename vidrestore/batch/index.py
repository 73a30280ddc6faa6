"""The page of a batch: a table of its videos, each with a link to its own page."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from vidrestore.batch.state import BatchFolder, Video
from vidrestore.records.page import render_batch
from vidrestore.runtime.utc import utc_now
from vidrestore.runtime.words import lasting, sized

__all__ = ["write_index"]


def write_index(folder: BatchFolder, videos: Iterable[Video]) -> None:
    """Write `index.html` into the batch's folder, anew and whole; videos that failed come first."""
    videos = sorted(videos, key=lambda video: (video.status != "failed", video.output))
    counts = [
        (status, sum(video.status == status for video in videos))
        for status in ("done", "failed", "waiting")
    ]
    rows = [_row(folder, video) for video in videos]
    page = render_batch(folder.output.name or str(folder.output), counts, rows, utc_now())
    temporary = folder.root / f".{secrets.token_hex(6)}.tmp"
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, folder.root / "index.html")


def _row(folder: BatchFolder, video: Video) -> dict[str, Any]:
    page = folder.file_of("pages", video, ".html")
    seconds = sum(one.seconds or 0 for one in video.attempts)
    size = _size(folder, video)
    about = video.problems if video.status != "done" else ()
    return {
        "name": video.output,
        "page": quote(os.fsencode(page.relative_to(folder.root).as_posix()))
        if page.is_file()
        else None,
        "status": video.status,
        "frames": video.frames_written or video.frames or "",
        "seconds": round(seconds, 1) if video.attempts else "",
        "time": lasting(seconds) if video.attempts else "",
        "bytes": "" if size is None else size,
        "size": "" if size is None else sized(size),
        "attempts": len(video.attempts) or "",
        "about": "; ".join(dict.fromkeys((*about, *(video.warnings if not about else ())))),
    }


def _size(folder: BatchFolder, video: Video) -> int | None:
    """Of the output in bytes; None where it is not there."""
    with contextlib.suppress(OSError):
        return (folder.output / video.output).stat().st_size if video.status == "done" else None
    return None
