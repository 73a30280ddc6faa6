"""Detecting and tracking go on from what they put down as if they had never stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from moving_face import looked_at, moving_face, pan

from vidrestore.config import DetectConfig, TrackConfig
from vidrestore.models import load_detector
from vidrestore.stages.detect import Looker
from vidrestore.stages.track import Tracker
from vidrestore.structs import Face, Frame

COUNT = 22


def put_down(state: object) -> dict[str, object]:
    """As a file would give it back."""
    read: dict[str, object] = json.loads(json.dumps(state))
    return read


def assert_same(ours: Sequence[Frame], theirs: Sequence[Frame]) -> None:
    assert [frame.index for frame in ours] == [frame.index for frame in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert (one.detected, one.is_cut) == (other.detected, other.is_cut)
        assert list(map(plain, one.faces)) == list(map(plain, other.faces))


def plain(face: Face) -> tuple[object, ...]:
    motion = None if face.motion is None else face.motion.tolist()
    places = face.box_xyxy.tolist(), face.landmarks.tolist()
    return (*places, face.score, face.track_id, face.detected, motion)


@pytest.mark.parametrize("missed", [[], [(1, 5), (0, 10)]], ids=["seen", "lost for a while"])
def test_tracking_goes_on_at_any_frame(missed: list[tuple[int, int]]) -> None:
    ways = pan(COUNT, 2), pan(COUNT, -3, x=300)
    frames = looked_at(moving_face(list(ways), 480, 240), *ways, missed=missed)
    frames[13] = replace(frames[13], is_cut=True)
    whole = [*(tracker := Tracker(TrackConfig())).add(frames[0])]
    for frame in frames[1:]:
        whole += tracker.add(frame)
    whole += tracker.finish()
    assert len(whole) == COUNT and any(frame.faces for frame in whole)
    tracker, given = Tracker(TrackConfig()), []
    for frame in frames:
        given += tracker.add(frame)
        state = put_down(tracker.state())
        # Pictures come from decoding, which knows nothing of faces.
        decoded = {one.index: replace(one, faces=(), detected=False) for one in frames}
        tracker = Tracker(TrackConfig())
        tracker.go_on(state, {number: decoded[number] for number in state["frames"]})  # type: ignore[attr-defined]
    assert_same([*given, *tracker.finish()], whole)


def test_detecting_goes_on_at_any_frame() -> None:
    detector, config = load_detector("embedded"), DetectConfig(every_frames=3, size_px=128)
    frames = moving_face([pan(8, 4), pan(8, -9, x=300)], 480, 240)
    looker = Looker(detector, config)
    whole = [looker.see(frame) for frame in frames]
    assert 2 < sum(frame.detected for frame in whole) < len(frames)
    looker, given = Looker(detector, config), []
    for frame in frames:
        given.append(looker.see(frame))
        state = put_down(looker.state())
        looker = Looker(detector, config)
        looker.go_on(state)
    assert_same(given, whole)
    assert np.isfinite([face.score for frame in given for face in frame.faces]).all()
