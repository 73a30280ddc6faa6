"""Faces followed through a clip, and how open their eyes and mouth are in other versions of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import Image, empty_frames, write_clip
from moving_face import LANDMARKS, PORTRAIT

from vidrestore.config import resolve_config
from vidrestore.evaluation.clip_pairs import Pair
from vidrestore.evaluation.clip_tracks import ClipTracks
from vidrestore.evaluation.clips import compare_clips
from vidrestore.geometry import apply
from vidrestore.metrics.openness import FACE_PX
from vidrestore.models.templates import landmark_template

FRAMES = 15
BLINK = range(6, 9)
SIZE = 512


def blinking() -> list[Image]:
    """The portrait, whose eyes are covered in `BLINK` and whose mouth opens and closes."""
    bgr = cv2.imread(str(PORTRAIT))
    portrait = cv2.resize(bgr, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)[..., ::-1]
    points = np.rint(LANDMARKS * SIZE / bgr.shape[0]).astype(int)
    skin = portrait[points[2, 1] - 20, points[2, 0]].tolist()
    mouth = points[3:].mean(0).astype(int)
    frames = []
    for index in range(FRAMES):
        frame = np.ascontiguousarray(portrait)
        if index in BLINK:
            for eye in points[:2]:
                cv2.ellipse(frame, eye.tolist(), (18, 9), 0, 0, 360, skin, -1, cv2.LINE_AA)
        open_px = round(6 + 5 * np.sin(index))
        cv2.ellipse(frame, mouth.tolist(), (18, open_px), 0, 0, 360, (50, 20, 20), -1, cv2.LINE_AA)
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip; the same of half the size; and with every frame the mean of seven."""
    folder = tmp_path_factory.mktemp("clips")
    frames = blinking()
    half = [cv2.resize(f, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA) for f in frames]
    padded = [frames[0]] * 3 + frames + [frames[-1]] * 3
    lazy = [np.mean(padded[t : t + 7], axis=0).round().astype(np.uint8) for t in range(FRAMES)]
    for name, clip in (("truth", frames), ("half", half), ("lazy", lazy)):
        write_clip(folder / f"{name}.mkv", clip, codec="ffv1")
    write_clip(folder / "empty.mkv", empty_frames(3), codec="ffv1")
    return folder


def test_the_main_persons_face_is_aligned(folder: Path) -> None:
    alignments = ClipTracks(folder / "truth.mkv", resolve_config()).main_alignments()
    assert sorted(alignments) == list(range(FRAMES))
    found = np.stack([apply(one, LANDMARKS * SIZE / 336) for one in alignments.values()])
    assert np.abs(found - landmark_template("ffhq", FACE_PX)).max() < 10
    assert np.ptp(found, axis=0).max() < 1
    assert ClipTracks(folder / "empty.mkv", resolve_config()).main_alignments() == {}


@pytest.mark.parametrize(("name", "keeps"), [("half", True), ("lazy", False)])
def test_blinks_and_speech_are_compared_with_the_truths(
    folder: Path, name: str, keeps: bool
) -> None:
    pair = Pair(name, folder / "truth.mkv", folder / f"{name}.mkv")
    found = compare_clips(["input"], [pair], metrics=["psnr_db", "eyes", "mouth"], device="cpu")
    before, truth = (row.values for row in found.rows)
    for part in ("eyes", "mouth"):
        assert (before[part] > 0.97) == keeps
        assert part not in truth
        assert [len(values) for values in found.series[name][part].values()] == [FRAMES] * 2
    known = found.series[name]["eyes"]["truth"]
    assert sorted(np.argsort(np.abs(known))[-3:]) == list(BLINK)
