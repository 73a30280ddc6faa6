"""The page of a batch: a table of its videos, each with a link to its own page."""

from __future__ import annotations

import os
import secrets
from typing import Any
from urllib.parse import quote

from vidrestore.batch.state import BatchFolder, Video
from vidrestore.records.page import render_batch
from vidrestore.runtime.utc import utc_now

__all__ = ["write_index"]


def write_index(folder: BatchFolder) -> None:
    """Write `index.html` into the batch's folder, anew and whole."""
    videos = sorted(folder.videos(), key=lambda video: video.output)
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
    output = folder.output / video.output
    is_there = video.status == "done" and output.is_file()
    about = video.problems if video.status != "done" else ()
    return {
        "name": video.output,
        "page": quote(os.fsencode(page.relative_to(folder.root).as_posix()))
        if page.is_file()
        else None,
        "status": video.status,
        "frames": video.frames_written or video.frames or "",
        "seconds": round(sum(one.seconds or 0 for one in video.attempts), 1),
        "megabytes": round(output.stat().st_size / 1e6, 2) if is_there else "",
        "attempts": len(video.attempts),
        "about": "; ".join(dict.fromkeys((*about, *(video.warnings if not about else ())))),
    }
