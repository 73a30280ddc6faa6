"""Comparing detectors: what is counted, and on which frames."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import face_frames, write_clip
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vidrestore.datasets.names import distinct_names
from vidrestore.errors import VideoOpenError
from vidrestore.evaluation.detector import (
    Agreement,
    MirroredDetector,
    compare_detections,
    detect_scaled,
    display_frames,
    evaluate_detector,
)
from vidrestore.models.load import load_detector
from vidrestore.structs import Detections


def detections(*boxes: tuple[float, ...], scores: tuple[float, ...] | None = None) -> Detections:
    """Faces with given boxes and landmarks at fixed places within."""
    box = np.array(boxes, np.float32).reshape(-1, 4)
    places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    landmarks = box[:, None, :2] + places * (box[:, 2:] - box[:, :2])[:, None]
    score = np.array(scores or [1.0] * len(box), np.float32)
    return Detections(box, landmarks.astype(np.float32), score)


def test_equal_answers_agree_fully() -> None:
    faces = detections((0, 0, 60, 80), (100, 0, 180, 90))
    assert compare_detections(faces, faces) == Agreement(
        1, 2, 2, 2, 0, 0.0, 0.0, pytest.approx(24 + 32)
    )


def test_small_and_unsure_faces_need_not_be_found_but_excuse_answers() -> None:
    reference = detections((0, 0, 40, 80), (100, 0, 180, 90), scores=(1.0, 0.6))
    assert compare_detections(detections(), reference) == Agreement(1, 0, 0, 0, 0, 0.0)
    assert compare_detections(reference, reference).n_false_positives == 0
    assert compare_detections(detections(), reference, min_side_px=40).n_reference == 1


def test_one_answer_finds_one_face_only() -> None:
    reference = detections((0, 0, 60, 60), (10, 0, 70, 60))
    counts = compare_detections(detections((5, 0, 65, 60)), reference)
    assert (counts.n_reference, counts.n_found) == (2, 1)


def test_answers_elsewhere_are_false() -> None:
    counts = compare_detections(detections((200, 200, 260, 260)), detections((0, 0, 60, 60)))
    assert (counts.n_found, counts.n_false_positives) == (0, 1)


def test_other_known_faces_are_neither_wanted_nor_false() -> None:
    answer, other = detections((200, 200, 260, 260)), detections((0, 0, 60, 60))
    assert compare_detections(answer, other, ignored=answer).n_false_positives == 0
    assert compare_detections(other, other, ignored=answer) == compare_detections(other, other)


def test_a_profile_counts_by_its_pixels_and_apart_by_its_own_eyes() -> None:
    """Two faces, one with eyes five times closer together, both four pixels off."""
    front, side = detections((0, 0, 100, 100)), detections((0, 0, 20, 100))
    both = compare_detections(detections((4, 0, 104, 100)), front)
    both += compare_detections(detections((4, 0, 24, 100)), side, min_side_px=5)
    assert both.landmark_distance == pytest.approx(8 / 48)
    assert both.landmark_ratio == pytest.approx((4 / 40 + 4 / 8) / 2)


def test_a_mirrored_detector_answers_where_the_faces_are(shared: Path) -> None:
    detector = load_detector("embedded")
    picture = face_frames(1, width=320, height=192)[0]
    plain, mirrored = (
        detect_scaled(one, picture, None) for one in (detector, MirroredDetector(detector))
    )
    counts = compare_detections(mirrored, plain, min_side_px=30)
    assert counts.n_found == counts.n_reference == 1
    assert 0 < counts.landmark_distance < 0.08


def test_landmarks_are_measured_in_eye_distances() -> None:
    reference = detections((0, 0, 100, 100))
    shifted = detections((4, 0, 104, 100))
    assert compare_detections(shifted, reference).landmark_distance == pytest.approx(4 / 40)


def test_shares_without_faces_or_answers() -> None:
    assert np.isnan(Agreement().recall)
    assert Agreement().false_positive_share == 0


def test_answers_come_back_in_pixels_of_the_picture() -> None:
    class Corner:
        def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
            height, width = images.shape[2:]
            return [detections((-0.5, -0.5, width - 0.5, height - 0.5))]

    picture = np.zeros((90, 160, 3), np.uint8)
    found = detect_scaled(Corner(), picture, 64)
    np.testing.assert_allclose(found.boxes_xyxy, [[-0.5, -0.5, 159.5, 89.5]], atol=1e-4)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_frames_stand_upright(tmp_path: Path, rotation: int) -> None:
    """A clip coded on its side, with the tag that turns it back, shows what was filmed."""
    upright = face_frames(3, width=320, height=192)
    coded = [np.ascontiguousarray(np.rot90(image, -rotation // 90)) for image in upright]
    plain = write_clip(tmp_path / "coded.mp4", coded)
    tagged = tmp_path / "tagged.mp4"
    with av.open(str(plain)) as source, av.open(str(tagged), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(rotation)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    shown = list(display_frames(tagged, every=2))
    assert [picture.shape for picture in shown] == [(192, 320, 3)] * 2
    for picture, image in zip(shown, upright[::2], strict=True):
        assert np.abs(picture.astype(int) - image).mean() < 8


def test_videos_of_one_name_are_told_apart(tmp_path: Path) -> None:
    class Nobody:
        name = "nobody"

        def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
            return [detections() for _ in images]

    videos = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        videos.append(write_clip(tmp_path / folder / "c.mp4", face_frames(2)))
    told: list[tuple[str, int, int | None]] = []
    found = evaluate_detector(
        Nobody(), Nobody(), videos, every=1, progress=lambda *work: told.append(work)
    )
    assert list(found) == [video.as_posix() for video in videos]
    assert told == [(video.as_posix(), done, None) for video in videos for done in (1, 2)]
    assert list(evaluate_detector(Nobody(), Nobody(), videos[:1])) == ["c.mp4"]


@given(st.lists(st.tuples(st.text("ab", max_size=2), st.text("ab", max_size=2))))
def test_names_are_distinct_and_short_where_they_can_be(pairs: list[tuple[str, str]]) -> None:
    short, long = [a for a, _ in pairs], [f"{a}/{b}" for a, b in pairs]
    names = distinct_names(short, long)
    assert len(names) == len(pairs) == len(set(names))
    if len(set(short)) == len(short):
        assert names == short


def test_a_text_file_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "words.mp4"
    path.write_text("no video")
    with pytest.raises(VideoOpenError, match=r"words\.mp4"):
        next(display_frames(path))


@pytest.mark.parametrize("every", [150, pytest.param(20, marks=pytest.mark.soak)])
def test_the_embedded_detector_is_what_its_card_says(shared: Path, every: int) -> None:
    """On few frames here; the command `vidrestore evaluate detector` takes every tenth."""
    reference = load_detector(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    counts = evaluate_detector(
        load_detector("embedded"), reference, sorted((shared / "clips").glob("*.mp4")), every=every
    )
    total = sum(counts.values(), Agreement())
    assert total.n_reference > 1800 / every
    assert total.recall >= 0.95
    assert total.false_positive_share <= 0.05
    assert total.landmark_distance <= 0.08


def test_a_face_that_fills_the_picture_is_found(shared: Path) -> None:
    """Aligned faces of 512 px, from hairline to chin, shown at their own size."""
    detector = load_detector("embedded")
    pictures = sorted((shared / "faces" / "512").glob("*.webp"))[::200]
    for path in pictures:
        picture = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        found = detect_scaled(detector, picture, None)
        assert len(found) == 1, path.name
        size = np.sqrt(np.prod(found.boxes_xyxy[0, 2:] - found.boxes_xyxy[0, :2]))
        assert size > 200
