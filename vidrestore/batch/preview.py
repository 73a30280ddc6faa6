"""The contact sheet of a video: its people and a restored sample, to approve a batch before work.

Finding the faces is the work of `vidrestore inspect`. The tracks are stored: the run takes them as
they are or edited, and looks for no faces again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.batch.sessions import Sessions
from vidrestore.batch.state import BatchFolder, Settings, Video
from vidrestore.config import resolve_config
from vidrestore.datasets.images import encode_jpeg
from vidrestore.job import Job, make_job
from vidrestore.jobs.samples import crop_around
from vidrestore.run import Progress, inspect_job
from vidrestore.runtime.output_file import write_whole
from vidrestore.runtime.words import counted
from vidrestore.session import Session
from vidrestore.structs import Frame
from vidrestore.tracks import Tracks
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.visual.before_after import before_after
from vidrestore.visual.label import draw_label

__all__ = ["preview_video"]

Image = npt.NDArray[np.uint8]

_WIDTH_PX = 1200
_TILE_PX = 200
_MOST_PEOPLE = 24
_LINE_PX = 32
_JPEG_QUALITY = 88
_AROUND_S = 0.4
"""Restored before and after the sample, so that it looks as in the run."""


def preview_video(
    folder: BatchFolder,
    settings: Settings,
    video: Video,
    sessions: Sessions,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Write the contact sheet of a video, and its tracks unless they are there.

    Args:
        folder: of the batch.
        settings: of the batch.
        video: any of its videos.
        sessions: keep the networks from video to video.
        progress: called after each frame that is looked at.

    Returns:
        The path of the sheet, a JPEG.

    Raises:
        VidRestoreError: the video cannot be read, or the sheet not be written.
    """
    config = folder.config_of(video, settings)
    session, people = sessions.get(config), _People()
    job = make_job(video.source, None, config)
    tracks = inspect_job(job, session.detector, each=people.add, progress=progress)
    path = folder.file_of("tracks", video, ".json")
    if config.track.file is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, tracks.to_json().encode())
    rows = [_title(video, tracks), *people.rows()]
    if people.clearest_s is not None:
        origin_s = config.decode.start or -float(job.info.start_s)
        sample = _restored(session, job, people.clearest_s + origin_s)
        if sample is not None:
            rows.append(before_after(sample, width=_WIDTH_PX))
    sheet = folder.file_of("previews", video, ".jpg")
    sheet.parent.mkdir(parents=True, exist_ok=True)
    write_whole(sheet, encode_jpeg(np.concatenate(rows), _JPEG_QUALITY), overwrite=True)
    return sheet


class _People:
    """The largest face of each person."""

    def __init__(self) -> None:
        self._best: dict[int, tuple[float, float, Image]] = {}
        """By track: side in pixels, time, and the face."""

    @property
    def clearest_s(self) -> float | None:
        """Time of the largest face of all; None without faces."""
        return max(self._best.values(), key=lambda one: one[0])[1] if self._best else None

    def add(self, frame: Frame) -> None:
        """Take the next frame."""
        for face in frame.faces:
            side = float(max(face.box_xyxy[2:] - face.box_xyxy[:2]))
            if face.strength > 0 and side > 1.1 * self._best.get(face.track_id, (0.0,))[0]:
                shown = shown_rgb(frame.picture, frame.display)
                x0, y0, x1, y1 = crop_around(face, shown.shape)
                tile = cv2.resize(shown[y0:y1, x0:x1], (_TILE_PX, _TILE_PX)).astype(np.uint8)
                time_s = float(frame.pts * frame.time_base)
                self._best[face.track_id] = (side, time_s, tile)

    def rows(self) -> Iterator[Image]:
        """Rows of labelled faces, the largest people first where there are many."""
        largest = sorted(self._best.items(), key=lambda item: -item[1][0])[:_MOST_PEOPLE]
        tiles = [_labelled(track, *best) for track, best in sorted(largest)]
        for first in range(0, len(tiles), _WIDTH_PX // _TILE_PX):
            row = np.full((_TILE_PX, _WIDTH_PX, 3), 255, np.uint8)
            for place, tile in enumerate(tiles[first : first + _WIDTH_PX // _TILE_PX]):
                row[:, place * _TILE_PX : (place + 1) * _TILE_PX] = tile
            yield row


class _Clearest:
    """A sink that keeps the frame with the largest restored face."""

    codec = "none"
    notes: tuple[str, ...] = ()
    is_damaged = False

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self._side = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        sides = [max(f.box_xyxy[2:] - f.box_xyxy[:2]) for f in frame.faces if f.crop is not None]
        if sides and max(sides) > self._side:
            self.frame, self._side = frame, float(max(sides))

    def commit(self) -> None:
        """Nothing is written."""


def _restored(session: Session, job: Job, at_s: float) -> Frame | None:
    """A restored frame near a time; None where no face is restored there."""
    changed = {
        "track.file": None,
        "decode.start": max(0.0, at_s - _AROUND_S),
        "decode.end": max(0.0, at_s) + _AROUND_S,
        "encode.keep_damaged": True,
    }
    sink = _Clearest()
    session.run(make_job(job.source, None, resolve_config(job.config, changed)), sink=sink)
    return sink.frame


def _title(video: Video, tracks: Tracks) -> Image:
    strip = np.full((_LINE_PX, _WIDTH_PX, 3), 255, np.uint8)
    seconds = tracks.times[-1] - tracks.times[0] if tracks.times else 0.0
    people, cuts = counted(len(tracks.tracks), "track"), counted(len(tracks.cuts), "cut")
    text = f"{video.output}: {tracks.frames} frames, {seconds:.1f} s, {people}, {cuts}"
    ascii_text = text.encode("ascii", "replace").decode()  # the font has no other letters
    draw_label(strip, ascii_text, (0, _LINE_PX), scale=0.6, plate=(255, 255, 255))
    return strip


def _labelled(track: int, side: float, time_s: float, tile: Image) -> Image:
    draw_label(tile, f"{track}: {side:.0f} px, {time_s:.1f} s", (0, _TILE_PX), scale=0.45)
    return tile
