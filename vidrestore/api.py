"""The Python API as functions: each opens a `Session` of its own for one input.

They report by return value, `logging` and a progress callback; they never print, exit or seed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from vidrestore.config import ConfigLike
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.load import load_restorer
from vidrestore.options import Options
from vidrestore.run import Progress
from vidrestore.session import Session
from vidrestore.structs import Frame, RestoreReport
from vidrestore.tracks import Tracks
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.video.read.probe import probe

__all__ = [
    "Progress",
    "frame_to_rgb",
    "inspect_video",
    "load_restorer",
    "probe",
    "restore_frames",
    "restore_image",
    "restore_video",
]


def restore_video(
    src: str | Path,
    dst: str | Path,
    *,
    config: ConfigLike = None,
    restorer: FaceRestorer | None = None,
    tracks: Tracks | str | Path | None = None,
    preview: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[Options],
) -> RestoreReport:
    """Restore the faces of a video into a new file; all else is carried over.

    Args:
        src: the video to restore.
        dst: the file to write; its ending chooses the container.
        config: a `RestoreConfig`, a mapping as in a preset, a preset's name or path, or None.
        restorer: a restorer of one's own; see `Session`.
        tracks: take the faces of `inspect_video`, or of a file by it, which may have been edited.
        preview: a PNG to write with the clearest face before and after.
        progress: called after each frame, and as other steps go on (`Progress.step`), from the
            calling thread.
        options: see `Options`.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models; nothing is left under the name `dst`.
    """
    with Session(config, restorer=restorer, **options) as session:
        return session.video(src, dst, tracks=tracks, preview=preview, progress=progress)


def inspect_video(
    src: str | Path,
    *,
    config: ConfigLike = None,
    each: Callable[[Frame], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[Options],
) -> Tracks:
    """Find and track the faces of a video as `restore_video` does, and restore nothing.

    Args:
        src: the video.
        config: as for `restore_video`.
        each: called with each frame, whose faces are tracked, aligned and gated.
        progress: called after each frame.
        options: see `Options`.

    Returns:
        The tracks: `restore_video(..., tracks=tracks)` takes them, and so does
        `Path("tracks.json").write_text(tracks.to_json())` as a file.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models.
    """
    with Session(config, **options) as session:
        return session.inspect(src, each=each, progress=progress)


def restore_frames(
    src: str | Path,
    *,
    config: ConfigLike = None,
    restorer: FaceRestorer | None = None,
    tracks: Tracks | str | Path | None = None,
    **options: Unpack[Options],
) -> Generator[Frame, None, None]:
    """Restored frames of a video, one for each that it holds, in order and at their own times.

        for frame in restore_frames("tape.mp4"):
            image = frame_to_rgb(frame)

    Arguments are those of `restore_video`. Networks and video are let go of after the last frame,
    when the loop is left early (or by `close()`), and when something fails.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models.
    """
    with ExitStack() as stack:
        session = stack.enter_context(Session(config, restorer=restorer, **options))
        frames = stack.enter_context(closing(session.frames(src, tracks=tracks)))
        return _give(frames, stack.pop_all())


def _give(frames: Iterable[Frame], resources: ExitStack) -> Generator[Frame, None, None]:
    with resources:
        yield from frames


def restore_image(
    image: npt.NDArray[np.uint8],
    *,
    config: ConfigLike = None,
    restorer: FaceRestorer | None = None,
    **options: Unpack[Options],
) -> npt.NDArray[np.uint8]:
    """Restore the faces of one picture.

    Args:
        image: (H, W, 3) uint8 RGB. It is not changed.
        config: as for `restore_video`.
        restorer: as for `restore_video`.
        options: see `Options`.

    Returns:
        (H, W, 3) uint8 RGB. Samples away from faces are those of `image`.

    Raises:
        UsageError: if `image` has another shape or type, or for a bad option.
    """
    with Session(config, restorer=restorer, **options) as session:
        return session.image(image)


def frame_to_rgb(frame: Frame, *, before: bool = False) -> npt.NDArray[np.uint8]:
    """The frame as a person sees it: (H, W, 3) uint8 RGB, upright, with square pixels.

    Args:
        frame: from `restore_frames`.
        before: show the picture as decoded, without the restored faces.
    """
    picture = frame.source if before and frame.source is not None else frame.picture
    return shown_rgb(picture, frame.display)
