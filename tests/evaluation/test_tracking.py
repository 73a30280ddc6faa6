"""Looking at one frame in five is as good as looking at all."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from vidrestore.evaluation.tracking import evaluate_tracking
from vidrestore.models.load import load_detector


def first_frames(video: Path, count: int, path: Path) -> Path:
    """The beginning of a video, its packets copied."""
    with av.open(str(video)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for _, packet in zip(range(count), source.demux(video=0), strict=False):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    return path


@pytest.mark.parametrize(
    ("count", "every"), [(14, 4), pytest.param(125, 7, marks=pytest.mark.soak)]
)
def test_landmarks_of_every_fifth_frame_serve_all(
    shared: Path, tmp_path: Path, count: int, every: int
) -> None:
    reference = load_detector(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    video = first_frames(shared / "clips" / "talk_2.mp4", count, tmp_path / "talk.mp4")
    told: list[tuple[str, int, int | None]] = []

    def tell(what: str, done: int, total: int | None) -> None:
        told.append((what, done, total))

    seldom, always = (
        evaluate_tracking(video, reference, every_frames=frames, every=every, progress=tell)
        for frames in (5, 1)
    )
    assert {what for what, _, _ in told} == {"tracked", "compared"}
    assert [done for what, done, _ in told if what == "compared"][-1] == always.counts.n_frames
    assert seldom.detected_share < 0.3 < always.detected_share == 1
    assert (
        seldom.counts.n_found
        == always.counts.n_found
        == always.counts.n_reference
        >= count // every - 2
    )
    assert seldom.counts.landmark_distance <= 1.1 * always.counts.landmark_distance
