"""Given: in place of detecting and tracking, the faces of `Tracks`, often from a file.

See `vidrestore.tracks` for both. Only what was found is taken from them; alignments and strengths
follow from that and from the run's own options.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

from vidrestore.errors import UsageError
from vidrestore.structs import Frame
from vidrestore.tracks import Tracks, check_tracks

__all__ = ["KnownTracks", "apply_tracks"]


def apply_tracks(
    frames: Iterable[Frame], tracks: Tracks, start: float | None, name: str
) -> Generator[Frame, None, None]:
    """Give every frame the faces that the tracks have for it.

    Args:
        frames: decoded frames, in order.
        tracks: as `load_tracks` or `inspect_video` gives them.
        start: first second of the run.
        name: what messages call the tracks, such as the file's path.

    Yields:
        The same frames in order, tracked.

    Raises:
        UsageError: the tracks make no sense, or are of another video.
    """
    known = KnownTracks(tracks, start, name)
    for frame in frames:
        yield known.apply(frame)


class KnownTracks:
    """Tracks that are put in the place of detecting and tracking; see `apply_tracks`."""

    def __init__(self, tracks: Tracks, start: float | None, name: str) -> None:
        check_tracks(tracks, name)
        self._tracks, self._start, self._name = tracks, start, name
        self._faces, self._looked = tracks.faces_by_frame(), set(tracks.detected_frames)

    def apply(self, frame: Frame) -> Frame:
        """Give a frame its faces."""
        if not frame.index:
            _check_fit(self._tracks, self._name, frame, self._start)
        if frame.index >= self._tracks.frames:
            raise UsageError(
                f"tracks {self._name}: end at frame {self._tracks.frames}, but this video goes on; "
                "inspect it again, or give the same --end"
            )
        found = self._faces.get(frame.index, ())
        return replace(frame, faces=found, detected=frame.index in self._looked)


def _check_fit(tracks: Tracks, name: str, frame: Frame, start: float | None) -> None:
    """Refuse tracks of another video or another part of it.

    Args:
        tracks: what was given.
        name: what messages call it.
        frame: the first frame of the run.
        start: first second of the run.

    Raises:
        UsageError: the picture's size or the first second differ.
    """
    shown = frame.display.width, frame.display.height
    if shown != (tracks.width, tracks.height):
        raise UsageError(
            f"tracks {name}: made for {tracks.source} of {tracks.width}x{tracks.height} pixels, "
            f"these are {shown[0]}x{shown[1]}; inspect this video"
        )
    if (start or 0.0) != (tracks.start or 0.0):
        raise UsageError(
            f"tracks {name}: made from second {tracks.start or 0:g}, not {start or 0:g}; "
            "give the same --start"
        )
