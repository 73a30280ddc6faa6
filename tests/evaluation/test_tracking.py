"""Looking at one frame in five is as good as looking at all."""

from __future__ import annotations

from pathlib import Path

from vidrestore.evaluation.tracking import evaluate_tracking
from vidrestore.models.load import load_detector


def test_landmarks_of_every_fifth_frame_serve_all(shared: Path) -> None:
    reference = load_detector(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    video = shared / "clips" / "talk_2.mp4"
    told: list[tuple[str, int, int | None]] = []
    seldom = evaluate_tracking(
        video, reference, every_frames=5, progress=lambda *work: told.append(work)
    )
    always = evaluate_tracking(video, reference, every_frames=1)
    assert {what for what, _, _ in told} == {"tracked", "compared"}
    assert [done for what, done, _ in told if what == "compared"][-1] == seldom.counts.n_frames
    assert seldom.detected_share < 0.25 < always.detected_share == 1
    assert seldom.counts.n_found == always.counts.n_found == always.counts.n_reference >= 15
    assert seldom.counts.landmark_distance <= 1.1 * always.counts.landmark_distance
