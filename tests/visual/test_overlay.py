"""The overlay is a video of its own, with every frame at its time and every face drawn."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import frame_times
from moving_face import looked_at, moving_face, placed

from vidrestore.errors import VideoWriteError
from vidrestore.structs import Frame
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.visual.overlay import OverlayWriter, drawn
from vidrestore.visual.palette import get_rgb


def frames(count: int = 4, *, width: int = 322, height: int = 242) -> list[Frame]:
    moves = [placed(150 + 3 * t, 120, scale=0.9) for t in range(count)]
    return looked_at(moving_face(moves, width, height, cuts=[2]), moves, every=1)


def test_boxes_and_landmarks_lie_where_the_face_is() -> None:
    frame = frames(1)[0]
    changed = (drawn(frame) != shown_rgb(frame.picture, frame.display)).any(-1)
    face = frame.faces[0]
    for x, y in np.rint(face.landmarks).astype(int):
        assert changed[y, x]
    x0, y0, x1, y1 = np.rint(face.box_xyxy).astype(int)
    assert changed[y0:y1, x0].all() and changed[y1, x0:x1].all()
    assert not changed[y1 + 6 :].any() and not changed[:, : x0 - 6].any()


def test_people_have_their_colours() -> None:
    frame = frames(1)[0]
    for person in (0, 1):
        face = replace(frame.faces[0], track_id=person)
        x, y = np.rint(face.landmarks[2]).astype(int)
        pixel = drawn(replace(frame, faces=(face,)))[y, x].astype(int)
        assert np.abs(pixel - get_rgb(person)).max() <= 3


def test_every_frame_is_written_at_its_time(tmp_path: Path) -> None:
    taken = frames(4, width=322, height=242)
    with OverlayWriter(tmp_path / "overlay.mp4") as writer:
        for frame in taken:
            writer.add(frame)
        assert not (tmp_path / "overlay.mp4").exists()
    assert frame_times(tmp_path / "overlay.mp4") == [Fraction(n, 25) for n in range(4)]
    assert [path.name for path in tmp_path.iterdir()] == ["overlay.mp4"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), OverlayWriter(tmp_path / "overlay.mp4") as writer:
        writer.add(frames(1)[0])
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_other_containers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoWriteError, match=r"\.mp4, \.mov or \.mkv"):
        OverlayWriter(tmp_path / "overlay.avi")
