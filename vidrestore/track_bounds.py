"""What a tracks file may hold, so that a run with it stays within time and memory.

People edit these files, and strangers send them. The form is `vidrestore.tracks`'s; this is about
the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vidrestore.tracks import Track, Tracks

__all__ = ["MOST_BYTES", "MOST_FACES", "bounds_error"]

MOST_BYTES = 1 << 27
"""Of a file: about two million faces, three hours of seven people."""
MOST_FACES = 128
"""In one frame: twice `detect.max_faces` of a run, as lost faces are carried on for a while."""
_MOST_SIZES = 2.0
"""How far from the picture's corner a coordinate may be, in widths or heights."""
_LEAST_SPREAD_PX = 0.5
_MOST_MOTION = 1e5
_LEAST_AREA = 1e-6
"""Of a motion's linear part: what is below cannot be undone."""
_MOST_SIDE_PX = 65_536
_MOST_TIME_S = 1e9


def bounds_error(tracks: Tracks) -> str | None:
    """Say which number makes no sense, with its track and frame; None if all do."""
    return next(_errors(tracks), None)


def _errors(tracks: Tracks) -> Iterator[str]:
    yield from _head_errors(tracks)
    for track in tracks.tracks:
        yield from _track_errors(track, tracks)
    counts = Counter(frame for track in tracks.tracks for frame in track.frames)
    crowded = next((frame for frame, count in counts.items() if count > MOST_FACES), None)
    if crowded is not None:
        yield f"frame {crowded}: {counts[crowded]} faces, at most {MOST_FACES} are taken"


def _head_errors(tracks: Tracks) -> Iterable[str]:
    for name in ("width", "height"):
        if not 1 <= getattr(tracks, name) <= _MOST_SIDE_PX:
            yield f"{name}: must be 1 to {_MOST_SIDE_PX} pixels"
    if len(tracks.times) != tracks.frames:
        yield f"frames: {tracks.frames}, but {len(tracks.times)} times"
    times = np.array(tracks.times)
    bad = _first(np.abs(times) > _MOST_TIME_S)
    bad = _first(np.diff(times, prepend=-np.inf) < 0) if bad is None else bad
    if bad is not None:
        yield f"times: frame {bad} at {times[bad]:g} s is out of order"
    for name in ("detected_frames", "cuts"):
        if any(not 0 <= frame < tracks.frames for frame in getattr(tracks, name)):
            yield f"{name}: a frame that is none of the {tracks.frames}"


def _track_errors(track: Track, tracks: Tracks) -> Iterable[str]:
    place = f"track {track.id}"
    if not track.frames:
        yield f"{place}: has no frames"
        return
    if track.frames[0] < 0 or track.frames[-1] >= tracks.frames:
        yield f"{place}: a frame that is none of the {tracks.frames}"
        return
    for wrong, words in _face_errors(track, tracks.width, tracks.height):
        bad = _first(wrong)
        if bad is not None:
            yield f"{place}, frame {track.frames[bad]}: {words}"


def _face_errors(track: Track, width: int, height: int) -> Iterable[tuple[Any, str]]:
    """(faces,) bool, whether each is wrong, and what that would mean."""
    motions = np.array([motion or [1, 0, 0, 0, 1, 0] for motion in track.motions], np.float64)
    yield (np.abs(motions) > _MOST_MOTION).any(1), "its motion is too large"
    area = motions[:, 0] * motions[:, 4] - motions[:, 1] * motions[:, 3]
    yield np.abs(area) < _LEAST_AREA, "its motion shrinks everything to nothing"
    boxes = np.array(track.boxes).reshape(-1, 2, 2)
    points = np.array(track.landmarks).reshape(-1, 5, 2)
    limit = _MOST_SIZES * np.array([width, height])
    far = f"more than two sizes of the picture ({width}x{height}) away"
    yield (np.abs(points) > limit).any((1, 2)), f"its landmarks lie {far}"
    yield (np.abs(boxes) > limit).any((1, 2)), f"its box lies {far}"
    yield (boxes[:, 1] <= boxes[:, 0]).any(1), "its box has no width or no height"
    spread = np.ptp(points, axis=1).max(1)
    yield spread < _LEAST_SPREAD_PX, "its five landmarks are in one place"
    scores = np.array(track.scores)
    yield (scores < 0) | (scores > 1), "its score must be 0 to 1"


def _first(wrong: Any) -> int | None:
    return int(np.argmax(wrong)) if wrong.any() else None
