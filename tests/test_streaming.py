"""Frame by frame is the same as the whole clip at once, and it does not matter where a run begins:
from the next cut on, the frames are the same bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_face import Moves, moving_face, pan, shake, turn
from quick import QUICK
from styled_network import write_styled_network

from vidrestore import restore_frames
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.models.load import load_detector, load_restorer
from vidrestore.stages.align import align
from vidrestore.stages.blend import blend
from vidrestore.stages.detect import detect
from vidrestore.stages.gate import gate
from vidrestore.stages.measure_noise import measure_noise
from vidrestore.stages.restore import restore
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.track import track
from vidrestore.structs import Frame
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.video.read.reader import VideoReader

COARSE = {"detect.size_px": 128, "detect.refine_passes": 1}
"""Faces are found as by default, in fewer pixels."""
RATE = 12
CUTS = (6, 20)
FRAMES = 36
"""The second and third shot are longer than the window of smoothing."""


def moves() -> Moves:
    """The face pans, shakes and turns."""
    return [
        *pan(CUTS[0], 4, x=180, y=180),
        *shake(CUTS[1] - CUTS[0], 8, x=260, y=190),
        *turn(FRAMES - CUTS[1], 15, x=210, y=180),
    ]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shots in H.264 with B-frames, whose key frames lie where the encoder wants them."""
    frames = moving_face(moves(), 480, 360, cuts=CUTS)
    images = [shown_rgb(frame.picture, frame.display) for frame in frames]
    return write_clip(tmp_path_factory.mktemp("clips") / "shots.mp4", images, rate=RATE)


@pytest.fixture(scope="module")
def whole(clip: Path) -> list[Frame]:
    """The clip, restored from its beginning."""
    frames = list(restore_frames(clip, model="debug", config=resolve_config(None, COARSE)))
    assert len(frames) == FRAMES
    assert [frame.index for frame in frames if frame.is_cut] == [0, *CUTS]
    assert all(len(frame.faces) == 1 and frame.source is not None for frame in frames)
    return frames


def assert_same(ours: Iterable[Frame], theirs: Iterable[Frame]) -> None:
    """Pictures and faces are equal bit for bit; numbers of frames and tracks may differ."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.is_cut == other.is_cut
        assert one.detected == other.detected
        for mine, yours in zip(one.faces, other.faces, strict=True):
            for name in ("box_xyxy", "landmarks", "crop_from_frame"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(yours, name))
            assert mine.strength == yours.strength
        for plane, expected in zip(one.picture.planes, other.picture.planes, strict=True):
            assert torch.equal(plane, expected)


def from_next_cut(frames: list[Frame], first: int) -> list[Frame]:
    """What is left of a clip from the first cut on that is not before frame `first`."""
    return frames[min(f.index for f in frames if f.is_cut and f.index >= first) :]


@pytest.mark.parametrize(
    "start",
    [0.3, pytest.param(1.45, marks=pytest.mark.soak)],
    ids=["first shot", "second shot"],
)
def test_a_later_start_gives_the_same_frames_from_the_next_cut_on(
    clip: Path, whole: list[Frame], start: float
) -> None:
    check_start(clip, whole, start)


@pytest.mark.soak
@settings(max_examples=20, deadline=None)
@given(start=st.floats(0.02, CUTS[-1] / RATE))
def test_any_start_gives_the_same_frames_from_the_next_cut_on(
    clip: Path, whole: list[Frame], start: float
) -> None:
    check_start(clip, whole, start)


def check_start(clip: Path, whole: list[Frame], start: float) -> None:
    first = math.ceil(start * RATE)
    part = list(
        restore_frames(clip, model="debug", config=resolve_config(None, COARSE), start=start)
    )
    assert len(part) == FRAMES - first
    cut = next((frame.index for frame in part[1:] if frame.is_cut), 0)
    assert_same(part[cut:], from_next_cut(whole, first + cut))


def test_a_network_does_not_see_where_a_run_begins(clip: Path, tmp_path: Path) -> None:
    network = write_styled_network(tmp_path / "styled.safetensors")
    config = resolve_config(None, {"restore.batch_size": 2, **QUICK})
    options = {"model": network, "config": config}
    end = (CUTS[0] + 8) / RATE
    whole = list(restore_frames(clip, end=end, **options))
    part = list(restore_frames(clip, start=4 / RATE, end=end, **options))
    assert all(frame.faces for frame in whole)
    assert_same(part[CUTS[0] - 4 :], whole[CUTS[0] :])


@pytest.mark.soak
def test_real_shots_do_not_depend_on_those_before(shared: Path) -> None:
    """Small faces at 30000/1001 frames a second; the first frame is at 0.85 s."""
    clip = shared / "clips" / "crowd_cuts.mp4"
    whole = list(restore_frames(clip, model="debug", end=1.75))
    part = list(restore_frames(clip, model="debug", start=1.3, end=1.75))
    assert [frame.index for frame in whole if frame.is_cut] == [0, 20]
    first = len(whole) - len(part)
    assert 0 < first < 20
    assert_same(part[20 - first :], whole[20:])
    assert any(frame.faces for frame in whole[20:])


def offline(clip: Path, config: RestoreConfig) -> list[Frame]:
    """Every stage sees the whole clip before the next one begins."""
    detector, restorer = load_detector("embedded"), load_restorer("debug")
    with VideoReader(clip, config.decode) as reader:
        frames = list(reader.frames())
    frames = list(detect(frames, detector, config.detect))
    frames = list(track(frames, config.track))
    frames = list(align(frames, config.align, restorer.template))
    frames = list(gate(frames, config.gate, config.detect.min_face_px, config.detect.max_faces))
    frames = list(measure_noise(frames, restorer.size))
    frames = list(restore(frames, restorer, collect=len(frames)))
    frames = list(temporal_filter(frames, config.temporal_filter))
    return list(blend(frames, config.blend))


def test_streaming_equals_the_whole_clip_at_once(clip: Path, whole: list[Frame]) -> None:
    at_once = offline(clip, resolve_config(None, COARSE))
    assert_same(whole, at_once)
    assert [(f.index, f.pts) for f in whole] == [(f.index, f.pts) for f in at_once]
